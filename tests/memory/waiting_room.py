"""A waiting room in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from failback.model.server import Parked


class MemoryWaitingRoom:
    """A WaitingRoom; `parked` by milestone, run and server; `damaged` is what's said of those that can't be read."""

    def __init__(self) -> None:
        self.parked: dict[tuple[str, str, str], Parked] = {}
        self.damaged: list[str] = []

    def park(self, parked: Parked) -> None:
        self.parked[_place(parked)] = parked

    def everyone(self, unreadable: Callable[[str], object] | None = None) -> Iterable[Parked]:
        for each in self.damaged:
            if unreadable is None:
                raise ValueError(each)
            unreadable(each)
        return [self.parked[place] for place in sorted(self.parked)]

    def keep(self, parked: Parked) -> None:
        if self._waits(parked):
            self.parked[_place(parked)] = parked

    def leave(self, parked: Parked) -> None:
        if self._waits(parked):
            del self.parked[_place(parked)]

    def _waits(self, parked: Parked) -> bool:
        there = self.parked.get(_place(parked))
        return there is not None and there.token == parked.token


def _place(parked: Parked) -> tuple[str, str, str]:
    return parked.milestone, parked.run, parked.server
