"""The doorway: what it decodes, encodes, logs, measures and records; and what it does with failures."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from failback.doorway import stage_doorway
from failback.errors import CloudBusy, IsoNotPublished, StageTimedOut, Stopped
from failback.model.call import Call
from failback.model.decision import Decision
from failback.model.record import RunRecord
from failback.model.run import CopyCursor, StoredIso
from failback.model.stage import Progress, StageResult
from failback.run_over import ENDED_BY, say_over
from tests.memory.clock import NOON, FixedClock
from tests.memory.decision_book import MemoryDecisionBook
from tests.memory.run_log import MemoryRunLog
from tests.states import event_of, state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.model.record import StageEntry
    from failback.model.run import RunState

T = TypeVar("T")
EVENT = event_of("fetch_iso")
STATE = state_of("fetch_iso")
CONTEXT = SimpleNamespace(aws_request_id="r-1")
Result = StageResult[StoredIso, CopyCursor]


class _Foreign(Exception):
    """What an SDK raises."""


class Around:
    """Surroundings in memory."""

    def __init__(self) -> None:
        self.run_log, self.clock, self.deadline = MemoryRunLog(), FixedClock(), timedelta(minutes=10)
        self.decisions = MemoryDecisionBook()
        record = RunRecord(
            run=STATE.run.id, execution="e", goal="prepare", target="t", home="azure", started=STATE.run.started
        )
        self.run_log.open(record)

    def guard(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except _Foreign as error:
            message = "the cloud throttles"
            raise CloudBusy(message) from error

    @property
    def entry(self) -> StageEntry:
        history = self.run_log.read(STATE.run.id)
        assert history is not None
        (entry,) = history.stages
        return entry


def call(work: Callable[[RunState, Around], Result], around: Around, **changed: object) -> dict[str, Any]:
    return stage_doorway("fetch_iso", work, lambda: around)({**EVENT, **changed}, CONTEXT)


def test_a_slice_is_encoded_and_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    around = Around()

    def work(_state: RunState, around: Around) -> Result:
        around.clock.forward(seconds=2)
        cursor = CopyCursor(upload="u", next_byte=512)
        return StageResult(status="more", cursor=cursor, progress=Progress(done=512, total=1024))

    result = call(work, around)
    assert CopyCursor.model_validate(json.loads(json.dumps(result))["cursor"]) == CopyCursor(upload="u", next_byte=512)
    assert set(result) == {"status", "wait_seconds", "since", "progress", "cursor", "facts"}
    assert around.entry.status == "more"
    assert around.entry.progress == Progress(done=512, total=1024)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    logged = next(line for line in lines if line.get("message") == "stage called")
    assert (logged["run"], logged["request"]) == (STATE.run.id, "r-1")
    measured = next(line for line in lines if "StageSeconds" in line)
    assert measured["StageSeconds"] == [2.0]


def test_the_first_call_stays_the_first() -> None:
    around = Around()
    first = call(lambda _state, _around: StageResult(status="more"), around)
    around.clock.forward(minutes=3)
    second = call(lambda _state, _around: StageResult(status="done"), around, fetch_iso=first)
    assert second["since"] == first["since"]
    assert around.entry.calls == 2


def test_a_failure_keeps_its_name_and_is_recorded() -> None:
    around = Around()

    def work(_state: RunState, _around: Around) -> Result:
        message = "there's no ISO under that version"
        raise IsoNotPublished(message)

    with pytest.raises(IsoNotPublished):
        call(work, around)
    assert (around.entry.status, around.entry.error) == ("failed", "IsoNotPublished")
    assert "no ISO" in around.entry.advice


def test_an_sdks_error_becomes_one_of_ours() -> None:
    around = Around()

    def work(_state: RunState, _around: Around) -> Result:
        raise _Foreign

    with pytest.raises(CloudBusy):
        call(work, around)
    assert around.entry.error == "CloudBusy"


def test_a_stage_that_is_not_done_by_its_deadline_fails() -> None:
    around = Around()
    first = call(lambda _state, _around: StageResult(status="more"), around)
    around.clock.forward(minutes=11)
    note = Progress(done=1, total=2, note="the snapshot is pending")
    with pytest.raises(StageTimedOut, match="the snapshot is pending"):
        call(lambda _state, _around: StageResult(status="pending", progress=note), around, fetch_iso=first)
    finished = call(lambda _state, _around: StageResult(status="done"), around, fetch_iso=first)
    assert finished["status"] == "done"


def stop(**changed: object) -> Decision:
    told = {"subject": "stop", "scope": "run", "verdict": "stop", "actor": "ops", "known_by": "IAM", "at": NOON}
    return Decision.model_validate({**told, "why": "the line is cut", **changed})


def test_a_stage_that_can_be_stopped_does_nothing_once_the_run_is() -> None:
    around, calls = Around(), []

    def work(_state: RunState, _around: Around) -> Result:
        calls.append("work")
        return StageResult(status="more")

    handler = stage_doorway("fetch_iso", work, lambda: around, stoppable=True)
    handler(EVENT, CONTEXT)
    around.decisions.decide(STATE.run.id, stop(subject="hold", scope="i-1", verdict="retry"))
    handler(EVENT, CONTEXT)
    around.decisions.decide(STATE.run.id, stop())
    with pytest.raises(Stopped, match="ops stopped the run at 2026-11-22 12:00 UTC: the line is cut"):
        handler(EVENT, CONTEXT)
    assert calls == ["work", "work"]
    assert (around.entry.status, around.entry.error) == ("failed", "Stopped")


def test_another_stage_goes_on_when_a_person_stops_the_run_and_not_once_it_is_over() -> None:
    around, calls = Around(), []

    def work(_state: RunState, _around: Around) -> Result:
        calls.append("work")
        return StageResult(status="done")

    around.decisions.decide(STATE.run.id, stop(actor=ENDED_BY))
    assert call(work, around)["status"] == "done"
    assert around.decisions.read == 1
    say_over(STATE.run.id, around.decisions, at=NOON, why="its execution was stopped from outside")
    with pytest.raises(Stopped):
        call(work, around)
    assert calls == ["work"]
    assert list(around.run_log.at_work(STATE.run.id)) == []


def test_whoever_cleans_up_goes_on_and_is_not_waited_for() -> None:
    around = Around()
    say_over(STATE.run.id, around.decisions, at=NOON, why="it was stopped")

    def work(state: RunState, around: Around) -> Result:
        assert not around.run_log.at_work(state.run.id)
        return StageResult(status="done")

    assert call(work, around, goal="clean_up")["status"] == "done"


@pytest.mark.parametrize("error", [None, CloudBusy("later"), RuntimeError("a fault of ours")])
def test_a_call_is_at_work_until_it_notes_its_end(error: Exception | None) -> None:
    """One that dies is at work until its function's time-out, as far as anybody knows."""
    around, left = Around(), SimpleNamespace(aws_request_id="r-2", get_remaining_time_in_millis=lambda: 300_000)
    during: list[Call] = []

    def work(state: RunState, around: Around) -> Result:
        during.extend(around.run_log.at_work(state.run.id))
        if error is not None:
            raise error
        return StageResult(status="done")

    handler = stage_doorway("fetch_iso", work, lambda: around)
    with nullcontext() if error is None else pytest.raises(type(error)):
        handler(EVENT, left)
    assert during == [Call(id="r-2", until=NOON + timedelta(minutes=5))]
    died = isinstance(error, RuntimeError)
    assert list(around.run_log.at_work(STATE.run.id)) == (during if died else [])


def test_whoever_asks_after_the_end_is_said_sees_every_call_that_goes_on() -> None:
    """The call notes itself before it asks: so one of the two sees the other."""
    around, order = Around(), []

    class Watched(MemoryDecisionBook):
        def of(self, run: str, **more: Any) -> Any:  # noqa: ANN401
            order.append(len(around.run_log.at_work(run)))
            return super().of(run, **more)

    around.decisions = Watched()
    call(lambda _state, _around: StageResult(status="done"), around)
    assert order == [1]
