"""Batches of launches in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.model.decision import LaunchBatch


class MemoryLaunchBook:
    """A LaunchBook; `batches` by run and id, `kept` each that was noted, in order."""

    def __init__(self) -> None:
        self.batches: dict[tuple[str, str], LaunchBatch] = {}
        self.kept: list[LaunchBatch] = []

    def keep(self, batch: LaunchBatch) -> None:
        self.batches[batch.run, batch.id] = batch
        self.kept.append(batch)

    def of(self, run: str) -> Sequence[LaunchBatch]:
        found = (batch for (own, _), batch in self.batches.items() if own == run)
        return sorted(found, key=lambda batch: (batch.at, batch.id))
