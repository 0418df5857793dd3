"""The run log in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from failback.errors import RunUnknown
from failback.model.record import RunHistory, ServerHistory
from tests.memory.decision_book import MemoryDecisionBook
from tests.memory.launch_book import MemoryLaunchBook
from tests.memory.server_book import MemoryServerBook

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from failback.model.call import Call
    from failback.model.ending import Outcome
    from failback.model.record import RunRecord, StageEntry


class MemoryRunLog:
    """A RunLog; `servers`, `decisions` and `batches` are the books that it reads a run's history from.

    `entries` holds those of runs' own stages, `server_entries` those of one server of a run.
    """

    def __init__(
        self,
        servers: MemoryServerBook | None = None,
        *,
        decisions: MemoryDecisionBook | None = None,
        batches: MemoryLaunchBook | None = None,
    ) -> None:
        self.servers = servers or MemoryServerBook()
        self.decisions, self.batches = decisions or MemoryDecisionBook(), batches or MemoryLaunchBook()
        self.records: dict[str, RunRecord] = {}
        self.entries: dict[str, dict[str, StageEntry]] = {}
        self.server_entries: dict[tuple[str, str], dict[str, StageEntry]] = {}
        self.leases: dict[str, tuple[str, datetime]] = {}
        self.calls: dict[str, set[tuple[str, str, Call]]] = {}
        self._lock = threading.Lock()

    def open(self, record: RunRecord) -> None:
        self.records.setdefault(record.run, record)

    def close(self, run: str, outcome: Outcome, ended: datetime) -> None:
        if run not in self.records:
            raise RunUnknown(run)
        update = {"status": outcome.outcome, "ended": ended, "outcome": outcome}
        self.records[run] = self.records[run].model_copy(update=update)

    def begin(self, run: str, stage: str, call: Call, *, server: str = "") -> None:
        with self._lock:
            self.calls.setdefault(run, set()).add((stage, server, call))

    def at_work(self, run: str) -> Sequence[Call]:
        with self._lock:
            return [call for _, _, call in self.calls.get(run, ())]

    def note(self, run: str, entry: StageEntry, *, server: str = "", call: Call | None = None) -> None:
        with self._lock:
            if call is not None:
                self.calls.get(run, set()).discard((entry.stage, server, call))
            own = self.server_entries.setdefault((run, server), {}) if server else None
            stages = self.entries.setdefault(run, {}) if own is None else own
            before = stages.get(entry.stage)
            if before is not None:
                entry = entry.model_copy(update={"began": before.began, "calls": before.calls + entry.calls})
            stages[entry.stage] = entry

    def read(self, run: str) -> RunHistory | None:
        if run not in self.records:
            return None
        servers = [
            ServerHistory(record=record, stages=_in_order(self.server_entries.get((run, record.id), {})))
            for record in self.servers.of(run)
        ]
        stages = _in_order(self.entries.get(run, {}))
        return RunHistory(
            record=self.records[run],
            stages=stages,
            servers=tuple(servers),
            decisions=tuple(self.decisions.of(run)),
            batches=tuple(self.batches.of(run)),
            parts=tuple(part for each in self.records[run].parts if (part := self.read(each)) is not None),
        )

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


def _in_order(stages: Mapping[str, StageEntry]) -> tuple[StageEntry, ...]:
    return tuple(sorted(stages.values(), key=lambda entry: entry.began))
