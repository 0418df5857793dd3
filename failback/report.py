"""The end of a run: how it went, in the run log and as a report that stays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from failback.model.report import Provenance, RunReport
from failback.model.run import Outcome, facts_of
from failback.naming import report_key

if TYPE_CHECKING:
    from datetime import datetime

    from failback.model.run import Failure, RunState
    from failback.ports import ObjectStore, RunLog

LONGEST_CAUSE = 4000
"""Characters of a cause: it stands in the execution's own record, and in a person's terminal."""


def write_report(state: RunState, *, objects: ObjectStore, run_log: RunLog, now: datetime) -> Outcome:
    """Close the run and write its report; may be repeated."""
    outcome = judge(state).model_copy(update={"report": report_key(state.run.id)})
    run_log.close(state.run.id, outcome, now)
    report = RunReport(
        outcome=outcome,
        history=run_log.read(state.run.id),
        provenance=provenance(state),
        given_back=facts_of(state.give_back),
    )
    objects.write(report_key(state.run.id), report.model_dump_json(indent=2).encode(), tags={})
    return outcome


def judge(state: RunState) -> Outcome:
    """How the run ended: the first stage that failed for good is its failure."""
    for stage, failure in state.failed.items():
        error, cause = explain(failure)
        return Outcome(outcome="failed", stage=stage, error=error, cause=f"{stage}: {cause}"[:LONGEST_CAUSE])
    return Outcome(outcome="done")


def explain(failure: Failure) -> tuple[str, str]:
    """The error's name and its text; a function's own failures come as JSON (Lambda, "errorMessage")."""
    try:
        cause = json.loads(failure.Cause)
    except ValueError:
        return failure.Error, failure.Cause
    if not isinstance(cause, dict):
        return failure.Error, failure.Cause
    return failure.Error, str(cause.get("errorMessage", failure.Cause))


def provenance(state: RunState) -> Provenance | None:
    """What the image at home was made of, step by step; None where the run didn't get to know it."""
    plan = facts_of(state.find_client_image)
    if plan is None:
        return None
    tested = facts_of(state.boot_test)
    return Provenance(
        key=plan.key,
        published=plan.published,
        iso=state.iso,
        ami=state.ami,
        export=state.export,
        image=tested.image if tested else state.image,
        mark=tested.mark if tested else "",
    )
