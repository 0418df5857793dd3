"""Many transfers at once, as many as the other side bears: halved when it's busy, one more after each good round.

Cloud-neutral: the work says by `CloudBusy` that it may be tried again, by any other error that it's over.
"""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

from failback.errors import CloudBusy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

COOL_DOWN = 1.0
"""Seconds between two halvings: the requests that were under way at the first get busy answers too, for a round trip.
Halving for each of them would end at one at once."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0
"""Seconds that a second attempt waits at most, and any: doubling gets from one to the other in six attempts."""


class AdaptiveGate:
    """Lets at most `limit` pass at once; the limit goes up by one after `limit` successes and is halved when busy."""

    def __init__(
        self, start: int, *, least: int = 1, most: int, cool_down: float = COOL_DOWN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.limit, self.least, self.most = start, least, most
        self._cool_down, self._clock = cool_down, clock
        self._inside = self._good = 0
        self._halved = -cool_down
        self._room = threading.Condition()
        if not 1 <= least <= start <= most:
            message = f"a gate needs 1 <= least <= start <= most, not {least}, {start}, {most}"
            raise ValueError(message)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a place and keep it for the block."""
        with self._room:
            self._room.wait_for(lambda: self._inside < self.limit)
            self._inside += 1
        try:
            yield
        finally:
            with self._room:
                self._inside -= 1
                self._room.notify()

    def succeeded(self) -> None:
        """One went well."""
        with self._room:
            self._good += 1
            if self._good >= self.limit and self.limit < self.most:
                self.limit, self._good = self.limit + 1, 0
                self._room.notify()

    def busy(self) -> None:
        """The other side asks for less; said again within the cool-down it's the same answer."""
        with self._room:
            now = self._clock()
            self._good = 0
            if now - self._halved >= self._cool_down:
                self.limit, self._halved = max(self.least, self.limit // 2), now


def jittered(attempt: int, draw: Callable[[], float] = random.random) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1 on): anything up to a doubling bound."""
    return draw() * min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempt - 1))


def run_all(
    work: Iterable[T],
    do: Callable[[T], None],
    *,
    gate: AdaptiveGate,
    attempts: int,
    backoff: Callable[[int], float] = jittered,
    sleep: Callable[[float], object] | None = None,
) -> None:
    """Do all of `work`, in any order, each up to `attempts` times as long as it ends with CloudBusy.

    `work` is taken from as places get free, never more than `gate.most` ahead. The first error that isn't to be tried
    again is raised once what's under way has ended; nothing more is begun then.
    """
    stop = threading.Event()
    runner = _Runner(do, gate, attempts, backoff, sleep or stop.wait, stop)
    items = iter(work)
    with ThreadPoolExecutor(gate.most, thread_name_prefix="transfer") as pool:
        try:
            under_way = {pool.submit(runner.run, item) for item in islice(items, gate.most)}
            while under_way:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                _raise_first(done)
                under_way |= {pool.submit(runner.run, item) for item in islice(items, len(done))}
        finally:
            # Also where `work` itself fails: the pool waits for its threads.
            stop.set()


def _raise_first(done: Iterable[Future[None]]) -> None:
    for future in done:
        future.result()


@dataclass(frozen=True, slots=True)
class _Runner(Generic[T]):
    """What each thread does with its piece of work."""

    do: Callable[[T], None]
    gate: AdaptiveGate
    attempts: int
    backoff: Callable[[int], float]
    sleep: Callable[[float], object]
    stop: threading.Event

    def run(self, item: T) -> None:
        """One piece, again and again while it's only busy; given up silently once another one has failed for good."""
        for attempt in range(1, self.attempts + 1):
            with self.gate.slot():
                if self.stop.is_set():
                    return
                busy = self._tried(item)
            if busy is None:
                return
            if attempt == self.attempts:
                raise busy
            self.sleep(max(busy.retry_after, self.backoff(attempt)))

    def _tried(self, item: T) -> CloudBusy | None:
        try:
            self.do(item)
        except CloudBusy as busy:
            self.gate.busy()
            return busy
        self.gate.succeeded()
        return None
