"""As much as there's room for."""

from __future__ import annotations

from failback.listing import LONGEST, listed


def test_all_is_shown_while_there_is_room() -> None:
    assert listed(["one", "two"], separator="; ") == "one; two"


def test_the_rest_is_counted() -> None:
    text = listed(["x" * 999] * 500, separator="\n", more="And {} more.")
    assert len(text) <= LONGEST + 20
    assert text.endswith("\nAnd 480 more.")


def test_one_is_always_shown() -> None:
    assert listed(["x" * 2 * LONGEST], separator=" ") == "x" * 2 * LONGEST
