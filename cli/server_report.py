"""A run's servers in its report: one row each, with the time that every stage took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.server_lines import copied, named
from cli.units import aligned, clock

if TYPE_CHECKING:
    from cli.watching import Look
    from failback.model.record import ServerHistory
    from failback.server_progress import ServerProgress


def server_report(seen: Look) -> list[str]:
    """A heading and the rows; nothing for a run without servers."""
    servers = seen.history.servers
    if not servers:
        return []
    stages = list(dict.fromkeys(entry.stage for each in servers for entry in each.stages))
    rows = [
        (named(row), *_times(each, stages), copied(row), _standing(row))
        for each, row in zip(servers, seen.progress.servers, strict=True)
    ]
    heading = ("server", *stages, "copied", "how it stands")
    return aligned([heading, *rows], right=range(1, len(stages) + 1))


def _times(history: ServerHistory, stages: list[str]) -> list[str]:
    """Of each stage that the server came through, or came to."""
    took = {entry.stage: clock((entry.updated - entry.began).total_seconds()) for entry in history.stages}
    return [took.get(stage, "") for stage in stages]


def _standing(row: ServerProgress) -> str:
    if not row.note:
        return row.status
    return row.note if row.note.startswith(row.status) else f"{row.status}: {row.note}"
