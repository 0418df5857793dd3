"""Waiting: a server's execution is taken in with its task token, and answered by whoever finds that its wait is over.

One way for every milestone: replication, approval, launch, commit, and the decision about one that has failed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from failback.milestones import Case, Judgement, judge
from failback.model.record import StageEntry
from failback.model.run import RunState
from failback.model.server import ServerOutcome
from failback.model.stage import Progress, StageResult
from failback.model.way_home import Commitment
from failback.parking import STAGES, parked_of
from failback.replication import worth_telling

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from failback.model.server import Awaited, Parked, ReplicationProgress
    from failback.ports import Clock, RunLog
    from failback.recovery_ports import DecisionBook, ServerBook, TaskTokens, WaitingRoom

DECIDED: frozenset[Awaited] = frozenset({"approval", "commit", "hold"})
"""Milestones that decisions bring: judged the moment that a server is parked, for one may have been made before."""
FOLLOWED: frozenset[Awaited] = frozenset({"replication", "approval", "launch"})
"""Milestones that DRS has something to say about."""

_AT_FIRST: Mapping[Awaited, str] = {
    "replication": "waiting for replication",
    "launch": "waits until all that was written is replicated, and is launched then",
}

Waited = StageResult[Any, None]


class ParkEvent(BaseModel):
    """What the state machine hands to a stage that waits: the task token, and the server's state."""

    model_config = ConfigDict(frozen=True)

    token: str
    state: RunState


class WaitingDesk(Protocol):
    """What taking in and answering take; each is asked for only where it's needed."""

    @property
    def waiting_room(self) -> WaitingRoom: ...

    @property
    def task_tokens(self) -> TaskTokens: ...

    @property
    def servers(self) -> ServerBook: ...

    @property
    def decisions(self) -> DecisionBook: ...

    @property
    def run_log(self) -> RunLog: ...

    @property
    def clock(self) -> Clock: ...


def take_in(event: ParkEvent, milestone: Awaited, desk: WaitingDesk) -> Waited:
    """The stage: noted as waiting, then parked. The other way round the watcher's note could be overwritten.

    A server that waits already waits with the new token from then on: the state machine has given the old one up. What
    is decided already is answered at once.
    """
    state, now = event.state, desk.clock.now()
    record = desk.servers.find(state.run.id, state.one)
    parked = parked_of(state, event.token, milestone, now=now, record=record)
    case = Case(parked, now, record, progress=record.progress if record else None)
    waiting = _progress(case, _waits_for(case))
    entry = StageEntry(stage=STAGES[milestone], status="pending", began=now, updated=now, progress=waiting)
    desk.run_log.note(parked.run, entry, server=parked.server)
    desk.waiting_room.park(parked)
    if milestone in DECIDED:
        case = replace(case, decisions=desk.decisions.of(parked.run))
        judgement = judge(case)
        if judgement.is_over:
            answer(case, judgement, desk)
    return StageResult(status="pending", since=now, progress=waiting)


def answer(case: Case, judgement: Judgement, desk: WaitingDesk) -> bool:
    """End the wait as the judgement says; whether anybody was still waiting for it.

    Written down, then told, then let out. Whatever is interrupted before the last step is done again from the first
    one, for the server still waits in the room: what's written is written again with the same meaning, a token counts
    once, and leaving twice is fine. It's written first because the report reads it, which may follow the token within
    a moment. A failure's outcome is giving back's to write: it knows what was undone. `case.record` is what the book
    had a moment ago: one that has been given back by then keeps its outcome, and one that the book doesn't know is only
    told.
    """
    parked, record = case.parked, case.record
    if record is not None and (record.outcome is None or record.outcome.outcome == "launched"):
        if case.progress is not None and case.progress != record.progress:
            desk.servers.progress(parked.run, parked.server, case.progress)
        desk.run_log.note(parked.run, _entry(case, judgement), server=parked.server)
        if outcome := _outcome(case, judgement):
            desk.servers.settle(parked.run, parked.server, outcome)
    told = _tell(case, judgement, desk.task_tokens)
    desk.waiting_room.leave(parked)
    return told


def tell_progress(case: Case, note: str, desk: WaitingDesk) -> None:
    """Keep how far one is that goes on waiting, as far as anybody could tell it from what's kept."""
    parked, record, progress = case.parked, case.record, case.progress
    if record is None:
        return
    new = progress is not None and worth_telling(progress, record.progress)
    if new and progress is not None:
        desk.servers.progress(parked.run, parked.server, progress)
    # A launch takes minutes, an approval days: its note is about the replication, and is as new as that.
    if note and (parked.milestone == "launch" or (new and parked.milestone == "approval")):
        desk.run_log.note(parked.run, _entry(case, Judgement(note)), server=parked.server)


def stalled_since(parked: Parked, progress: ReplicationProgress) -> datetime | None:
    """When the stall that there is now began; None while it goes on."""
    return (parked.stuck_since or progress.at) if progress.verdict == "stuck" else None


def _waits_for(case: Case) -> str:
    return _AT_FIRST.get(case.parked.milestone) or judge(case).note


def _tell(case: Case, judgement: Judgement, tokens: TaskTokens) -> bool:
    token, refusal = case.parked.token, judgement.refusal
    if refusal is None:
        progress = _progress(case, judgement.note)
        result = Waited(status="done", since=case.parked.since, progress=progress, facts=judgement.facts)
        return tokens.succeed(token, result.model_dump_json())
    # What Lambda makes of an error, so that whoever reads a cause needs no second way.
    cause = {"errorType": type(refusal).__name__, "errorMessage": str(refusal)}
    return tokens.fail(token, error=type(refusal).__name__, cause=json.dumps(cause))


def _entry(case: Case, judgement: Judgement) -> StageEntry:
    """The stage's entry; it isn't called by being looked at or answered."""
    refusal, facts = judgement.refusal, judgement.facts
    ended: Literal["done", "pending"] = "done" if facts is not None else "pending"
    return StageEntry(
        stage=STAGES[case.parked.milestone],
        status=ended if refusal is None else "failed",
        began=case.parked.since,
        updated=case.now,
        calls=0,
        progress=_progress(case, judgement.note),
        facts=facts.model_dump(mode="json") if facts is not None else None,
        error=type(refusal).__name__ if refusal else "",
        advice=str(refusal) if refusal else "",
    )


def _progress(case: Case, note: str) -> Progress:
    """In bytes where it's about them."""
    seen = case.progress if case.parked.milestone in FOLLOWED else None
    if seen is None:
        return Progress(done=0, total=0, note=note)
    return Progress(done=seen.replicated, total=seen.total, note=note or seen.reason)


def _outcome(case: Case, judgement: Judgement) -> ServerOutcome | None:
    """The outcome of one that nobody accepted: no stage comes after it that could write it."""
    facts = judgement.facts
    if not isinstance(facts, Commitment) or facts.accepted:
        return None
    return ServerOutcome(outcome="launched", at=facts.at, stage=STAGES["commit"], cause=facts.why)
