"""A run as a table that's drawn again and again on a terminal: a line and a bar for each stage."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli import server_lines
from cli.run_lines import amount, pace, remaining
from cli.units import clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from failback.progress import RunProgress, StageProgress, StageStatus
    from failback.server_progress import ServerProgress, ServerStatus

STYLES: dict[StageStatus, str] = {
    "done": "green",
    "running": "cyan",
    "waiting": "yellow",
    "trying again": "yellow",
    "failed": "red",
    "to come": "dim",
}
SERVER_STYLES: dict[ServerStatus, str] = {
    "planned": "dim",
    "running": "cyan",
    "replicating": "cyan",
    "stuck": "yellow",
    "waiting": "bold yellow",
    "held": "bold red",
    "home": "green",
    "launched": "green",
    "rehearsed": "green",
    "skipped": "dim",
    "failed": "red",
}
UNDER_WAY: frozenset[ServerStatus] = frozenset({"running", "replicating", "stuck"})
BAR_WIDTH = 20
MOST_SERVERS = 30
"""Rows of servers, those that wait for a person first, then those that go on: hundreds don't fit on a screen."""


def run_table(progress: RunProgress) -> RenderableType:
    """The run at one moment: its stages, and its servers where it has any."""
    stages = stage_table(progress)
    return Group(stages, server_table(progress.servers, progress.run)) if progress.servers else stages


def server_table(servers: Sequence[ServerProgress], run: str) -> Table:
    """A line and a bar for each server."""
    counts = Counter(row.status for row in servers)
    title = "servers: " + ", ".join(f"{count} {status}" for status, count in counts.items())
    table = Table(title=Text(title), title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for heading in ("server", "", ""):
        table.add_column(heading, no_wrap=True)
    for heading in ("copied", "lag", "left", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for row in sorted(servers, key=_urgency)[:MOST_SERVERS]:
        _add_server(table, row, run)
    return table


def _urgency(row: ServerProgress) -> int:
    if server_lines.waits(row):
        return 0
    return 1 if row.status in UNDER_WAY else 2


def _add_server(table: Table, row: ServerProgress, run: str) -> None:
    table.add_row(
        Text(server_lines.named(row)),
        Text(server_lines.standing(row), style=SERVER_STYLES[row.status]),
        ProgressBar(total=1.0, completed=row.share, width=BAR_WIDTH) if row.share is not None else "",
        server_lines.copied(row),
        clock(row.lag) if row.lag is not None else "",
        clock(row.left) if row.left is not None else "",
        clock(row.seconds),
        Text(server_lines.asking(row, run)),
    )


def stage_table(progress: RunProgress) -> Table:
    """A line and a bar for each stage."""
    target = f" for {progress.target}" if progress.target else ""
    title = f"{progress.run}{target}, {progress.status}, {clock(progress.seconds)}"
    table = Table(title=Text(title), title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for heading in ("stage", "", ""):
        table.add_column(heading, no_wrap=True)
    for heading in ("copied", "rate", "calls", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for row in progress.stages:
        _add(table, row)
    return table


def _add(table: Table, row: StageProgress) -> None:
    began = row.status != "to come"
    table.add_row(
        Text(row.stage, style="" if began else "dim"),
        Text(row.status, style=STYLES[row.status]),
        _bar(row),
        amount(row),
        pace(row),
        str(row.calls or ""),
        clock(row.seconds) if began else "",
        Text(", ".join(text for text in (remaining(row), row.note) if text)),
    )


def _bar(row: StageProgress) -> ProgressBar | str:
    """None for what isn't measured; one that's done is full."""
    if row.status == "to come":
        return ""
    if row.status == "done":
        return ProgressBar(total=1, completed=1, width=BAR_WIDTH)
    return ProgressBar(total=row.total, completed=row.done, width=BAR_WIDTH) if row.total else ""
