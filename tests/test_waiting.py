"""Waiting: taken in with a token, answered once, whatever is interrupted in between."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from failback.errors import FailbackError, ReplicationStuck
from failback.model.request import ServerRequest
from failback.model.run import StageResult
from failback.model.server import Parked, ReplicationProgress, ServerOutcome
from failback.waiting import STAGE, ParkEvent, answer, park, take_in
from tests.memory.clock import NOON, FixedClock
from tests.memory.run_log import MemoryRunLog
from tests.memory.server_book import MemoryServerBook
from tests.memory.task_tokens import MemoryTokens
from tests.memory.waiting_room import MemoryWaitingRoom
from tests.states import event_of

if TYPE_CHECKING:
    from failback.model.record import StageEntry

EVENT = ParkEvent.model_validate(event_of(STAGE))
STATE = EVENT.state
RUN, SERVER = STATE.run.id, STATE.one
READY = ReplicationProgress(
    at=NOON, verdict="ready", state="CONTINUOUS", failback="FAILBACK_READY_FOR_LAUNCH", total=8, replicated=8
)
STUCK = READY.model_copy(update={"verdict": "stuck", "state": "STALLED", "reason": "stalled"})
REFUSAL = ReplicationStuck("it has been stuck for an hour")


class Interrupted(Exception):
    """The function ends here."""


class Hall:
    """A waiting server, and everything that's asked for in answering it; `cut` ends before a step, or after it."""

    def __init__(self) -> None:
        self.clock, self.room, self.tokens = FixedClock(), MemoryWaitingRoom(), MemoryTokens({"t"})
        self.book = MemoryServerBook()
        self.book.enlist(RUN, [ServerRequest(recovery_instance=SERVER)])
        self.run_log = MemoryRunLog(self.book)
        self.parked = park(STATE, "t", room=self.room, clock=self.clock)

    def answer(self, refusal: FailbackError | None = None, *, parked: Parked | None = None) -> bool:
        return answer(
            parked or self.parked,
            STUCK if refusal else READY,
            refusal,
            record=self.book.find(RUN, SERVER),
            tokens=self.tokens,
            book=self.book,
            run_log=self.run_log,
            room=self.room,
        )

    @property
    def entry(self) -> StageEntry:
        return self.run_log.server_entries[RUN, SERVER][STAGE]

    def cut(self, place: str, *, after: bool) -> None:
        """Let the next call of `place` (`book.settle`, ...) be interrupted, before or after it has worked."""
        owner, name = place.split(".")
        port = getattr(self, owner)
        real = getattr(port, name)

        def interrupted(*given: Any, **named: Any) -> None:  # noqa: ANN401
            delattr(port, name)
            if after:
                real(*given, **named)
            raise Interrupted

        setattr(port, name, interrupted)


def test_parking_takes_the_bounds_of_the_request() -> None:
    hall = Hall()
    assert list(hall.room.everyone()) == [hall.parked]
    assert hall.parked.deadline - hall.parked.since == timedelta(hours=STATE.replication.deadline_hours)
    assert (hall.parked.since, hall.parked.stuck_minutes, hall.parked.on_stuck) == (NOON, 60, "fail")
    assert hall.parked.stuck_since is None


def test_taking_in_is_noted_before_it_is_parked() -> None:
    hall = Hall()
    hall.room.leave(hall.parked)
    hall.cut("room.park", after=False)
    with pytest.raises(Interrupted):
        take_in(EVENT, room=hall.room, run_log=hall.run_log, clock=hall.clock)
    assert hall.entry.status == "pending"
    hall.clock.forward(seconds=30)
    result = take_in(EVENT, room=hall.room, run_log=hall.run_log, clock=hall.clock)
    assert (result.status, hall.entry.calls, hall.entry.began) == ("pending", 2, NOON)
    assert hall.entry.progress is not None
    assert hall.entry.progress.note == "waiting for replication"
    (parked,) = hall.room.everyone()
    assert parked.token == EVENT.token


def test_success_is_what_the_state_machine_keeps_as_the_stages_result() -> None:
    hall = Hall()
    assert hall.answer()
    result = StageResult[ReplicationProgress, None].model_validate_json(hall.tokens.succeeded["t"])
    assert (result.status, result.since, result.facts) == ("done", NOON, READY)
    state = STATE.model_validate({**STATE.model_dump(), STAGE: json.loads(hall.tokens.succeeded["t"])})
    assert state.await_replication == result
    record = hall.book.find(RUN, SERVER)
    assert record is not None
    assert record.progress == READY
    assert record.outcome == ServerOutcome(outcome="ready", at=NOON, stage=STAGE)
    assert (hall.entry.status, hall.entry.facts) == ("done", READY.model_dump(mode="json"))
    assert not list(hall.room.everyone())


def test_failure_is_told_as_a_function_tells_its_errors() -> None:
    hall = Hall()
    assert hall.answer(REFUSAL)
    error, cause = hall.tokens.failed["t"]
    assert error == "ReplicationStuck"
    assert json.loads(cause) == {"errorType": "ReplicationStuck", "errorMessage": str(REFUSAL)}
    record = hall.book.find(RUN, SERVER)
    assert record is not None
    assert (record.progress, record.outcome) == (STUCK, None), "the outcome is giving back's to write"
    assert (hall.entry.status, hall.entry.error, hall.entry.advice) == ("failed", error, str(REFUSAL))
    assert not list(hall.room.everyone())


STEPS = ("book.progress", "run_log.note", "book.settle", "tokens.succeed", "room.leave")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_an_interrupted_success_is_finished_by_the_next_sweep(step: str, after: bool) -> None:
    hall = Hall()
    hall.cut(step, after=after)
    with pytest.raises(Interrupted):
        hall.answer()
    left = not list(hall.room.everyone())
    assert left == ((step, after) == ("room.leave", True)), "it stays in the room until all else is done"
    if hall.tokens.succeeded:
        record = hall.book.find(RUN, SERVER)
        assert record is not None
        assert record.outcome is not None, "the report may read it as soon as the token is answered"
    if not left:
        assert hall.answer() == (step != "room.leave" and (step, after) != ("tokens.succeed", True))
    assert list(hall.tokens.succeeded) == ["t"]
    record = hall.book.find(RUN, SERVER)
    assert record is not None
    assert record.outcome is not None
    assert (record.outcome.outcome, hall.entry.status, list(hall.room.everyone())) == ("ready", "done", [])


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["book.progress", "run_log.note", "tokens.fail", "room.leave"])
def test_an_interrupted_failure_is_finished_by_the_next_sweep(step: str, after: bool) -> None:
    hall = Hall()
    hall.cut(step, after=after)
    with pytest.raises(Interrupted):
        hall.answer(REFUSAL)
    if list(hall.room.everyone()):
        hall.answer(REFUSAL)
    assert list(hall.tokens.failed) == ["t"]
    assert (hall.entry.status, list(hall.room.everyone())) == ("failed", [])


def test_ready_at_last_that_stalls_before_it_was_told_fails() -> None:
    """The first sweep ended before the token was answered; what it wrote down isn't the last word."""
    hall = Hall()
    hall.cut("tokens.succeed", after=False)
    with pytest.raises(Interrupted):
        hall.answer()
    assert hall.answer(REFUSAL)
    assert (list(hall.tokens.failed), hall.tokens.succeeded) == (["t"], {})
    assert hall.entry.status == "failed"


def test_a_new_token_takes_the_old_ones_place() -> None:
    hall = Hall()
    hall.tokens.waiting = {"t2"}
    hall.clock.forward(minutes=1)
    new = park(STATE, "t2", room=hall.room, clock=hall.clock)
    assert not hall.answer(parked=hall.parked)
    assert list(hall.room.everyone()) == [new], "the new one stays"
    assert hall.answer(parked=new)
    assert not list(hall.room.everyone())


def test_one_that_was_given_back_meanwhile_keeps_its_outcome() -> None:
    hall = Hall()
    hall.tokens.waiting.clear()
    over = ServerOutcome(outcome="failed", at=NOON, stage=STAGE, error="States.Timeout")
    hall.book.settle(RUN, SERVER, over)
    assert not hall.answer()
    record = hall.book.find(RUN, SERVER)
    assert record is not None
    assert (record.outcome, record.progress) == (over, None)
    assert not list(hall.room.everyone())


def test_one_that_the_book_does_not_know_is_only_told() -> None:
    hall = Hall()
    hall.book.records.clear()
    assert hall.answer()
    assert not list(hall.room.everyone())
