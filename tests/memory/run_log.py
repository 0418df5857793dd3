"""The run log in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from failback.errors import RunUnknown
from failback.model.record import RunHistory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from failback.model.record import RunRecord, StageEntry
    from failback.model.run import Outcome


class MemoryRunLog:
    """A RunLog."""

    def __init__(self) -> None:
        self.records: dict[str, RunRecord] = {}
        self.entries: dict[str, dict[str, StageEntry]] = {}
        self.leases: dict[str, tuple[str, datetime]] = {}
        self._lock = threading.Lock()

    def open(self, record: RunRecord) -> None:
        self.records.setdefault(record.run, record)

    def close(self, run: str, outcome: Outcome, ended: datetime) -> None:
        if run not in self.records:
            raise RunUnknown(run)
        update = {"status": outcome.outcome, "ended": ended, "outcome": outcome}
        self.records[run] = self.records[run].model_copy(update=update)

    def note(self, run: str, entry: StageEntry) -> None:
        with self._lock:
            stages = self.entries.setdefault(run, {})
            before = stages.get(entry.stage)
            if before is not None:
                entry = entry.model_copy(update={"began": before.began, "calls": before.calls + entry.calls})
            stages[entry.stage] = entry

    def read(self, run: str) -> RunHistory | None:
        if run not in self.records:
            return None
        stages = sorted(self.entries.get(run, {}).values(), key=lambda entry: entry.began)
        return RunHistory(record=self.records[run], stages=tuple(stages))

    def recent(self, limit: int) -> Sequence[RunRecord]:
        return sorted(self.records.values(), key=lambda record: record.started, reverse=True)[:limit]

    def lease(self, name: str, holder: str, *, now: datetime, until: datetime) -> str:
        with self._lock:
            held = self.leases.get(name)
            if held is not None and held[0] != holder and held[1] > now:
                return held[0]
            self.leases[name] = (holder, until)
            return holder

    def release(self, name: str, holder: str) -> None:
        with self._lock:
            held = self.leases.get(name)
            if held is not None and held[0] == holder:
                del self.leases[name]
