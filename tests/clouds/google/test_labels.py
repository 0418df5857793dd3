"""Tags as labels: what Google takes, and that different tags stay different."""

from __future__ import annotations

import re

import pytest

from failback.clouds.google.labels import (
    RUN_LABEL,
    SERVER_LABEL,
    carries,
    label_key,
    label_value,
    labels_in,
    labels_of,
    tags_text,
)
from failback.naming import CREATED_TAG, RUN_TAG, SERVER_TAG

TEXTS = ("run-1", "Run-1", "run_1", "run 1", "run:1", "", "x" * 63, "x" * 64, "x" * 65, "ünïcode", "UNICODE", "s-0123")


def test_values_are_what_google_takes() -> None:
    assert all(re.fullmatch(r"[a-z0-9_-]{0,63}", label_value(each)) for each in TEXTS)


def test_different_texts_have_different_values() -> None:
    assert len({label_value(each) for each in TEXTS}) == len(TEXTS)


@pytest.mark.parametrize("text", ["run-1", "", "x" * 63, "s-0123456789abcdef0"])
def test_what_needs_no_change_has_none(text: str) -> None:
    assert label_value(text) == text


def test_keys() -> None:
    assert (RUN_LABEL, SERVER_LABEL) == ("drs-failback-run", "drs-failback-server")
    assert label_key("Cost:Centre") == "cost-centre"


def test_labels_of_tags() -> None:
    labels = labels_of({RUN_TAG: "run-1", CREATED_TAG: "2026-01-02T03:04:05Z"})
    assert labels["drs-failback-run"] == "run-1"
    assert labels["drs-failback-created"].startswith("2026-01-02t03_04_05z-")


def test_whose_a_thing_is() -> None:
    labels = labels_of({RUN_TAG: "Run 1", SERVER_TAG: "i-1"})
    assert carries(labels, "Run 1")
    assert carries(labels, "Run 1", "i-1")
    assert not carries(labels, "Run 1", "i-2")
    assert not carries(labels, "run 1")
    assert not carries({}, "")
    assert not carries(None, "Run 1")


@pytest.mark.parametrize("text", ["", "an address of ours", "[1]", "3"])
def test_anybody_s_description_has_no_labels(text: str) -> None:
    assert labels_in(text) == {}


def test_a_description_has_the_labels() -> None:
    tags = {RUN_TAG: "Run 1", SERVER_TAG: "i-1"}
    assert labels_in(tags_text(tags)) == labels_of(tags)
