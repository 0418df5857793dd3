"""How far one server of a run is, in a line: where it stands, how much is copied, how far behind, when it's through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from failback.replication import share

if TYPE_CHECKING:
    from datetime import datetime

    from failback.model.record import ServerHistory
    from failback.model.server import ReplicationProgress

ServerStatus = Literal["planned", "running", "replicating", "stuck", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class ServerProgress:
    """A server at one moment: `share` of its bytes is at home (0 to 1), `lag` seconds behind, `left` seconds to go."""

    server: str
    name: str
    status: ServerStatus
    stage: str = ""
    share: float | None = None
    copied: int = 0
    total: int = 0
    backlog: int = 0
    lag: float | None = None
    left: float | None = None
    seconds: float = 0.0
    note: str = ""


def server_progress(history: ServerHistory, *, now: datetime) -> ServerProgress:
    """The server as its run's log shows it."""
    record, last = history.record, history.stages[-1] if history.stages else None
    plan, progress, outcome = record.plan, record.progress, record.outcome
    ended = outcome.at if outcome else now
    note = last.error or (last.progress.note if last and last.progress else "") if last else ""
    if outcome and outcome.outcome == "failed":
        note = f"{outcome.stage}: {outcome.error}" if outcome.stage else outcome.error
    elif progress:
        note = progress.reason or f"{progress.failback}, {progress.state}"
    return ServerProgress(
        server=record.id,
        name=plan.hostname if plan else "",
        status=_status(history),
        stage=last.stage if last else "",
        share=share(progress) if progress else None,
        copied=_copied(progress),
        total=progress.total if progress else 0,
        backlog=progress.backlogged if progress else 0,
        lag=progress.lag_seconds if progress else None,
        left=max((progress.eta - now).total_seconds(), 0.0) if progress and progress.eta and not outcome else None,
        seconds=max((ended - history.stages[0].began).total_seconds(), 0.0) if history.stages else 0.0,
        note=note,
    )


def _copied(progress: ReplicationProgress | None) -> int:
    """Bytes that are at home: a rescan counts what it has compared."""
    return min(max(progress.replicated, progress.rescanned), progress.total) if progress else 0


def _status(history: ServerHistory) -> ServerStatus:
    record = history.record
    if record.outcome:
        return record.outcome.outcome
    if record.progress:
        return "stuck" if record.progress.verdict == "stuck" else "replicating"
    return "running" if history.stages else "planned"
