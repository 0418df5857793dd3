"""Services in a process of their own, for the benchmarks: who serves isn't who is measured."""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection


@contextmanager
def other_process(serve: Callable[..., None], *arguments: object) -> Iterator[tuple[Any, Connection]]:
    """Call `serve(*arguments, pipe)` in a new process for the length of the block: the first it sends, and our end.

    It's to send once it serves, and to return once the pipe is closed.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(*arguments, theirs))
    process.start()
    # With this end closed here, a process that fails to start is an EOFError, not a wait for ever.
    theirs.close()
    try:
        yield ours.recv(), ours
    finally:
        ours.close()
        process.join()
