"""Removes by tag whatever a check has made, also after it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.live.variables import wait_until

if TYPE_CHECKING:
    from failback.ports import Belongings


def give_back(belongings: Belongings, run: str) -> None:
    """Remove everything of the run, in the order that its cloud wants, until nothing is found any more."""

    def gone() -> bool:
        for each in belongings.made_by(run):
            belongings.remove(each)
        return not belongings.made_by(run)

    wait_until(gone, f"everything of run {run} is removed")
