"""A run's servers in its report: a row each with the time that every stage took, and what's to be known of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.server_lines import copied, named
from cli.units import aligned, clock
from failback.stage_words import stage_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.watching import Look
    from failback.model.decision import Decision
    from failback.model.record import ServerHistory
    from failback.model.report import ServerReport
    from failback.server_progress import ServerProgress


def server_report(seen: Look) -> list[str]:
    """A heading and the rows; nothing for a run without servers."""
    servers = seen.history.all_servers
    if not servers:
        return []
    stages = list(dict.fromkeys(entry.stage for each in servers for entry in each.stages))
    rows = [
        (named(row), *_times(each, stages), copied(row), _standing(row))
        for each, row in zip(servers, seen.progress.servers, strict=True)
    ]
    heading = ("server", *map(stage_words, stages), "copied", "how it stands")
    return aligned([heading, *rows], right=range(1, len(stages) + 1))


def _times(history: ServerHistory, stages: list[str]) -> list[str]:
    """Of each stage that the server came through, or came to."""
    took = {entry.stage: clock((entry.updated - entry.began).total_seconds()) for entry in history.stages}
    return [took.get(stage, "") for stage in stages]


def _standing(row: ServerProgress) -> str:
    if not row.note:
        return row.status
    return row.note if row.note.startswith(row.status) else f"{row.status}: {row.note}"


def server_details(server: ServerReport) -> list[str]:
    """What's to be known of one beside its row; nothing of one of which that says all."""
    rows = [(label, text) for label, text in _details(server) if text]
    plan = server.record.plan
    name = f"{server.record.id} {plan.hostname if plan else ''}".rstrip()
    return ["", f"  {name}", *(f"    {line}" for line in aligned(rows))] if rows else []


def _details(server: ServerReport) -> Iterator[tuple[str, str]]:
    measured, verified, outcome = server.measured, server.verified, server.record.outcome
    yield "cause", " ".join(outcome.cause.split()) if outcome and outcome.outcome != "home" else ""
    for decision in server.decisions:
        yield "decided", _decided(decision)
    if server.batch:
        yield "launched by", f"{server.batch.job or 'no job'}, batch {server.batch.id}"
    if verified:
        yield "verified", f"{verified.signal}: {verified.said}" if verified.verified else f"no: {verified.said}"
    if server.record.milestones.launched:
        yield "RTO", _figure(measured.rto_seconds, measured.rto_by)
        yield "RPO", _figure(measured.rpo_seconds, measured.rpo_by)
        yield "protected", {True: "yes", False: "no", None: "isn't known"}[server.protected]
    for finding in server.findings:
        yield "finding", finding
    for left in server.left:
        yield "left behind", f"{left.belonging.kind} {left.belonging.name or left.belonging.id}: {left.why}"
    for advice in server.advice:
        yield "to do", advice


def _figure(seconds: float | None, by: str) -> str:
    return f"{clock(seconds) if seconds is not None else 'not known'}, {by}"


def _decided(decision: Decision) -> str:
    why = f" ({decision.why})" if decision.why else ""
    verdict = decision.verdict.replace("_", " ")
    return f"{decision.at:%Y-%m-%d %H:%M:%S} {verdict} by {decision.actor}{why}; {decision.known_by}"
