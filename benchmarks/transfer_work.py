"""What the transfer benchmark's jobs have in common: a stopwatch, and a stage called to its end."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from failback.model.stage import StageResult

Json = dict[str, Any]
C = TypeVar("C")
F = TypeVar("F")


class Stopwatch:
    """Wall and processor seconds of what's measured, without what has to be there first."""

    def __init__(self) -> None:
        self.seconds = self.processor = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        began, processor = time.monotonic(), time.process_time()
        yield
        self.seconds += time.monotonic() - began
        self.processor += time.process_time() - processor


def to_the_end(call: Callable[[C | None], StageResult[F, C]]) -> F:
    """Call a stage as the state machine does, without the waits."""
    result = call(None)
    while result.status != "done":
        result = call(result.cursor)
    assert result.facts is not None
    return result.facts
