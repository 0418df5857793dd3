"""The end of a run: how it went, in the run log and as a report that stays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from failback.model.report import Provenance, RunReport, ServerReport
from failback.model.run import Outcome, facts_of
from failback.naming import report_key, server_lock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from failback.model.record import ServerHistory
    from failback.model.run import Failure, RunState
    from failback.model.server import ServerRecord
    from failback.ports import ObjectStore, RunLog

LONGEST_CAUSE = 4000
"""Characters of a cause: it stands in the execution's own record, and in a person's terminal."""


LONGEST_SHARE = 300
"""Characters of one server's cause within its run's."""


def write_report(state: RunState, *, objects: ObjectStore, run_log: RunLog, now: datetime) -> Outcome:
    """Close the run, let go of its servers and write its report; may be repeated."""
    history = run_log.read(state.run.id)
    servers = history.servers if history else ()
    outcome = judge(state, [each.record for each in servers])
    outcome = outcome.model_copy(update={"report": report_key(state.run.id)})
    run_log.close(state.run.id, outcome, now)
    for server in state.servers:
        run_log.release(server_lock(server.id), state.run.id)
    closed = run_log.read(state.run.id)
    report = RunReport(
        outcome=outcome,
        history=closed.model_copy(update={"servers": ()}) if closed else None,
        provenance=provenance(state),
        servers=tuple(server_report(each) for each in servers),
        given_back=facts_of(state.give_back),
    )
    objects.write(report_key(state.run.id), report.model_dump_json(indent=2).encode(), tags={})
    return outcome


def judge(state: RunState, servers: Sequence[ServerRecord] = ()) -> Outcome:
    """How the run ended: the first stage that failed for good is its failure, or else the servers' that failed."""
    # Members of JSON have no order: what led to giving back comes before its own failure.
    for stage, failure in sorted(state.failed.items(), key=lambda each: each[0] == "give_back"):
        error, cause = explain(failure)
        return Outcome(outcome="failed", stage=stage, error=error, cause=f"{stage}: {cause}"[:LONGEST_CAUSE])
    if state.goal != "failback":
        return Outcome(outcome="done")
    known = {record.id: record for record in servers}
    told = {server.id: _share(known.get(server.id)) for server in state.servers}
    failed = [f"{server}: {share}" for server, share in told.items() if share]
    if not failed:
        return Outcome(outcome="done")
    return Outcome(outcome="failed", stage="servers", error="ServersFailed", cause=_causes(failed, len(told)))


def server_report(server: ServerHistory) -> ServerReport:
    """One server's part of the report."""
    began = min((entry.began for entry in server.stages), default=None)
    ended = max((entry.updated for entry in server.stages), default=None)
    seconds = (ended - began).total_seconds() if began and ended else 0.0
    return ServerReport(record=server.record, stages=server.stages, began=began, ended=ended, seconds=seconds)


def _share(record: ServerRecord | None) -> str:
    """What a server has to say of its run's failure; nothing where it's ready."""
    outcome = record.outcome if record else None
    if outcome is None:
        return "nothing is known of its end; look at its own execution"
    if outcome.outcome == "ready":
        return ""
    name = f"{record.plan.hostname} " if record and record.plan else ""
    return f"{name}failed at {outcome.stage or 'an unknown stage'}: {' '.join(outcome.cause.split())}"[:LONGEST_SHARE]


def _causes(failed: Sequence[str], count: int) -> str:
    """As many servers' causes as there's room for, and how many there are besides."""
    text = f"{len(failed)} of {count} servers failed; the others go on. "
    for number, each in enumerate(failed):
        more = f"; and {len(failed) - number} more: the report names all of them"
        if len(text) + len(each) + len(more) > LONGEST_CAUSE:
            return text.rstrip("; ") + more
        text += f"{each}; "
    return text.rstrip("; ")


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
