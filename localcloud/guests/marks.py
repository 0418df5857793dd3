"""The agent's marks as they stand on a console: `FAILBACK-AGENT <state> <detail>`."""

from __future__ import annotations

MARK = "FAILBACK-AGENT"


def read_mark(line: str) -> str | None:
    """The mark on a console's line, state and detail; None where the line has none."""
    _, found, mark = line.partition(f"{MARK} ")
    return mark.strip() if found else None


def state_of(mark: str) -> str:
    """A mark's first word."""
    return mark.split(" ", 1)[0]
