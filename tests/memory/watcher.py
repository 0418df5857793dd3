"""A watcher that only counts how often it was woken."""

from __future__ import annotations


class MemoryWatcher:
    """A Watcher; `woken` counts, `trouble` is what waking it raises."""

    def __init__(self) -> None:
        self.woken = 0
        self.trouble: Exception | None = None

    def wake(self) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.woken += 1
