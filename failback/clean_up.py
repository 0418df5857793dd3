"""Cleaning up after executions that ended without giving anything back: no Catch runs where one is stopped.

A new execution gives back what the broken-off one made: under the run's own id, so that its locks, its records and the
tags on everything it made still count.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict, Field

from failback.errors import CloudBusy, Stopped
from failback.model.ending import Outcome
from failback.model.facts import Facts
from failback.run_over import is_over, say_over
from failback.stopping import stop_of, stopped_by
from failback.unreturned import unreturned

if TYPE_CHECKING:
    from failback.model.record import RunHistory, RunRecord
    from failback.ports import Clock, RunLog
    from failback.recovery_ports import DecisionBook

PREFIX = "clean-up-"
LONGEST_NAME = 80
"""Characters of an execution's name (StartExecution, `name`)."""
ABORTED = "Aborted"
"""The error of a run, and of its servers, that an execution left unfinished."""
ENDED = frozenset({"ABORTED", "TIMED_OUT", "FAILED"})
"""FAILED too: Step Functions itself fails an execution whose history or state is too long."""
_WHY = {
    "ABORTED": "its execution was stopped from outside",
    "TIMED_OUT": "its execution ran into its time limit",
    "FAILED": "its execution broke off",
}


class Executions(Protocol):
    """Executions of the product's own state machine."""

    def start(self, name: str, given: str) -> None:
        """Start one with that input (JSON); one of that name that has been started already is fine."""
        ...

    def stop(self, execution: str, cause: str) -> None:
        """End the execution with that ARN; one that has ended, or was never started, is fine."""
        ...

    def goes_on(self, execution: str) -> bool:
        """Whether the execution with that ARN hasn't ended; what was said of it a moment ago may still be told."""
        ...


class ExecutionEnd(BaseModel):
    """What counts of "Step Functions Execution Status Change" (Step Functions developer guide, EventBridge).

    `stopped` comes in milliseconds since 1970.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    execution: str = Field(alias="executionArn")
    machine: str = Field(alias="stateMachineArn")
    name: str
    status: str
    stopped: datetime | None = Field(default=None, alias="stopDate")


class CleanUp(Facts):
    """What came of an execution's end: the execution that cleans up after it, or why none does."""

    run: str
    execution: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class CleanUpDesk:
    """What it takes: the run log, the decisions, who starts executions, the clock."""

    run_log: RunLog
    decisions: DecisionBook
    executions: Executions
    clock: Clock


def clean_up(end: ExecutionEnd, *, machine: str, desk: CleanUpDesk) -> CleanUp:
    """Start giving back what an execution left behind, if it's a run of ours that didn't come to its own end.

    That it's over is said before, so that nothing of it begins any more. Told twice, it's said and started once. What
    cleans up has no record of its own, so nothing cleans up after it.
    """
    if end.machine != machine or end.status not in ENDED:
        return CleanUp(run=end.name, why="it isn't the end of a run of this deployment")
    record = _record(end, desk.run_log)
    if _is_no_run(end, record):
        return CleanUp(run=end.name, why="no such run was begun")
    if record is not None and record.status != "running":
        return CleanUp(run=end.name, why="the run came to its own end")
    say_over(end.name, desk.decisions, at=end.stopped or desk.clock.now(), why=_WHY[end.status])
    # A check of the request that goes on may have opened it meanwhile; one that opens it later sees that it's over.
    record = record or _record(end, desk.run_log)
    if record is None:
        return CleanUp(run=end.name, why="no such run was begun")
    for part in record.parts:
        # Step Functions does so by itself, but promises only its best effort.
        desk.executions.stop(_beside(end.execution, part), f"its run {end.name} is over: {_WHY[end.status]}")
    name = f"{PREFIX}{end.name}"[:LONGEST_NAME]
    desk.executions.start(name, json.dumps({"goal": "clean_up", "target": record.target, "clean_up": end.name}))
    return CleanUp(run=end.name, execution=name)


def _beside(execution: str, name: str) -> str:
    """The ARN of another execution of the same state machine."""
    return f"{execution.rpartition(':')[0]}:{name}"


def _record(end: ExecutionEnd, run_log: RunLog) -> RunRecord | None:
    history = run_log.read(end.name)
    return history.record if history else None


def check_not_over(run: str, *, run_log: RunLog, decisions: DecisionBook, now: datetime, whole: str = "") -> None:
    """Raises Stopped for a run that has been opened too late: its execution was ended meanwhile, or that of the run
    that it's a part of (`whole`). It's closed then."""
    for each in (run, whole) if whole else (run,):
        said = decisions.of(each, subject="stop")
        stop = stop_of(said) if is_over(said) else None
        if stop is not None:
            run_log.close(run, Outcome(outcome="failed", error=ABORTED, cause=stop.why), now)
            raise Stopped(stopped_by(stop))


def _is_no_run(end: ExecutionEnd, record: RunRecord | None) -> bool:
    """Whether there's nothing to say: one that was stopped may still be opened, by a call that goes on."""
    if record is None:
        return end.status == "FAILED" or end.name.startswith(PREFIX)
    return record.execution != end.execution


def came_to_its_own_end(record: RunRecord) -> bool:
    """Whether the run ended by itself; one that was cleaned up after is cleaned up after again, if that's asked for."""
    return record.status != "running" and (record.outcome is None or record.outcome.error != ABORTED)


def cleaning_name(run: str, time: str) -> str:
    """What an execution is called that tries once more to clean up after a run, begun at that time."""
    return f"{PREFIX}{run}"[: LONGEST_NAME - len(time) - 1] + f"-{time}"


def clean_up_faults(history: RunHistory | None, run: str, target: object) -> list[str]:
    """Why the run can't be cleaned up after."""
    if history is None:
        return [f"clean_up: there is no run {run!r}"]
    record, faults = history.record, []
    if came_to_its_own_end(record) and record.parts:
        faults.append(f"clean_up: run {run} has made nothing itself; name the part that did: {', '.join(record.parts)}")
    elif came_to_its_own_end(record) and not unreturned(history):
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
