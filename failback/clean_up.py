"""Cleaning up after executions that ended without giving anything back: no Catch runs where one is stopped.

A new execution gives back what the broken-off one made: under the run's own id, so that its locks, its records and the
tags on everything it made still count.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict, Field

from failback.errors import CloudBusy
from failback.model.facts import Facts

if TYPE_CHECKING:
    from failback.model.record import RunHistory
    from failback.ports import RunLog

PREFIX = "clean-up-"
LONGEST_NAME = 80
"""Characters of an execution's name (StartExecution, `name`)."""
ABORTED = "Aborted"
"""The error of a run, and of its servers, that an execution left unfinished."""
ENDED = frozenset({"ABORTED", "TIMED_OUT", "FAILED"})
"""FAILED too: Step Functions itself fails an execution whose history or state is too long."""


class Executions(Protocol):
    """Executions of the product's own state machine."""

    def start(self, name: str, given: str) -> None:
        """Start one with that input (JSON); one of that name that has been started already is fine."""
        ...

    def goes_on(self, execution: str) -> bool:
        """Whether the execution with that ARN hasn't ended; what was said of it a moment ago may still be told."""
        ...


class ExecutionEnd(BaseModel):
    """What counts of "Step Functions Execution Status Change" (Step Functions developer guide, EventBridge)."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    execution: str = Field(alias="executionArn")
    machine: str = Field(alias="stateMachineArn")
    name: str
    status: str


class CleanUp(Facts):
    """What came of an execution's end: the execution that cleans up after it, or why none does."""

    run: str
    execution: str = ""
    why: str = ""


def clean_up(end: ExecutionEnd, *, machine: str, run_log: RunLog, executions: Executions) -> CleanUp:
    """Start giving back what an execution left behind, if it's a run of ours that didn't come to its own end.

    Told twice, it's started once. What cleans up has no record of its own, so nothing cleans up after it.
    """
    if end.machine != machine or end.status not in ENDED:
        return CleanUp(run=end.name, why="it isn't the end of a run of this deployment")
    history = run_log.read(end.name)
    if history is None or history.record.execution != end.execution:
        return CleanUp(run=end.name, why="no such run was begun")
    if history.record.status != "running":
        return CleanUp(run=end.name, why="the run came to its own end")
    name = f"{PREFIX}{end.name}"[:LONGEST_NAME]
    executions.start(name, json.dumps({"goal": "clean_up", "target": history.record.target, "clean_up": end.name}))
    return CleanUp(run=end.name, execution=name)


def clean_up_faults(history: RunHistory | None, run: str, target: object) -> list[str]:
    """Why the run can't be cleaned up after."""
    if history is None:
        return [f"clean_up: there is no run {run!r}"]
    record, faults = history.record, []
    if record.status != "running":
        faults.append(f"clean_up: run {run} came to its own end, and gave back what was to be; its report says what")
    if target != record.target:
        faults.append(f"target: run {run} was one of target {record.target!r}; name that")
    return faults


def check_over(execution: str, executions: Executions) -> None:
    """Raises CloudBusy while the execution goes on: two would work on the same things."""
    if executions.goes_on(execution):
        message = (
            f"the execution {execution} goes on still, as far as Step Functions says. It's asked again, since "
            "that may lag behind; a run that isn't over is stopped by 'failback stop', which gives everything back"
        )
        raise CloudBusy(message)
