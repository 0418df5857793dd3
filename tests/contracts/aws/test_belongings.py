"""The contract of Belongings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.contracts.aws.conftest import Made


def test_a_run_gives_back_what_it_made_and_nothing_else(made: Made) -> None:
    expected, others = made.make("run-a"), made.make("run-b")
    found = made.belongings.made_by("run-a")
    assert list(found) == expected
    for belonging in found:
        assert belonging.id in made.belongings.command(belonging)
        assert made.belongings.remove(belonging)
        assert made.belongings.remove(belonging)
    assert list(made.belongings.made_by("run-a")) == []
    assert list(made.belongings.made_by("run-b")) == others


def test_what_was_made_for_one_server_is_told_apart(made: Made) -> None:
    if made.rule is None:
        pytest.skip("rules need a security group")
    first, second = made.rule("run-c", "i-0000000a"), made.rule("run-c", "i-0000000b")
    whole = made.make("run-c")
    belongings = made.belongings
    assert list(belongings.made_by("run-c", server="i-0000000a")) == [first]
    assert {each.id for each in belongings.made_by("run-c")} == {each.id for each in (first, second, *whole)}
    assert {each.id for each in belongings.of_run("run-c")} == {each.id for each in whole}
    assert first.id in belongings.command(first)
    for _ in range(2):
        assert belongings.remove(first)
    assert list(belongings.made_by("run-c", server="i-0000000a")) == []
    assert list(belongings.made_by("run-c", server="i-0000000b")) == [second]
