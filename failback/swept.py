"""What a sweep of the watcher's came to, in numbers that add up."""

from __future__ import annotations

from failback.model.facts import Facts

MOST_FAULTS = 20
"""Told of one sweep: hundreds of servers usually have the same trouble."""


class Swept(Facts):
    """What a sweep came to, in servers: looked at, answered for, and left for the next one because of `faults`.

    `busy`: another sweep was at it when this one began, or took it over.
    """

    looked_at: int = 0
    answered: int = 0
    left: int = 0
    busy: bool = False
    faults: tuple[str, ...] = ()

    def __add__(self, more: Swept) -> Swept:
        return Swept(
            looked_at=self.looked_at + more.looked_at,
            answered=self.answered + more.answered,
            left=self.left + more.left,
            busy=self.busy or more.busy,
            faults=tuple(dict.fromkeys((*self.faults, *more.faults)))[:MOST_FAULTS],
        )
