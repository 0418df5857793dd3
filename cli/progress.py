"""Progress bars for work measured in bytes; silent where nobody watches."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console


@contextmanager
def bars(console: Console) -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Yield a function that opens a bar for a piece of work of so many bytes and returns what advances it."""
    columns = (TextColumn("{task.description:<9}"), BarColumn(), DownloadColumn(binary_units=True))
    with Progress(
        *columns, TransferSpeedColumn(), TimeElapsedColumn(), console=console, disable=not console.is_terminal
    ) as progress:

        def start(work: str, total: int) -> Callable[[int], None]:
            task = progress.add_task(work, total=total)
            return lambda count: progress.advance(task, count)

        yield start
