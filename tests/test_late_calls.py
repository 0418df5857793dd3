"""Cleaning up waits for whoever may still be at work on the run, and for nobody else."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from failback.clean_up import ABORTED
from failback.errors import CutOverFailed, Stopped
from failback.milestones import judge
from failback.model.call import Call
from failback.model.ending import Outcome, Returned
from failback.model.record import RunRecord, StageEntry
from failback.model.server import ServerOutcome
from failback.report import write_report
from failback.run_over import LONGEST_CALL, MARGIN, at_work, call_of, is_over, say_over
from failback.sweep import LEASE
from tests.client_bench import SERVER, Bench
from tests.memory.clock import NOON
from tests.memory.decision_book import MemoryDecisionBook
from tests.memory.objects import MemoryObjects
from tests.memory.run_log import MemoryRunLog
from tests.test_cut_over import at_home
from tests.test_home_return import broken, everything
from tests.test_milestones import case
from tests.test_report import RUN as REPORTED
from tests.test_report import failback_of, servers_of
from tests.test_run_request import check, clean, ended, start
from tests.test_whole_run_return import aborted, returned

if TYPE_CHECKING:
    from datetime import datetime

    from failback.model.server import Awaited

RUN = "r"
MINUTE = timedelta(minutes=1)


def entry(stage: str, at: datetime) -> StageEntry:
    return StageEntry(stage=stage, status="done", began=at, updated=at)


def test_a_call_ends_with_its_functions_time_out_at_the_latest() -> None:
    run_log, call = MemoryRunLog(), Call(id="a", until=NOON + MINUTE)
    assert at_work(RUN, run_log, NOON) is None
    run_log.begin(RUN, "boot_client", call, server="i-1")
    run_log.begin(RUN, "boot_client", Call(id="b", until=NOON), server="i-1")
    end = NOON + MINUTE + MARGIN
    assert at_work(RUN, run_log, NOON) == end
    assert at_work(RUN, run_log, end) is None
    run_log.note(RUN, entry("boot_client", NOON), server="i-1", call=call)
    assert at_work(RUN, run_log, NOON) == NOON + MARGIN


def test_a_function_that_is_not_told_its_time_has_the_longest() -> None:
    assert call_of(object(), NOON) == Call(id="unknown", until=NOON + LONGEST_CALL)


def test_that_a_run_is_over_is_said_once() -> None:
    decisions = MemoryDecisionBook()
    assert not is_over(decisions.of(RUN))
    for minutes in range(3):
        say_over(RUN, decisions, at=NOON + minutes * MINUTE, why="stopped")
    assert [each.at for each in decisions.of(RUN)] == [NOON]
    assert is_over(decisions.of(RUN))


def begun(bench: Bench, *, minutes: int = 5) -> Call:
    """A call that was invoked before the end, and goes on."""
    call = Call(id="late", until=bench.clock.now() + minutes * MINUTE)
    bench.run_log.begin(bench.state.run.id, "boot_client", call, server=SERVER)
    return call


def test_nothing_is_undone_while_a_call_may_be_at_work() -> None:
    bench, was = broken("new", "launched")
    aborted(bench)
    call, there = begun(bench), everything(bench)
    waiting = bench.give_back()
    assert (waiting.status, waiting.wait_seconds > 0, waiting.cursor) == ("pending", True, None)
    assert waiting.progress is not None
    assert "may be at work until" in waiting.progress.note
    assert everything(bench) == there != was
    assert bench.record.outcome is not None, "a late call of cut_over starts nothing any more"
    bench.run_log.note(bench.state.run.id, entry("boot_client", bench.clock.now()), server=SERVER, call=call)
    assert returned(bench).left == ()
    assert everything(bench) == was


def test_a_call_that_died_is_waited_for_until_its_time_is_up() -> None:
    bench, was = broken("new", "launched")
    aborted(bench)
    begun(bench)
    assert bench.give_back().status == "pending"
    bench.clock.forward(seconds=5 * 60 + MARGIN.total_seconds())
    assert returned(bench).left == ()
    assert everything(bench) == was


def test_one_who_is_not_at_work_is_not_waited_for() -> None:
    bench, _ = broken("new", "launched")
    aborted(bench)
    first = bench.give_back()
    assert first.progress is not None
    assert "at work" not in first.progress.note
    assert is_over(bench.decisions.of(bench.state.run.id))


def test_a_sweep_that_is_on_is_waited_for() -> None:
    bench, was = broken("new", "launched")
    aborted(bench)
    now = bench.clock.now()
    bench.run_log.lease(LEASE, "a sweep", now=now, until=now + MINUTE)
    waiting = bench.give_back()
    assert waiting.status == "pending"
    assert waiting.progress is not None
    assert "the watcher may be at work" in waiting.progress.note
    bench.run_log.release(LEASE, "a sweep")
    assert returned(bench).left == ()
    assert everything(bench) == was
    assert LEASE not in bench.run_log.leases


def test_a_run_that_closed_itself_meanwhile_keeps_everything() -> None:
    bench, _ = broken("new", "launched")
    aborted(bench)
    there = everything(bench)
    bench.run_log.close(bench.state.run.id, Outcome(outcome="done"), NOON)
    assert bench.give_back().facts == Returned()
    assert everything(bench) == there


def test_another_goal_waits_for_nobody() -> None:
    bench, _ = broken("new", "launched")
    fields = {
        "run": bench.state.run.id, "execution": "e", "goal": "failback", "target": "t", "home": "azure",
        "started": NOON,
    }  # fmt: skip
    bench.run_log.open(RunRecord.model_validate(fields))
    begun(bench)
    result = bench.give_back()
    assert result.status == "done" or result.cursor is not None
    assert not bench.decisions.of(bench.state.run.id)


def test_a_request_whose_run_was_ended_meanwhile_keeps_no_lock_and_no_open_run() -> None:
    class Ended(MemoryRunLog):
        """The end is told before the run is opened, which a call does that goes on."""

        def open(self, record: RunRecord) -> None:
            say_over(record.run, self.decisions, at=NOON, why="stopped from outside")
            super().open(record)

    run_log, event = Ended(), start()
    with pytest.raises(Stopped):
        check(event, run_log)
    assert not run_log.leases
    assert run_log.records[event.name].status == "failed"


def test_the_report_of_a_run_that_closed_itself_tells_of_its_own_end() -> None:
    state, run_log = failback_of(servers_of(REPORTED, "home"))
    state = state.model_copy(update={"goal": "clean_up"})
    run_log.close(REPORTED, Outcome(outcome="done"), NOON)
    outcome = write_report(state, objects=MemoryObjects(), run_log=run_log, now=NOON)
    assert (outcome.outcome, run_log.records[REPORTED].status) == ("done", "done")


def test_a_run_is_cleaned_up_after_again_if_that_is_asked_for() -> None:
    run_log = MemoryRunLog()
    ended(run_log, "broken-off", "nothing", status="running")
    run_log.close("broken-off", Outcome(outcome="failed", error=ABORTED), NOON)
    assert check(clean(), run_log).goal == "clean_up"


@pytest.mark.parametrize("milestone", ["replication", "approval", "commit", "hold"])
def test_nobody_answers_for_a_run_that_is_over(milestone: Awaited) -> None:
    """Neither accepted nor kept: what becomes of it is for whoever cleans up to say."""
    decisions = MemoryDecisionBook()
    say_over(RUN, decisions, at=NOON, why="stopped")
    judgement = judge(case(milestone, *decisions.of(RUN), not_before=NOON))
    assert isinstance(judgement.refusal, Stopped)
    assert judgement.facts is None


@pytest.mark.parametrize("way", ["new", "original"])
def test_a_change_that_goes_on_after_the_end_was_said_notes_no_start(way: str) -> None:
    """It's given back then as one that wasn't started: what's only noted counts as started."""
    bench = at_home(way)
    said = ServerOutcome(outcome="failed", at=NOON, stage="", error=ABORTED, cause="its execution was stopped")
    bench.run_log.servers.settle(bench.state.run.id, SERVER, said)
    with pytest.raises(CutOverFailed, match="isn't started at home"):
        bench.changed_over()
    assert bench.record.milestones.started is None
