"""The doorway: what it decodes, encodes, logs, measures and records; and what it does with failures."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from failback.doorway import stage_doorway
from failback.errors import CloudBusy, IsoNotPublished, StageTimedOut, Stopped
from failback.model.decision import Decision
from failback.model.record import RunRecord
from failback.model.run import CopyCursor, StoredIso
from failback.model.stage import Progress, StageResult
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
    assert json.loads(json.dumps(result))["cursor"] == {"upload": "u", "next_byte": 512, "copied": False}
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


def test_another_stage_asks_for_no_decision() -> None:
    around = Around()
    around.decisions.decide(STATE.run.id, stop())
    assert call(lambda _state, _around: StageResult(status="done"), around)["status"] == "done"
    assert around.decisions.read == 0
