"""Which ends of executions are cleaned up after, and that each is once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from failback.clean_up import ExecutionEnd, clean_up
from failback.model.record import RunRecord
from failback.model.request import StartEvent
from tests.memory.clock import NOON
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
        told = clean_up(end(status=status), machine=MACHINE, run_log=run_log, executions=executions)
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
        (end(executionArn=f"{EXECUTIONS}-2:run-1"), log_of(), "no such run"),
        (end(), log_of(status="failed"), "its own end"),
        (end(), log_of(status="done"), "its own end"),
    ],
    ids=["succeeded", "another-machine", "cleaning-up", "another-execution", "failed-by-itself", "done"],
)
def test_any_other_end_is_left_alone(told: ExecutionEnd, run_log: MemoryRunLog, part: str) -> None:
    executions = MemoryExecutions()
    answer = clean_up(told, machine=MACHINE, run_log=run_log, executions=executions)
    assert part in answer.why
    assert not answer.execution
    assert not executions.started


def test_the_longest_names_name_an_execution() -> None:
    name = "r" * 80
    executions = MemoryExecutions()
    told = clean_up(end(name), machine=MACHINE, run_log=log_of(name), executions=executions)
    assert list(executions.started) == [told.execution]
