"""Waiting for replication: a server's execution is taken in with its task token, and answered by whoever watches."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from failback.model.record import StageEntry
from failback.model.run import Progress, RunState, StageResult
from failback.model.server import Parked, ReplicationProgress, ServerOutcome

if TYPE_CHECKING:
    from datetime import datetime

    from failback.errors import FailbackError
    from failback.model.server import ServerRecord
    from failback.ports import Clock, RunLog
    from failback.recovery_ports import ServerBook, TaskTokens, WaitingRoom

STAGE = "await_replication"
NOTE = "waiting for replication"

Waited = StageResult[ReplicationProgress, None]


class ParkEvent(BaseModel):
    """What the state machine hands to a stage that waits: the task token, and the server's state."""

    model_config = ConfigDict(frozen=True)

    token: str
    state: RunState


def park(state: RunState, token: str, *, room: WaitingRoom, clock: Clock) -> Parked:
    """Take the state's server in, for as long as the request lets its replication last.

    Its deadline counts from now. A server that waits already waits with the new token from then on: the state machine
    has given the old one up.
    """
    now, choice = clock.now(), state.replication
    parked = Parked(
        run=state.run.id,
        server=state.one,
        milestone="replication",
        token=token,
        since=now,
        deadline=now + timedelta(hours=choice.deadline_hours),
        stuck_minutes=choice.stuck_minutes,
        on_stuck=choice.on_stuck,
    )
    room.park(parked)
    return parked


def take_in(event: ParkEvent, *, room: WaitingRoom, run_log: RunLog, clock: Clock) -> Waited:
    """The stage: noted as waiting, then parked. The other way round the watcher's note could be overwritten."""
    now, waiting = clock.now(), Progress(done=0, total=0, note=NOTE)
    entry = StageEntry(stage=STAGE, status="pending", began=now, updated=now, progress=waiting)
    run_log.note(event.state.run.id, entry, server=event.state.one)
    park(event.state, event.token, room=room, clock=clock)
    return StageResult(status="pending", since=now, progress=waiting)


def answer(
    parked: Parked,
    progress: ReplicationProgress,
    refusal: FailbackError | None,
    *,
    record: ServerRecord | None,
    tokens: TaskTokens,
    book: ServerBook,
    run_log: RunLog,
    room: WaitingRoom,
) -> bool:
    """End the wait: with success, or as `refusal` says; whether anybody was still waiting for it.

    Written down, then told, then let out. Whatever is interrupted before the last step is done again from the first
    one, for the server still waits in the room: what's written is written again with the same meaning, a token counts
    once, and leaving twice is fine. It's written first because the report reads it, which may follow the token within
    a moment. A failure's outcome is giving back's to write: it knows what was undone. `record` is what the book had a
    moment ago: one that has been given back by then keeps its outcome, and one that the book
    doesn't know is only told.
    """
    if record is not None and (record.outcome is None or record.outcome.outcome == "ready"):
        book.progress(parked.run, parked.server, progress)
        run_log.note(parked.run, _entry(parked, progress, refusal), server=parked.server)
        if refusal is None:
            book.settle(parked.run, parked.server, ServerOutcome(outcome="ready", at=progress.at, stage=STAGE))
    told = _tell(parked, progress, refusal, tokens)
    room.leave(parked)
    return told


def _tell(parked: Parked, progress: ReplicationProgress, refusal: FailbackError | None, tokens: TaskTokens) -> bool:
    if refusal is None:
        result: Waited = StageResult(status="done", since=parked.since, progress=_bytes(progress), facts=progress)
        return tokens.succeed(parked.token, result.model_dump_json())
    # What Lambda makes of an error, so that whoever reads a cause needs no second way.
    cause = {"errorType": type(refusal).__name__, "errorMessage": str(refusal)}
    return tokens.fail(parked.token, error=type(refusal).__name__, cause=json.dumps(cause))


def _entry(parked: Parked, progress: ReplicationProgress, refusal: FailbackError | None) -> StageEntry:
    """The stage's last entry; it isn't called by being answered."""
    return StageEntry(
        stage=STAGE,
        status="done" if refusal is None else "failed",
        began=parked.since,
        updated=progress.at,
        calls=0,
        progress=_bytes(progress),
        facts=progress.model_dump(mode="json") if refusal is None else None,
        error=type(refusal).__name__ if refusal else "",
        advice=str(refusal) if refusal else "",
    )


def _bytes(progress: ReplicationProgress) -> Progress:
    return Progress(done=progress.replicated, total=progress.total, note=progress.reason)


def stalled_since(parked: Parked, progress: ReplicationProgress) -> datetime | None:
    """When the stall that there is now began; None while it goes on."""
    return (parked.stuck_since or progress.at) if progress.verdict == "stuck" else None
