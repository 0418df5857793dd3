"""A run as a table that's drawn again and again on a terminal: a line and a bar for each stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli.run_lines import amount, pace, remaining
from cli.units import clock

if TYPE_CHECKING:
    from failback.progress import RunProgress, StageProgress, StageStatus

STYLES: dict[StageStatus, str] = {
    "done": "green",
    "running": "cyan",
    "waiting": "yellow",
    "trying again": "yellow",
    "failed": "red",
    "to come": "dim",
}
BAR_WIDTH = 20


def run_table(progress: RunProgress) -> Table:
    """The run at one moment."""
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
