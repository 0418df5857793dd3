"""What machines are called at home."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failback.machine_names import LONGEST, name_after, name_faults
from failback.model.request import ServerRequest


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
    assert name_after(host) == name


@given(st.text(max_size=200))
def test_what_is_made_could_have_been_asked_for(host: str) -> None:
    name = name_after(host)
    assert len(name) <= LONGEST
    assert not name or re.fullmatch(r"[A-Za-z0-9-]+", name)
    if name:
        ServerRequest(recovery_instance="i-0a1b2c3d4e5f60718", name=name)


def test_no_two_are_called_alike() -> None:
    faults = name_faults({"i-1": "web", "i-2": "Web", "i-3": "db", "i-4": ""})
    assert set(faults) == {"i-1", "i-2", "i-4"}
    assert "i-2" in faults["i-1"]
    assert "i-1" in faults["i-2"]
    assert "no host name" in faults["i-4"]
