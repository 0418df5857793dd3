"""The watcher's work: look at every server that waits, answer for those whose wait is over, note how far all are.

One sweep at a time: it holds a lease, and whoever comes meanwhile has nothing to do. What it can't do now it leaves for
the next sweep, a minute later. Its cost doesn't grow with the hours that anybody waits.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import reduce
from typing import TYPE_CHECKING, Protocol, TypeVar

from failback.errors import FailbackError
from failback.model.facts import Facts
from failback.recovery_ports import MOST_IDS
from failback.replication import judge, refusal, worth_telling
from failback.waiting import answer, stalled_since

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from failback.model.recovery import RecoveryInstance
    from failback.model.server import Parked, ReplicationProgress, ServerRecord
    from failback.ports import Clock, RunLog
    from failback.recovery_ports import RecoveryService, ServerBook, TaskTokens, WaitingRoom

LEASE = "watch"
LEASE_FOR = timedelta(seconds=90)
"""Renewed before each batch, which takes some seconds; a watcher that died keeps the next one away for so long."""

WRITERS = 8
"""Servers written at once: at most five writes of some 10 ms each, so that a batch of 200 takes one or two seconds."""

MOST_FAULTS = 20
"""Told of one sweep: hundreds of servers usually have the same trouble."""

# ValueError: what's kept of one server can't be read (any more). That's no reason to let the others wait.
_TROUBLE = (FailbackError, ValueError)

T = TypeVar("T")


class Guard(Protocol):
    """Makes a call; an SDK's error comes out as one of our own vocabulary."""

    def __call__(self, call: Callable[[], T], /) -> T: ...


class Swept(Facts):
    """What a sweep came to, in servers: looked at, answered for, and left for the next one because of `faults`.

    `busy`: another sweep was at it when this one began, or took it over.
    """

    looked_at: int = 0
    answered: int = 0
    left: int = 0
    busy: bool = False
    faults: tuple[str, ...] = ()

    def __add__(self, more: Swept) -> Swept:
        return Swept(
            looked_at=self.looked_at + more.looked_at,
            answered=self.answered + more.answered,
            left=self.left + more.left,
            busy=self.busy or more.busy,
            faults=tuple(dict.fromkeys((*self.faults, *more.faults)))[:MOST_FAULTS],
        )


def sweep(
    *,
    room: WaitingRoom,
    recovery: RecoveryService,
    tokens: TaskTokens,
    book: ServerBook,
    run_log: RunLog,
    clock: Clock,
    holder: str,
    guard: Guard = lambda call: call(),
) -> Swept:
    """Look at all that wait, once; `holder` is this sweep's own name, `guard` makes an SDK's errors ours."""
    watch = _Watch(room, recovery, tokens, book, run_log, clock, holder, guard)
    if not guard(watch.leads):
        return Swept(busy=True)
    try:
        return watch.look()
    finally:
        # One that can't be given back runs out by itself.
        with suppress(FailbackError):
            guard(lambda: run_log.release(LEASE, holder))


@dataclass(frozen=True, slots=True)
class _Watch:
    """One sweep; `records` are those of the runs that it has come across."""

    room: WaitingRoom
    recovery: RecoveryService
    tokens: TaskTokens
    book: ServerBook
    run_log: RunLog
    clock: Clock
    holder: str
    guard: Guard
    records: dict[str, Mapping[str, ServerRecord]] = field(default_factory=dict)

    def leads(self) -> bool:
        """Whether the lease is this sweep's, for a while from now on."""
        now = self.clock.now()
        return self.run_log.lease(LEASE, self.holder, now=now, until=now + LEASE_FOR) == self.holder

    def look(self) -> Swept:
        strange: list[str] = []
        waiting = self.guard(lambda: list(self.room.everyone(strange.append)))
        swept = Swept(left=len(strange), faults=tuple(strange[:MOST_FAULTS]))
        with ThreadPoolExecutor(WRITERS, thread_name_prefix=LEASE) as pool:
            for number, batch in enumerate(_batches(waiting)):
                if number and not self._still_leads():
                    return swept + Swept(busy=True, left=len(waiting) - number * MOST_IDS)
                swept += self._batch(batch, pool)
        return swept

    def _still_leads(self) -> bool:
        try:
            return self.guard(self.leads)
        except FailbackError:
            return False

    def _batch(self, batch: Sequence[Parked], pool: ThreadPoolExecutor) -> Swept:
        try:
            instances = self.guard(lambda: self.recovery.instances(list(dict.fromkeys(one.server for one in batch))))
        except _TROUBLE as error:
            return Swept(left=len(batch), faults=(str(error),))
        swept = self._read_runs(batch)
        known = [one for one in batch if one.run in self.records]
        return reduce(Swept.__add__, pool.map(lambda one: self._one(one, instances.get(one.server)), known), swept)

    def _read_runs(self, batch: Sequence[Parked]) -> Swept:
        """Read what's known of the batch's runs; the servers of one that can't be read are left."""
        swept = Swept()
        for run, count in Counter(one.run for one in batch if one.run not in self.records).items():
            try:
                self.records[run] = self._read(run)
            except _TROUBLE as error:
                swept += Swept(left=count, faults=(f"run {run}: {error}",))
        return swept

    def _read(self, run: str) -> Mapping[str, ServerRecord]:
        return {record.id: record for record in self.guard(lambda: self.book.of(run))}

    def _one(self, parked: Parked, instance: RecoveryInstance | None) -> Swept:
        try:
            answered = self.guard(lambda: self._judged(parked, instance))
        except _TROUBLE as error:
            return Swept(left=1, faults=(f"{parked.server}: {error}",))
        return Swept(looked_at=1, answered=int(answered))

    def _judged(self, parked: Parked, instance: RecoveryInstance | None) -> bool:
        """Look at one server; whether its wait was ended."""
        record = self.records[parked.run].get(parked.server)
        last = record.progress if record else None
        progress = judge(instance, now=self.clock.now(), before=parked, last=last)
        since = stalled_since(parked, progress)
        if since != parked.stuck_since:
            parked = parked.model_copy(update={"stuck_since": since})
            self.room.keep(parked)
        refused = refusal(progress, parked)
        if refused is not None or progress.verdict in {"ready", "done"}:
            return self._answer(parked, progress, refused)
        if record is not None and worth_telling(progress, last):
            self.book.progress(parked.run, parked.server, progress)
        return False

    def _answer(self, parked: Parked, progress: ReplicationProgress, refused: FailbackError | None) -> bool:
        return answer(
            parked,
            progress,
            refused,
            # Read anew: it may have been given back since the batch began, seconds ago.
            record=self.book.find(parked.run, parked.server),
            tokens=self.tokens,
            book=self.book,
            run_log=self.run_log,
            room=self.room,
        )


def _batches(waiting: Sequence[Parked]) -> Iterator[Sequence[Parked]]:
    """As many as one call describes."""
    for first in range(0, len(waiting), MOST_IDS):
        yield waiting[first : first + MOST_IDS]
