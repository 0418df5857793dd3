"""Which ends of executions are cleaned up after, and that each is once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from failback.clean_up import ABORTED, CleanUpDesk, ExecutionEnd, check_not_over, clean_up
from failback.errors import Stopped
from failback.model.decision import Decision
from failback.model.record import RunRecord
from failback.model.request import StartEvent
from failback.run_over import ENDED_BY, KNOWN_BY, is_over
from tests.memory.clock import NOON, FixedClock
from tests.memory.executions import MemoryExecutions
from tests.memory.run_log import MemoryRunLog

MACHINE = "arn:aws:states:eu-west-1:111122223333:stateMachine:drs-failback"
EXECUTIONS = "arn:aws:states:eu-west-1:111122223333:execution:drs-failback"


def end(name: str = "run-1", **changed: object) -> ExecutionEnd:
    """As EventBridge tells it."""
    detail: dict[str, Any] = {
        "executionArn": f"{EXECUTIONS}:{name}", "stateMachineArn": MACHINE, "name": name, "status": "ABORTED",
        "startDate": 1795338000000, "stopDate": 1795341600000, "input": "{}", "output": None,
    }  # fmt: skip
    return ExecutionEnd.model_validate({**detail, **changed})


def desk_of(run_log: MemoryRunLog, executions: MemoryExecutions) -> CleanUpDesk:
    return CleanUpDesk(run_log, run_log.decisions, executions, FixedClock())


def log_of(name: str = "run-1", status: str = "running") -> MemoryRunLog:
    run_log = MemoryRunLog()
    fields = {
        "run": name, "execution": f"{EXECUTIONS}:{name}", "goal": "failback", "target": "azure-home", "home": "azure",
        "started": NOON, "status": status,
    }  # fmt: skip
    run_log.open(RunRecord.model_validate(fields))
    return run_log


@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT", "FAILED"])
def test_a_broken_off_run_is_cleaned_up_after_once(status: str) -> None:
    executions, run_log = MemoryExecutions(), log_of()
    for _ in range(2):
        told = clean_up(end(status=status), machine=MACHINE, desk=desk_of(run_log, executions))
        assert told.execution == "clean-up-run-1"
    wish = {"goal": "clean_up", "target": "azure-home", "clean_up": "run-1"}
    assert {name: json.loads(given) for name, given in executions.started.items()} == {"clean-up-run-1": wish}
    StartEvent(execution="arn", name="clean-up-run-1", started="2026-11-22T12:00:00Z", request=wish)


@pytest.mark.parametrize(
    ("told", "run_log", "part"),
    [
        (end(status="SUCCEEDED"), log_of(), "isn't the end of a run"),
        (end(stateMachineArn=f"{MACHINE}-2"), log_of(), "isn't the end of a run"),
        (end("clean-up-run-1"), log_of(), "no such run"),
        (end("refused", status="FAILED"), log_of(), "no such run"),
        (end(executionArn=f"{EXECUTIONS}-2:run-1"), log_of(), "no such run"),
        (end(), log_of(status="failed"), "its own end"),
        (end(), log_of(status="done"), "its own end"),
    ],
    ids=["succeeded", "another-machine", "cleaning-up", "refused", "another-execution", "failed-by-itself", "done"],
)
def test_any_other_end_is_left_alone(told: ExecutionEnd, run_log: MemoryRunLog, part: str) -> None:
    executions = MemoryExecutions()
    answer = clean_up(told, machine=MACHINE, desk=desk_of(run_log, executions))
    assert part in answer.why
    assert not answer.execution
    assert not executions.started
    assert not run_log.decisions.kept


def test_the_longest_names_name_an_execution() -> None:
    name = "r" * 80
    executions = MemoryExecutions()
    told = clean_up(end(name), machine=MACHINE, desk=desk_of(log_of(name), executions))
    assert list(executions.started) == [told.execution]


def test_that_the_run_is_over_is_said_once_and_before_anything_is_started() -> None:
    run_log, said = log_of(), []

    class Noting(MemoryExecutions):
        def start(self, name: str, given: str) -> None:
            said.append(list(run_log.decisions.of("run-1")))
            super().start(name, given)

    for stopped in (1795341600000, 1795341600000, None):
        clean_up(end(stopDate=stopped), machine=MACHINE, desk=desk_of(run_log, Noting()))
    (decision,) = run_log.decisions.of("run-1")
    assert said == [[decision]] * 3
    assert (decision.subject, decision.scope, decision.verdict) == ("stop", "run", "stop")
    assert (decision.actor, decision.known_by, decision.at.timestamp()) == (ENDED_BY, KNOWN_BY, 1795341600)
    assert "stopped from outside" in decision.why


def test_a_persons_stop_does_not_stand_for_it() -> None:
    run_log = log_of()
    stop = Decision(subject="stop", scope="run", verdict="stop", actor=ENDED_BY, known_by="IAM", at=NOON)
    run_log.decisions.decide("run-1", stop)
    clean_up(end(status="TIMED_OUT"), machine=MACHINE, desk=desk_of(run_log, MemoryExecutions()))
    assert len(run_log.decisions.of("run-1")) == 2
    assert is_over(run_log.decisions.of("run-1"))


def test_a_run_that_is_opened_after_its_end_is_closed_at_once() -> None:
    run_log, executions = MemoryRunLog(), MemoryExecutions()
    answer = clean_up(end(), machine=MACHINE, desk=desk_of(run_log, executions))
    assert "no such run" in answer.why
    record = log_of().records["run-1"]
    run_log.open(record)
    with pytest.raises(Stopped, match="clean_up_aborted stopped the run"):
        check_not_over("run-1", run_log=run_log, decisions=run_log.decisions, now=NOON)
    history = run_log.read("run-1")
    assert history is not None
    assert history.record.outcome is not None
    assert (history.record.status, history.record.outcome.error) == ("failed", ABORTED)


def test_a_run_that_is_opened_while_its_end_is_told_is_cleaned_up_after() -> None:
    run_log, executions = MemoryRunLog(), MemoryExecutions()
    record = log_of().records["run-1"]

    class Late(MemoryRunLog):
        """Opened between the first look and the second."""

        def read(self, run: str) -> Any:  # noqa: ANN401
            found = super().read(run)
            self.open(record)
            return found

    run_log = Late()
    assert clean_up(end(), machine=MACHINE, desk=desk_of(run_log, executions)).execution == "clean-up-run-1"
