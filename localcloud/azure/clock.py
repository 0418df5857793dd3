"""The clock that operations, tokens and access signatures of the embedded Azure go by."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time, with a time zone."""

    def now(self) -> datetime:
        """This moment."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """This moment in UTC."""
        return datetime.now(UTC)


class VirtualClock:
    """A clock that moves only when it's told to; starts at this moment, so that real tokens are good by it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = datetime.now(UTC)

    def now(self) -> datetime:
        """The moment it has been moved to."""
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        """Let `seconds` go by."""
        with self._lock:
            self._now += timedelta(seconds=seconds)


def azure_time(moment: datetime) -> str:
    """A moment as ARM writes it: ISO 8601, microseconds, Z is written as an offset."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
