"""The contract of Belongings."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
