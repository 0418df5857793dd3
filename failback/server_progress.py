"""How far one server of a run is, in a line: where it stands, how much is copied, how far behind, when it's through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from failback.replication import share

if TYPE_CHECKING:
    from datetime import datetime

    from failback.model.record import ServerHistory, StageEntry
    from failback.model.server import ReplicationProgress, ServerOutcome

ServerStatus = Literal[
    "planned",
    "running",
    "replicating",
    "stuck",
    "waiting",
    "held",
    "home",
    "launched",
    "rehearsed",
    "skipped",
    "failed",
]
"""`waiting`: for a person who approves or accepts; `held`: failed, and kept until a person says what comes of it."""
_FOR_A_PERSON: dict[str, ServerStatus] = {"await_approval": "waiting", "await_commit": "waiting", "hold_server": "held"}
_REPLICATES = "await_replication"


@dataclass(frozen=True, slots=True)
class ServerProgress:
    """A server at one moment: `share` of its bytes is at home (0 to 1), `lag` seconds behind, `left` seconds to go.

    `why` is what a held server failed of.
    """

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
    why: str = ""


def server_progress(history: ServerHistory, *, now: datetime) -> ServerProgress:
    """The server as its run's log shows it."""
    record, last = history.record, _last(history)
    plan, progress, outcome = record.plan, record.progress, record.outcome
    ended = outcome.at if outcome else now
    note = last.error or (last.progress.note if last and last.progress else "") if last else ""
    if outcome:
        note = _ending(outcome)
    elif progress and last and last.stage == _REPLICATES:
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
        why=_why(history) if _status(history) == "held" else "",
    )


def _why(history: ServerHistory) -> str:
    """The last failure that was noted: its error, and what it said."""
    failed = [entry for entry in history.stages if entry.status == "failed"]
    last = max(failed, key=lambda entry: entry.updated, default=None)
    return f"{last.error}: {last.advice}" if last else ""


def _copied(progress: ReplicationProgress | None) -> int:
    """Bytes that are at home: a rescan counts what it has compared."""
    return min(max(progress.replicated, progress.rescanned), progress.total) if progress else 0


def _last(history: ServerHistory) -> StageEntry | None:
    """The stage that was called last: one that's tried again began long before."""
    return max(history.stages, key=lambda entry: (entry.updated, entry.began), default=None)


def _ending(outcome: ServerOutcome) -> str:
    """How it ended, in a few words."""
    if outcome.outcome == "failed":
        return f"{outcome.stage}: {outcome.error}" if outcome.stage else outcome.error
    return outcome.cause


def _status(history: ServerHistory) -> ServerStatus:
    record, last = history.record, _last(history)
    if record.outcome:
        return record.outcome.outcome
    if last is None:
        return "planned"
    if last.status == "pending" and last.stage in _FOR_A_PERSON:
        return _FOR_A_PERSON[last.stage]
    if record.progress and last.stage == _REPLICATES:
        return "stuck" if record.progress.verdict == "stuck" else "replicating"
    return "running"
