"""How a run has ended, and what is left to tell of it: from its execution, and from what it noted itself."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from failback.model.ending import Failure, Outcome, Returned
from failback.model.record import RunHistory, RunRecord
from failback.progress import GIVE_BACK
from failback.report import explain

if TYPE_CHECKING:
    from cli.deployment import Execution

# What Step Functions gives no error for, and what it means to a person.
STOPPED = {
    "ABORTED": "the execution was stopped by a person or a program",
    "TIMED_OUT": "the execution took longer than its machine allows",
    "SUCCEEDED": "",
}


def history_of(run: str, *, execution: Execution | None, noted: RunHistory | None) -> RunHistory | None:
    """What the run log has; of a run that was refused, or isn't noted yet, what its execution tells; else None."""
    if noted is not None or execution is None:
        return noted
    record = RunRecord(
        run=run,
        execution=execution.arn,
        goal="prepare",
        target="",
        home="",
        started=execution.started.astimezone(UTC),
        ended=execution.stopped.astimezone(UTC) if execution.stopped else None,
    )
    return RunHistory(record=record)


def outcome_of(execution: Execution | None, noted: RunHistory | None) -> Outcome | None:
    """How the run ended, None while it runs.

    The execution's own state counts, since the run log is closed shortly before it; an execution that AWS has
    forgotten has ended in any case.
    """
    if execution is not None and execution.status in {"RUNNING", "PENDING_REDRIVE"}:
        return None
    told = noted.record.outcome if noted else None
    if told is not None:
        return told
    if execution is None:
        return Outcome(outcome="failed", error="Unknown", cause="its execution isn't known any more, nor how it ended")
    if execution.status == "SUCCEEDED":
        return Outcome(outcome="done")
    error, cause = explain(Failure(Error=execution.error, Cause=execution.cause))
    stopped = STOPPED.get(execution.status, "")
    return Outcome(
        outcome="failed",
        stage=_failed_stage(noted),
        error=error or execution.status,
        cause=": ".join(text for text in (stopped, cause) if text),
    )


def _failed_stage(noted: RunHistory | None) -> str:
    """The stage that the run ended in; one that noted nothing was never let in."""
    if noted is None:
        return "check_request"
    return next((entry.stage for entry in noted.stages if entry.status == "failed"), "")


def given_back(noted: RunHistory) -> Returned | None:
    """What a failed run removed and had to leave; None where it didn't get to that."""
    entry = next((entry for entry in noted.stages if entry.stage == GIVE_BACK), None)
    return Returned.model_validate(entry.facts) if entry and entry.facts is not None else None


def advice_of(noted: RunHistory, outcome: Outcome) -> str:
    """What the failed stage advises, where the cause doesn't say it already."""
    entry = next((entry for entry in noted.stages if entry.stage == outcome.stage), None)
    return entry.advice if entry and entry.advice and entry.advice not in outcome.cause else ""
