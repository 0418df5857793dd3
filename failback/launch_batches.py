"""Batches of launches: each is noted before DRS is asked, found again by its tags, and halved where DRS refuses it.

DRS has no token for a launch. What keeps a server from being launched twice is that a batch is looked for before it's
asked for again, and that DRS takes a server into one job at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from failback.errors import CloudBusy, FailbackError, LaunchConflict
from failback.model.decision import LaunchBatch
from failback.naming import PREFIX, RUN_TAG, run_tags, short_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from failback.model.server import ServerRecord
    from failback.recovery_ports import LaunchBook, RecoveryLaunches, ServerBook
    from failback.sweep import Guard

BATCH_TAG = f"{PREFIX}:batch"
MOST_SERVERS = 100
"""In one job: DRS's quota L-B827C881. An account that has less of it refuses a batch, which is halved then."""
CLOCKS_APART = timedelta(minutes=5)
"""How far the clock of whoever noted a batch may be before DRS's: a job is looked for from then on."""
SURE_AFTER = timedelta(seconds=30)
"""A job that was begun a moment ago may not be listed yet, and DRS refuses to begin another for its servers. So what's
refused counts as refused from then on; the sweep after this one is a minute away."""


def is_open(batch: LaunchBatch) -> bool:
    """Whether it's neither followed by a job, nor refused, nor replaced."""
    return not (batch.job or batch.split or batch.refused)


def batch_of(run: str, servers: Sequence[str], at: datetime, earlier: Sequence[LaunchBatch]) -> LaunchBatch:
    """A batch of these servers, after those `earlier` ones: whoever knows the same makes the same one."""
    known = sorted(batch.id for batch in earlier if not set(servers).isdisjoint(batch.servers))
    return LaunchBatch(id=short_hash(" ".join((run, *servers, *known))), run=run, servers=tuple(servers), at=at)


@dataclass(slots=True)
class Batches:
    """All batches of a run, by id; whatever they're told is in the launch book first.

    `held_up` is why nothing more is asked of DRS for now, `notes` are what was heard of servers on the way, `unsure`
    those of whom it isn't known whether a job was begun.
    """

    run: str
    now: datetime
    records: Mapping[str, ServerRecord]
    book: ServerBook
    launch_book: LaunchBook
    launches: RecoveryLaunches
    guard: Guard
    known: dict[str, LaunchBatch] = field(default_factory=dict)
    held_up: str = ""
    notes: dict[str, str] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    _looked_for: set[str] = field(default_factory=set)
    _noted: set[str] = field(default_factory=set)

    def read(self) -> None:
        """What's noted by now, by whomever."""
        self.known = {batch.id: batch for batch in self.guard(lambda: self.launch_book.of(self.run))}

    def open(self) -> list[LaunchBatch]:
        """Those that are still to be asked for, the oldest first."""
        return sorted(filter(is_open, self.known.values()), key=_by_age)

    def of(self, server: str) -> Iterator[LaunchBatch]:
        """All that the server was ever in, the newest first."""
        return (each for each in sorted(self.known.values(), key=_by_age, reverse=True) if server in each.servers)

    def keep(self, batch: LaunchBatch) -> LaunchBatch:
        """Note a batch, in place of what was known of it."""
        self.guard(lambda: self.launch_book.keep(batch))
        self.known[batch.id] = batch
        return batch

    def adopt(self, batch: LaunchBatch) -> None:
        """Follow the job that was begun for an open batch, or for one that it's a part of, by whomever."""
        family = [each for each in self.known.values() if each.split and not each.job and _meet(each, batch)]
        try:
            for each in (*sorted(family, key=_by_age), batch):
                if each.id not in self._looked_for and self._found(each):
                    return
        except FailbackError as error:
            self._hold_up(batch, error)

    def reduce(self, batch: LaunchBatch, servers: Sequence[str]) -> LaunchBatch | None:
        """Replace an open batch by one of those of its servers that may still be launched; None for none of them."""
        try:
            smaller = self._part(batch, servers) if servers else None
            self.keep(batch.model_copy(update={"split": True}))
        except FailbackError as error:
            self._hold_up(batch, error)
            return None
        return smaller

    def begin(self, servers: Sequence[str], at: datetime) -> None:
        """Note a new batch, and ask for it."""
        batch = batch_of(self.run, servers, at, list(self.known.values()))
        try:
            self.keep(batch)
        except FailbackError as error:
            self._hold_up(batch, error)
            return
        self.ask(batch)

    def ask(self, batch: LaunchBatch) -> None:
        """Have DRS begin a batch's job; halves are asked for where it refuses one of several servers."""
        if self.held_up:
            self._note(batch, self.held_up)
            return
        try:
            self._pass_milestones(batch)
            tags = run_tags(self.run, batch.at, batch=batch.id)
            job = self.guard(lambda: self.launches.start(batch.servers, tags=tags))
            self.keep(batch.model_copy(update={"job": job}))
        except LaunchConflict as error:
            self._refused(batch, str(error))
        except FailbackError as error:
            self._hold_up(batch, error)

    def _pass_milestones(self, batch: LaunchBatch) -> None:
        for server in batch.servers:
            if server not in self._noted and self.records[server].milestones.launched is None:
                self.pass_milestone(server)

    def pass_milestone(self, server: str) -> None:
        """Note that a server is launched from now on."""
        self.guard(lambda: self.book.reach(self.run, server, "launched", self.now))
        self._noted.add(server)

    def _refused(self, batch: LaunchBatch, said: str) -> None:
        """DRS doesn't begin a batch: its servers are in a job already, or one of them can't be launched."""
        try:
            if self._found(batch):
                return
            self.read()
            if not is_open(self.known[batch.id]):
                self._note(batch, "another sweep is at its launch")
            elif len(batch.servers) > 1:
                self._halve(batch)
            elif self.now - batch.at < SURE_AFTER:
                self._note(batch, f"DRS refuses its launch, and is asked once more: {said}")
            else:
                self.keep(batch.model_copy(update={"refused": said}))
        except FailbackError as error:
            self._hold_up(batch, error)

    def _halve(self, batch: LaunchBatch) -> None:
        middle = len(batch.servers) // 2
        halves = [self._part(batch, some) for some in (batch.servers[:middle], batch.servers[middle:])]
        self.keep(batch.model_copy(update={"split": True}))
        for half in halves:
            self.ask(half)

    def _part(self, batch: LaunchBatch, servers: Sequence[str]) -> LaunchBatch:
        """Some of a batch's servers, as a batch that's noted."""
        return self.keep(batch_of(self.run, servers, max(self.now, batch.at), [batch]))

    def _found(self, batch: LaunchBatch) -> bool:
        """Look for a batch's job; it's noted if there is one."""
        wanted = {RUN_TAG: self.run, BATCH_TAG: batch.id}
        job = self.guard(lambda: self.launches.find(wanted, since=batch.at - CLOCKS_APART))
        self._looked_for.add(batch.id)
        if job:
            self.keep(batch.model_copy(update={"job": job, "split": False}))
        return bool(job)

    def _hold_up(self, batch: LaunchBatch, error: FailbackError) -> None:
        """Leave a batch for the next sweep; while DRS is busy, or a quota used up, the others as well."""
        if isinstance(error, CloudBusy):
            self.held_up = str(error)
        self.unsure.update(batch.servers)
        self._note(batch, str(error))

    def _note(self, batch: LaunchBatch, said: str) -> None:
        self.notes.update(dict.fromkeys(batch.servers, said))


def _meet(one: LaunchBatch, other: LaunchBatch) -> bool:
    return not set(one.servers).isdisjoint(other.servers)


def _by_age(batch: LaunchBatch) -> tuple[datetime, int, str]:
    """Parts come after the whole, even where both were noted in the same moment."""
    return batch.at, -len(batch.servers), batch.id
