"""What machines are called at home."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failback.clouds.google.disks import boot_disk_name
from failback.machine_names import RULES, TRIAL, misfit, name_after, name_faults, trial_name
from failback.model.request import ServerRequest
from failback.model.target import HomeName
from failback.naming import data_disk_name


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("web-01.corp.example.com", "web-01"),
        ("DB_SERVER", "DB-SERVER"),
        ("-odd--host-", "odd-host"),
        ("bücher", "b-cher"),
        ("", ""),
        ("...", ""),
        ("a" * 63 + "-b", "a" * 63),
    ],
)
def test_a_name_is_made_of_a_host(host: str, name: str) -> None:
    assert name_after(host, "azure") == name


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("web-01.corp.example.com", "web-01"),
        ("DB_SERVER", "db-server"),
        ("1web", "host-1web"),
        ("...", ""),
        ("a" * 54 + "-b", "a" * 54),
    ],
)
def test_a_home_has_its_own_rules_for_names(host: str, name: str) -> None:
    assert name_after(host, "google") == name


@pytest.mark.parametrize("home", ["azure", "google"])
@given(host=st.text(max_size=200))
def test_what_is_made_could_have_been_asked_for(host: str, home: HomeName) -> None:
    name = name_after(host, home)
    if name:
        ServerRequest(recovery_instance="i-0a1b2c3d4e5f60718", name=name)
        assert misfit(name, home) == ""
        assert misfit(trial_name(name, home), home) == ""
        assert trial_name(name, home).endswith(TRIAL)


@pytest.mark.parametrize("home", ["azure", "google"])
def test_a_name_that_is_asked_for_has_to_fit(home: HomeName) -> None:
    longest = RULES[home].longest
    assert misfit("a" * longest, home) == ""
    for name in ("a" * (longest + 1), "-a", "a-", "a.b", "a_b"):
        assert name in misfit(name, home)


def test_capitals_and_a_digit_first_fit_some_homes_only() -> None:
    for name in ("Web", "1web"):
        assert misfit(name, "azure") == ""
        assert "small letters" in misfit(name, "google")


def test_googles_disks_have_names_that_google_takes() -> None:
    name = "a" * RULES["google"].longest
    for disk in (data_disk_name(name, 59), boot_disk_name(name)):
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", disk)


def test_no_two_are_called_alike() -> None:
    faults = name_faults({"i-1": "web", "i-2": "Web", "i-3": "db", "i-4": ""})
    assert set(faults) == {"i-1", "i-2", "i-4"}
    assert "i-2" in faults["i-1"]
    assert "i-1" in faults["i-2"]
    assert "no host name" in faults["i-4"]


def test_every_home_has_its_rule() -> None:
    assert set(RULES) == set(get_args(HomeName))
