"""The watcher's work: look at every server that waits, answer for those whose wait is over, note how far all are.

One sweep at a time: it holds a lease, and whoever comes meanwhile has nothing to do. What it can't do now it leaves for
the next sweep, a minute later. Its cost doesn't grow with the hours that anybody waits, and DRS is asked only about
those whose wait it knows something of. Launches come last, once for each run, so that they're as few jobs as can be.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import reduce
from typing import TYPE_CHECKING, Protocol, TypeVar

from failback.errors import FailbackError
from failback.launch import LaunchVerdict, advance_launches
from failback.milestones import Judgement, judge
from failback.recovery_ports import MOST_IDS
from failback.sightings import KnownRun, Sighting, sight
from failback.stopping import stop_of
from failback.swept import MOST_FAULTS, Swept
from failback.waiting import FOLLOWED, WaitingDesk, answer, stalled_since, tell_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from failback.milestones import Case
    from failback.model.server import Parked
    from failback.recovery_ports import LaunchBook, RecoveryLaunches, RecoveryService

LEASE = "watch"
LEASE_FOR = timedelta(seconds=90)
"""Renewed before each batch, which takes some seconds; a watcher that died keeps the next one away for so long."""

WRITERS = 8
"""Servers written at once: at most five writes of some 10 ms each, so that a batch of 200 takes one or two seconds."""

# ValueError: what's kept of one server can't be read (any more). That's no reason to let the others wait.
_TROUBLE = (FailbackError, ValueError)

T = TypeVar("T")


class Guard(Protocol):
    """Makes a call; an SDK's error comes out as one of our own vocabulary."""

    def __call__(self, call: Callable[[], T], /) -> T: ...


class WatchDesk(WaitingDesk, Protocol):
    """What a sweep takes: what answering does, DRS, and a guard that makes an SDK's errors ours."""

    @property
    def recovery(self) -> RecoveryService: ...

    @property
    def launches(self) -> RecoveryLaunches: ...

    @property
    def launch_book(self) -> LaunchBook: ...

    def guard(self, call: Callable[[], T], /) -> T:
        """Make a call; an SDK's error comes out as one of our own vocabulary."""
        ...


def sweep(desk: WatchDesk, *, holder: str) -> Swept:
    """Look at all that wait, once; `holder` is this sweep's own name."""
    watch = _Watch(desk, holder)
    if not desk.guard(watch.leads):
        return Swept(busy=True)
    try:
        return watch.look()
    finally:
        # One that can't be given back runs out by itself.
        with suppress(FailbackError):
            desk.guard(lambda: desk.run_log.release(LEASE, holder))


@dataclass(slots=True)
class _Watch:
    """One sweep; `runs` are those that it has come across, `launching` who waits for a launch, by run.

    What it knows counts `until` its lease runs out: another sweep may have done everything since, and know better.
    """

    desk: WatchDesk
    holder: str
    until: datetime | None = None
    runs: dict[str, KnownRun] = field(default_factory=dict)
    launching: dict[str, list[Sighting]] = field(default_factory=dict)

    def leads(self) -> bool:
        """Whether the lease is this sweep's, for a while from now on; one that ran out isn't taken again."""
        now = self.desk.clock.now()
        if self._is_late(now):
            return False
        if self.desk.run_log.lease(LEASE, self.holder, now=now, until=now + LEASE_FOR) != self.holder:
            return False
        self.until = now + LEASE_FOR
        return True

    def _is_late(self, now: datetime) -> bool:
        return self.until is not None and now >= self.until

    def look(self) -> Swept:
        strange: list[str] = []
        waiting = self.desk.guard(lambda: list(self.desk.waiting_room.everyone(strange.append)))
        swept, left = Swept(left=len(strange), faults=tuple(strange[:MOST_FAULTS])), len(waiting)
        with ThreadPoolExecutor(WRITERS, thread_name_prefix=LEASE) as pool:
            for batch in _batches(waiting):
                if left < len(waiting) and not self._still_leads():
                    return swept + Swept(busy=True, left=left + self._to_be_launched())
                swept, left = swept + self._batch(batch, pool), left - len(batch)
            return swept + self._launch(pool)

    def _still_leads(self) -> bool:
        try:
            return self.desk.guard(self.leads)
        except FailbackError:
            return False

    def _batch(self, batch: Sequence[Parked], pool: ThreadPoolExecutor) -> Swept:
        """Judge a batch; those that wait for a launch are put aside."""
        ids = list(dict.fromkeys(one.server for one in batch if one.milestone in FOLLOWED))
        try:
            instances = self.desk.guard(lambda: self.desk.recovery.instances(ids)) if ids else {}
        except _TROUBLE as error:
            return Swept(left=len(batch), faults=(str(error),))
        swept = self._read_runs(batch)
        now, known = self.desk.clock.now(), [one for one in batch if one.run in self.runs]
        seen = [sight(one, instances.get(one.server), self.runs[one.run], now=now) for one in known]
        for one in seen:
            if one.may_be_launched:
                self.launching.setdefault(one.case.parked.run, []).append(one)
        judged = pool.map(self._one, (one.case for one in seen if not one.may_be_launched))
        return reduce(Swept.__add__, judged, swept)

    def _read_runs(self, batch: Sequence[Parked]) -> Swept:
        """Read what's known of the batch's runs; the servers of one that can't be read are left."""
        swept = Swept()
        for run, count in Counter(one.run for one in batch if one.run not in self.runs).items():
            try:
                self.runs[run] = self.desk.guard(lambda run=run: self._read(run))  # type: ignore[misc]
            except _TROUBLE as error:
                swept += Swept(left=count, faults=(f"run {run}: {error}",))
        return swept

    def _read(self, run: str) -> KnownRun:
        return KnownRun({record.id: record for record in self.desk.servers.of(run)}, self.desk.decisions.of(run))

    def _one(self, case: Case) -> Swept:
        return self._counted(case, lambda: self._judged(case))

    def _counted(self, case: Case, work: Callable[[], bool]) -> Swept:
        """A server's part of the sweep; `work` says whether its wait was ended."""
        if self._is_late(self.desk.clock.now()):
            return Swept(left=1, busy=True)
        try:
            answered = self.desk.guard(work)
        except _TROUBLE as error:
            return Swept(left=1, faults=(f"{case.parked.server}: {error}",))
        return Swept(looked_at=1, answered=int(answered))

    def _judged(self, case: Case) -> bool:
        if case.parked.milestone == "replication" and case.progress is not None:
            since = stalled_since(case.parked, case.progress)
            if since != case.parked.stuck_since:
                case = replace(case, parked=case.parked.model_copy(update={"stuck_since": since}))
                self.desk.waiting_room.keep(case.parked)
        return self._conclude(case, judge(case))

    def _conclude(self, case: Case, judgement: Judgement) -> bool:
        if not judgement.is_over:
            tell_progress(case, judgement.note, self.desk)
            return False
        # Read anew: it may have been given back since the batch began, seconds ago.
        record = self.desk.servers.find(case.parked.run, case.parked.server)
        return answer(replace(case, record=record), judgement, self.desk)

    def _launch(self, pool: ThreadPoolExecutor) -> Swept:
        """Move the launches of each run on, with the lease renewed before."""
        swept = Swept()
        for run in list(self.launching):
            if not self._still_leads():
                return swept + Swept(busy=True, left=self._to_be_launched())
            swept += self._launch_of(run, self.launching.pop(run), pool)
        return swept

    def _to_be_launched(self) -> int:
        return sum(map(len, self.launching.values()))

    def _launch_of(self, run: str, seen: Sequence[Sighting], pool: ThreadPoolExecutor) -> Swept:
        try:
            verdicts = self.desk.guard(lambda: self._advance(run, seen))
        except _TROUBLE as error:
            return Swept(left=len(seen), faults=(f"run {run}: {error}",))

        def conclude(one: Sighting) -> Swept:
            verdict = verdicts.get(one.case.parked.server, LaunchVerdict())
            judgement = Judgement(verdict.note, verdict.result, verdict.refusal)
            return self._counted(one.case, lambda: self._conclude(one.case, judgement))

        return reduce(Swept.__add__, pool.map(conclude, seen), Swept())

    def _advance(self, run: str, seen: Sequence[Sighting]) -> Mapping[str, LaunchVerdict]:
        known, desk = self.runs[run], self.desk
        return advance_launches(
            [(one.case.parked, one.instance) for one in seen],
            run=run,
            records=known.records,
            stopped=stop_of(known.decisions) is not None,
            book=desk.servers,
            launch_book=desk.launch_book,
            launches=desk.launches,
            clock=desk.clock,
            guard=desk.guard,
        )


def _batches(waiting: Sequence[Parked]) -> Iterator[Sequence[Parked]]:
    """As many as one call describes; those that DRS isn't asked about come by themselves."""
    for asked in (True, False):
        some = [one for one in waiting if (one.milestone in FOLLOWED) is asked]
        for first in range(0, len(some), MOST_IDS):
            yield some[first : first + MOST_IDS]
