"""Progress bars for work measured in bytes; silent where nobody watches."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Starter = Callable[[str, int], Callable[[int], None]]


@contextmanager
def bars() -> Iterator[Starter]:
    """Yield a function that opens a bar for a piece of work of so many bytes and returns what advances it."""
    if sys.stderr.isatty():
        with _drawn_bars() as start:
            yield start
    else:
        yield lambda _work, _total: lambda _count: None


@contextmanager
def _drawn_bars() -> Iterator[Starter]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description:<9}"), BarColumn(), DownloadColumn(binary_units=True))
    speed = (TransferSpeedColumn(), TimeElapsedColumn())
    with Progress(*columns, *speed, console=Console(stderr=True)) as progress:

        def start(work: str, total: int) -> Callable[[int], None]:
            task = progress.add_task(work, total=total)
            return lambda count: progress.advance(task, count)

        yield start
