"""The end of a run: how it went, in the run log and as a report that stays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from failback.clean_up import ABORTED, came_to_its_own_end
from failback.model.ending import Outcome
from failback.model.report import RunReport, TimelineEntry
from failback.model.stage import facts_of
from failback.naming import report_key, server_lock
from failback.provenance import provenance
from failback.server_report import server_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from failback.model.ending import Failure, Returned
    from failback.model.record import RunHistory, RunRecord, StageEntry
    from failback.model.report import Provenance, ServerReport
    from failback.model.run import RunState
    from failback.model.server import ServerRecord
    from failback.ports import ObjectStore, RunLog

LONGEST_CAUSE = 4000
"""Characters of a cause: it stands in the execution's own record, and in a person's terminal."""


LONGEST_PART = 1000
"""Characters of one part's cause within its run's."""
LONGEST_SHARE = 300
"""Characters of one server's cause within its run's."""
BROKEN_OFF = "the run's execution was stopped, timed out or broke off; what it had made was given back afterwards"


def write_report(state: RunState, *, objects: ObjectStore, run_log: RunLog, now: datetime) -> Outcome:
    """Close the run, let go of its servers and write its report; may be repeated."""
    history = run_log.read(state.run.id)
    servers = history.all_servers if history else ()
    outcome = _own_end(state, history) or judge(state, [each.record for each in servers], history)
    outcome = outcome.model_copy(update={"report": report_key(state.run.id)})
    run_log.close(state.run.id, outcome, now)
    for server in state.servers:
        run_log.release(server_lock(server.id), state.run.id)
    closed = run_log.read(state.run.id)
    report = run_report(state, outcome, closed)
    objects.write(report_key(state.run.id), report.model_dump_json(indent=2).encode(), tags={})
    return outcome


def _own_end(state: RunState, history: RunHistory | None) -> Outcome | None:
    """How a run has ended that is to be cleaned up after, where its last call still wrote that after its execution."""
    if state.goal != "clean_up" or history is None or not came_to_its_own_end(history.record):
        return None
    return history.record.outcome


def run_report(state: RunState, outcome: Outcome, history: RunHistory | None) -> RunReport:
    """Everything that the run log knows of it, and what the state has of giving back."""
    returned = facts_of(state.give_back)
    if history is None:
        return RunReport(outcome=outcome, history=None, provenance=None, given_back=returned)
    return history_report(history, outcome=outcome, returned=returned)


def history_report(history: RunHistory, *, outcome: Outcome | None, returned: Returned | None) -> RunReport:
    """Everything that the run log knows of it; also of a run that goes on: its `outcome` is None."""
    made_of = provenance(history.stages)
    servers = tuple(_server_reports(history, made_of))
    left = sum(len(each.left) for each in servers) + (len(returned.left) if returned else 0)
    return RunReport(
        outcome=outcome,
        history=_without_servers(history),
        provenance=made_of,
        servers=servers,
        timeline=tuple(timeline(history)),
        given_back=returned,
        findings=tuple(_findings(servers)) if outcome else (),
        advice=tuple(_advice(history.record, servers, left)) if outcome else (),
    )


def _server_reports(history: RunHistory, made_of: Provenance | None) -> Iterator[ServerReport]:
    """Of its own servers, and of those of its parts, each of which has an image of its own."""
    yield from (server_report(each, history, made_of) for each in history.servers)
    for part in history.parts:
        yield from _server_reports(part, provenance(part.stages))


def _without_servers(history: RunHistory) -> RunHistory:
    parts = tuple(map(_without_servers, history.parts))
    return history.model_copy(update={"servers": (), "parts": parts})


def execution_outcome(state: RunState, outcome: Outcome) -> Outcome:
    """How the execution ends: as its run, but one that cleans up has done its work though the run has failed."""
    if state.goal != "clean_up" or state.failed:
        return outcome
    return Outcome(outcome="done", report=outcome.report)


def judge(state: RunState, servers: Sequence[ServerRecord] = (), history: RunHistory | None = None) -> Outcome:
    """How the run ended: the first stage that failed for good is its failure, or else the servers' that failed."""
    # Members of JSON have no order: what led to giving back comes before its own failure.
    for stage, failure in sorted(state.failed.items(), key=lambda each: each[0] == "give_back"):
        error, cause = explain(failure)
        return Outcome(outcome="failed", stage=stage, error=error, cause=f"{stage}: {cause}"[:LONGEST_CAUSE])
    if state.goal == "clean_up":
        return Outcome(outcome="failed", error=ABORTED, cause=BROKEN_OFF)
    if state.parts:
        return _outcome_of_parts(state, history)
    if state.goal not in {"failback", "rehearse"}:
        return Outcome(outcome="done")
    known = {record.id: record for record in servers}
    told = {server.id: _share(known.get(server.id)) for server in state.servers}
    failed = [f"{server}: {share}" for server, share in told.items() if share]
    if not failed:
        return Outcome(outcome="done")
    return Outcome(outcome="failed", stage="servers", error="ServersFailed", cause=_causes(failed, len(told)))


def _outcome_of_parts(state: RunState, history: RunHistory | None) -> Outcome:
    """How a run for several targets ended: well, if each of its parts did."""
    ends = {part.record.run: part.record.outcome for part in history.parts} if history else {}
    failed: dict[str, str] = {}
    errors = set()
    for part in state.parts:
        end = ends.get(part.name)
        if end is None or end.outcome == "failed":
            cause = " ".join(end.cause.split()) if end else "it was refused, or its end isn't known; see its execution"
            failed[part.name] = cause[:LONGEST_PART]
            errors.add(end.error if end else "")
    if not failed:
        return Outcome(outcome="done")
    told = "; ".join(f"{name}: {cause}" for name, cause in failed.items())
    error = errors.pop() if len(errors) == 1 else ""
    cause = f"{len(failed)} of {len(state.parts)} parts failed. {told}"[:LONGEST_CAUSE]
    return Outcome(outcome="failed", stage="parts", error=error or "PartsFailed", cause=cause)


def timeline(history: RunHistory) -> Iterator[TimelineEntry]:
    """The stages of the run and of its servers, in the order in which they began."""
    entries = [("", entry) for entry in history.stages]
    entries += [(server.record.id, entry) for server in history.all_servers for entry in server.stages]
    for server, entry in sorted(entries, key=lambda each: (each[1].began, each[0])):
        yield _timeline_entry(server, entry)


def _timeline_entry(server: str, entry: StageEntry) -> TimelineEntry:
    copied = entry.progress if entry.progress and entry.progress.unit == "bytes" and entry.progress.total else None
    return TimelineEntry(
        server=server,
        stage=entry.stage,
        status=entry.status,
        began=entry.began,
        ended=entry.updated,
        seconds=(entry.updated - entry.began).total_seconds(),
        calls=entry.calls,
        bytes=copied.done if copied else None,
        total=copied.total if copied else None,
        error=entry.error,
    )


def _findings(servers: Sequence[ServerReport]) -> Iterator[str]:
    """How the servers ended, in numbers."""
    ends = [each.record.outcome.outcome if each.record.outcome else "unknown" for each in servers]
    for end in dict.fromkeys(ends):
        yield f"{ends.count(end)} of {len(ends)} servers: {end}"


def _advice(run: RunRecord, servers: Sequence[ServerReport], left: int) -> Iterator[str]:
    """What's to be done next, as far as it concerns more than one server."""
    if left:
        yield f"{left} things couldn't be undone: each is listed with the command by which a person does it"
    away = [each for each in servers if not each.record.outcome or each.record.outcome.outcome in {"failed", "skipped"}]
    if away and run.goal != "check":
        yield (
            f"{len(away)} servers aren't home: set right what each of them says, then start a run with "
            f"{json.dumps({'resume': run.run})} (failback resume {run.run}), which leaves out the others and does "
            "nothing twice"
        )


def _share(record: ServerRecord | None) -> str:
    """What a server has to say of its run's failure; nothing where it's where it was to be."""
    outcome = record.outcome if record else None
    if outcome is None:
        return "nothing is known of its end; look at its own execution"
    if outcome.is_good:
        return ""
    name = f"{record.plan.hostname} " if record and record.plan else ""
    cause = " ".join(outcome.cause.split())
    if outcome.outcome == "launched":
        return f"{name}is at home, and nobody has accepted it{': ' if cause else ''}{cause}"[:LONGEST_SHARE]
    if outcome.outcome == "skipped":
        return f"{name}wasn't begun: {cause}"[:LONGEST_SHARE]
    return f"{name}failed at {outcome.stage or 'an unknown stage'}: {cause}"[:LONGEST_SHARE]


def _causes(failed: Sequence[str], count: int) -> str:
    """As many servers' causes as there's room for, and how many there are besides."""
    text = f"{len(failed)} of {count} servers aren't home. "
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
