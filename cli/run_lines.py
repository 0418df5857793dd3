"""A run as lines of plain text: how it goes on, one line a change, and how it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.server_lines import ended_lines, server_changes
from cli.units import clock, mebibytes, mib, rate
from failback.naming import RUN_TAG
from failback.progress import GIVE_BACK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from failback.model.ending import Belonging, Outcome, Returned
    from failback.model.record import RunHistory, RunRecord
    from failback.progress import RunProgress, StageProgress

LABEL_WIDTH = 12


def changes(before: RunProgress | None, after: RunProgress) -> list[str]:
    """A line for each stage and server that another look has found changed; what is to come has none."""
    known = {row.stage: _shown(row) for row in before.stages} if before else {}
    rows = [row for row in after.stages if row.status != "to come" and _shown(row) != known.get(row.stage)]
    lines = [stage_line(row) for row in rows] + server_changes(before, after)
    return [f"{clock(after.seconds):>7}  {line}" for line in lines]


def _shown(row: StageProgress) -> tuple[object, ...]:
    """What makes a new line: not the time, nor a call that brought nothing new."""
    return row.status, row.done, row.total, row.note


def stage_line(row: StageProgress) -> str:
    """One stage."""
    calls = f"{row.calls} call{'' if row.calls == 1 else 's'}" if row.calls else ""
    parts = (amount(row), pace(row), calls, clock(row.seconds) if row.calls else "", remaining(row), row.note)
    return f"{row.stage:<17}  {row.status:<12}  {', '.join(part for part in parts if part)}".rstrip()


def amount(row: StageProgress) -> str:
    """How much of how much."""
    if not row.total:
        return ""
    if row.unit == "steps":
        return f"{row.done} of {row.total} steps"
    if row.done >= row.total:
        return mib(row.total)
    return f"{mebibytes(row.done)} of {mib(row.total)}"


def pace(row: StageProgress) -> str:
    """How quick, where bytes are copied."""
    return rate(row.rate) if row.rate else ""


def remaining(row: StageProgress) -> str:
    """How much longer, where that is known."""
    return f"{clock(row.left)} left" if row.left is not None else ""


def outcome_lines(
    progress: RunProgress, outcome: Outcome, *, advice: str, returned: Returned | None, history: RunHistory
) -> list[str]:
    """How the run has ended; of a failed one also why, what to do, and what it gave back and left behind."""
    if outcome.outcome == "done":
        return [f"Run {progress.run} is done after {clock(progress.seconds)}.", *ended_lines(progress)]
    lines = [f"Run {progress.run} has failed after {clock(progress.seconds)}.", *ended_lines(progress)]
    for label, text in (
        ("stage", outcome.stage),
        ("error", outcome.error),
        ("cause", outcome.cause.removeprefix(f"{outcome.stage}: ")),
        ("advice", advice),
    ):
        lines += _labelled(label, text)
    return [*lines, *_returned_lines(returned, history)]


def _returned_lines(returned: Returned | None, history: RunHistory) -> list[str]:
    if returned is None:
        return _not_returned_lines(history)
    removed = ", ".join(named(each) for each in returned.removed)
    lines = _labelled("given back", removed or ("" if returned.left else "nothing had to be removed"))
    for each in returned.left:
        lines += _labelled("left behind", f"{named(each.belonging)}: {each.why}")
        lines += _labelled("remove it by", each.command)
    return lines


def _not_returned_lines(history: RunHistory) -> list[str]:
    """Giving back that failed or was never come to leaves everything that has the run's tag."""
    if not history.stages:
        return _labelled("given back", "nothing was made")
    entry = next((entry for entry in history.stages if entry.stage == GIVE_BACK), None)
    why = f"giving back failed ({entry.error}: {entry.advice}); " if entry and entry.error else ""
    return _labelled("left behind", f"{why}whatever is tagged {RUN_TAG}={history.record.run} in AWS and at home")


def named(belonging: Belonging) -> str:
    """What it is, what it's called, and where."""
    name = f"{belonging.name} " if belonging.name and belonging.name not in belonging.id else ""
    return f"{belonging.kind} {name}{belonging.id} ({belonging.cloud})"


def run_rows(records: Sequence[RunRecord], *, now: datetime) -> list[tuple[str, ...]]:
    """A list of runs: a heading, then a row each."""
    return [("run", "target", "started (UTC)", "time", "status", ""), *(_run_row(record, now) for record in records)]


def _run_row(record: RunRecord, now: datetime) -> tuple[str, ...]:
    seconds = ((record.ended or now) - record.started).total_seconds()
    ending = record.outcome
    error = f"{ending.stage}: {ending.error}" if ending and ending.outcome == "failed" else ""
    started = f"{record.started:%Y-%m-%d %H:%M:%S}"
    return record.run, record.destination, started, clock(seconds), record.status, error


def _labelled(label: str, text: str) -> list[str]:
    """Whole, so that commands can be copied; a terminal breaks lines by itself."""
    if not text:
        return []
    first, *rest = text.splitlines()
    return [f"  {label:<{LABEL_WIDTH}}  {first}", *(f"  {'':<{LABEL_WIDTH}}  {line}" for line in rest)]
