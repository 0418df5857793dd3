"""A run's servers as lines of plain text: how each goes on, which wait for a person, how each has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.units import clock, mebibytes, mib
from failback.stage_words import stage_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.progress import RunProgress
    from failback.server_progress import ServerProgress

WAITS = {"await_approval": "waits for approval", "await_commit": "waits for acceptance"}
ANSWERS: Mapping[str, Sequence[str]] = {
    "await_approval": ("approve",),
    "await_commit": ("accept",),
    "hold_server": ("retry", "give-back"),
}
"""The commands by which a person answers one that waits, by the stage that it waits in."""


def server_changes(before: RunProgress | None, after: RunProgress) -> list[str]:
    """A line for each server that another look has found changed; one that's only planned has none."""
    known = {row.server: _shown(row) for row in before.servers} if before else {}
    rows = [row for row in after.servers if row.status != "planned" and _shown(row) != known.get(row.server)]
    return [server_line(row, after.run) for row in rows]


def begun_to_wait(before: RunProgress | None, after: RunProgress) -> list[str]:
    """A line for each server that waits for a person, and at the look before didn't, or for something else."""
    known = {row.server: (row.status, row.stage) for row in before.servers} if before else {}
    rows = [row for row in after.servers if waits(row) and (row.status, row.stage) != known.get(row.server)]
    return [server_line(row, after.run) for row in rows]


def waiting_lines(progress: RunProgress) -> list[str]:
    """Who waits for a person, and how to answer."""
    return [f"  {line}" for line in begun_to_wait(None, progress)]


def waits(row: ServerProgress) -> bool:
    """Whether it goes on only once a person has said how."""
    return row.status in {"waiting", "held"}


def _shown(row: ServerProgress) -> tuple[object, ...]:
    """What makes a new line: not the time."""
    return row.status, row.stage, row.copied, row.total, row.backlog, row.lag, row.note


def server_line(row: ServerProgress, run: str) -> str:
    """One server; one that waits for a person with the commands by which that one answers."""
    parts = (copied(row), lag(row), remaining(row), row.why, asking(row, run))
    return f"{named(row)}  {standing(row):<20}  {', '.join(part for part in parts if part)}".rstrip()


def standing(row: ServerProgress) -> str:
    """Where it stands, in a word or three."""
    if row.status == "running":
        return stage_words(row.stage)
    return WAITS.get(row.stage, row.status) if row.status == "waiting" else row.status


def asking(row: ServerProgress, run: str) -> str:
    """What's noted of it, with the commands that are missing there where it waits for a person."""
    commands = [f"failback {verb} {run} {row.server}" for verb in ANSWERS.get(row.stage, ())] if waits(row) else []
    missing = ", or ".join(command for command in commands if command not in row.note)
    return ": ".join(text for text in (row.note, missing) if text)


def named(row: ServerProgress) -> str:
    """Its id, and what it's called where that's known."""
    return f"{row.server} {row.name}".rstrip()


def copied(row: ServerProgress) -> str:
    """How much of it is at home, in per cent and bytes."""
    if row.share is None:
        return ""
    behind = f", {mib(row.backlog)} to catch up" if row.backlog else ""
    return f"{row.share:.0%} ({mebibytes(row.copied)} of {mib(row.total)}{behind})"


def lag(row: ServerProgress) -> str:
    """How far behind it is, where that's known."""
    return f"lag {clock(row.lag)}" if row.lag is not None else ""


def remaining(row: ServerProgress) -> str:
    """How much longer, where that's known."""
    return f"{clock(row.left)} left" if row.left is not None else ""


def ended_lines(progress: RunProgress) -> list[str]:
    """How each server of a run that's over has ended; where any came home, where to read what's left to a person."""
    failed = progress.outcome is not None and progress.outcome.outcome == "failed"
    rows = [row for row in progress.servers if failed or row.status != "planned"]
    lines = [f"  {named(row)}  {row.status}{': ' if row.note else ''}{row.note}" for row in rows]
    if any(row.status in {"home", "launched"} for row in rows):
        lines.append(f"  What's left to a person, with its commands: failback report {progress.run}")
    return lines
