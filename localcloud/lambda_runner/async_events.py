"""Lambda's queue for asynchronous events: run once soon, and again after a pause if that failed."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from failback.errors import LocalCloudError
from localcloud.lambda_runner.outcome import Throttled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localcloud.lambda_runner.function import FunctionSpec
    from localcloud.lambda_runner.outcome import Outcome

THREADS = 4
"""Events run at once; more wait in the queue."""
THROTTLE_SECONDS = 1.0
"""The first pause after a throttled attempt, doubled each time up to a minute; those attempts don't count."""
MAX_AGE_SECONDS = 6 * 3600
"""When Lambda gives an event up (MaximumEventAgeInSeconds, its default and most)."""
DROPPED_KEPT = 100


class _Invoke(Protocol):
    def __call__(self, function: FunctionSpec, payload: bytes, *, request_id: str) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class _Event:
    function: FunctionSpec
    payload: bytes
    request_id: str
    created: float
    attempt: int = 0
    throttled: int = 0


class AsyncEvents:
    """Events and the threads that run them."""

    def __init__(self, invoke: _Invoke, *, retry_seconds: Sequence[float]) -> None:
        self._invoke, self._retry_seconds = invoke, tuple(retry_seconds)
        self._order = itertools.count()
        self._due: list[tuple[float, int, _Event]] = []
        self._changed = threading.Condition()
        self._closed = False
        self._started = False
        self.dropped: deque[tuple[str, bytes]] = deque(maxlen=DROPPED_KEPT)

    def put(self, function: FunctionSpec, payload: bytes, request_id: str) -> None:
        """Queue an event; returns at once."""
        self._push(_Event(function, payload, request_id, time.monotonic()), 0.0)
        with self._changed:
            missing, self._started = not self._started, True
        for _ in range(THREADS if missing else 0):
            threading.Thread(target=self._work, daemon=True).start()

    def close(self) -> None:
        """Run nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _push(self, event: _Event, seconds: float) -> None:
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), event))
            self._changed.notify()

    def _work(self) -> None:
        while (event := self._next()) is not None:
            self._attempt(event)

    def _next(self) -> _Event | None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                if self._due and self._due[0][0] <= now:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(self._due[0][0] - now if self._due else None)
        return None

    def _attempt(self, event: _Event) -> None:
        try:
            failed = self._invoke(event.function, event.payload, request_id=event.request_id).failed
        except LocalCloudError:
            self._drop(event)
            return
        except Throttled:
            pause = min(THROTTLE_SECONDS * 2**event.throttled, 60.0)
            self._again(event, pause, throttled=1)
            return
        if failed and event.attempt < event.function.retries:
            pause = self._retry_seconds[min(event.attempt, len(self._retry_seconds) - 1)]
            self._again(event, pause, attempt=1)
        elif failed:
            self._drop(event)

    def _again(self, event: _Event, pause: float, *, attempt: int = 0, throttled: int = 0) -> None:
        if time.monotonic() - event.created > MAX_AGE_SECONDS:
            self._drop(event)
            return
        later = _Event(
            event.function,
            event.payload,
            event.request_id,
            event.created,
            event.attempt + attempt,
            event.throttled + throttled,
        )
        self._push(later, pause)

    def _drop(self, event: _Event) -> None:
        self.dropped.append((event.function.name, event.payload))
