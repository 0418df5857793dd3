"""What runs have made, in memory, for tests of those who give it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.model.ending import Belonging


class MemoryBelongings:
    """Belongings, removed in the order in which they were added; `slow` ones are gone when asked for once more.

    `refuse` holds the error that removing a belonging raises, by its id.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], tuple[str, str, Belonging]] = {}
        self._slow: set[tuple[str, str]] = set()
        self.refuse: dict[str, Exception] = {}

    def add(self, run: str, belonging: Belonging, *, slow: bool = False, server: str = "") -> None:
        key = (belonging.kind, belonging.id)
        self._made[key] = (run, server, belonging)
        if slow:
            self._slow.add(key)

    def made_by(self, run: str, *, server: str = "") -> Sequence[Belonging]:
        made = self._made.values()
        return [belonging for owner, of, belonging in made if owner == run and server in ("", of)]

    def of_run(self, run: str) -> Sequence[Belonging]:
        return [belonging for owner, of, belonging in self._made.values() if owner == run and not of]

    def remove(self, belonging: Belonging) -> bool:
        if belonging.id in self.refuse:
            raise self.refuse[belonging.id]
        key = (belonging.kind, belonging.id)
        if key in self._slow:
            self._slow.remove(key)
            return False
        self._made.pop(key, None)
        return True

    def command(self, belonging: Belonging) -> str:
        return f"remove {belonging.kind} {belonging.id}"
