"""Launches of one run's servers: what the watcher's sweep does for those that wait for theirs.

All that were approved and fenced, and are level, are launched together, in batches as large as DRS takes them. What
can't be done now is left for the next sweep; a job that was begun is followed to its end, whoever began it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from failback.errors import FailbackError, LaunchFailed
from failback.launch_batches import MOST_SERVERS, Batches
from failback.launch_gate import Candidate, Gate, barred, gate, overdue
from failback.launch_outcome import is_past, lines_of, outcome_of
from failback.model.way_home import Launched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from failback.model.decision import LaunchBatch
    from failback.model.recovery import LaunchJob, RecoveryInstance
    from failback.model.server import Parked, ServerRecord
    from failback.ports import Clock
    from failback.recovery_ports import LaunchBook, RecoveryLaunches, ServerBook
    from failback.sweep import Guard


@dataclass(frozen=True)
class LaunchVerdict:
    """How a server's wait for its launch ends; with neither result nor refusal it goes on, and `note` says for what."""

    result: Launched | None = None
    refusal: FailbackError | None = None
    note: str = ""


def advance_launches(
    waiting: Sequence[tuple[Parked, RecoveryInstance | None]],
    *,
    run: str,
    records: Mapping[str, ServerRecord],
    stopped: bool,
    book: ServerBook,
    launch_book: LaunchBook,
    launches: RecoveryLaunches,
    clock: Clock,
    guard: Guard,
) -> Mapping[str, LaunchVerdict]:
    """Move the launches of one run on, and judge each server that waits for its own, by server id.

    `waiting` are all that the run has parked for it, `records` what the run log has of them; a run that was `stopped`
    has nothing more launched. Raises what reading the batches raises (FailbackError, ValueError): nothing is done then.
    """
    batches = Batches(run, clock.now(), records, book, launch_book, launches, guard)
    batches.read()
    candidates = {parked.server: Candidate(parked, found, records.get(parked.server)) for parked, found in waiting}
    launching = _Launching(batches, candidates, stopped=stopped)
    for batch in batches.open():
        batches.adopt(batch)
    launching.read_jobs()
    launching.ask_again()
    launching.ask_for_new()
    return {server: launching.verdict(one) for server, one in candidates.items()}


@dataclass(slots=True)
class _Launching:
    """One look at the servers of a run.

    `jobs` are those that DRS lists of the ones it was `asked` for; None where it didn't answer. `gates` and `logs` are
    kept since they're asked for again, `taken` are servers of open batches.
    """

    batches: Batches
    candidates: Mapping[str, Candidate]
    stopped: bool
    jobs: Mapping[str, LaunchJob] | None = None
    gates: dict[str, Gate] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    asked: frozenset[str] = frozenset()
    logs: dict[str, Sequence[str]] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        return self.batches.now

    def read_jobs(self) -> None:
        """What DRS says of all jobs that any of them is or was in."""
        self.asked = frozenset(each.job for server in self.candidates for each in self.batches.of(server) if each.job)
        try:
            self.jobs = self.batches.guard(lambda: self.batches.launches.jobs(sorted(self.asked)))
        except FailbackError as error:
            self.batches.held_up = str(error)

    def ask_again(self) -> None:
        """Open batches, with those of their servers that may still be launched."""
        for batch in self.batches.open():
            if not self.batches.unsure.isdisjoint(batch.servers):
                self.taken.update(batch.servers)
                continue
            fit = [server for server in batch.servers if self._is_free(server)]
            self.taken.update(fit)
            left = batch if len(fit) == len(batch.servers) else self.batches.reduce(batch, fit)
            if left is not None:
                self.batches.ask(left)

    def ask_for_new(self) -> None:
        """Whoever may be launched and is in no batch."""
        free = sorted(filter(self._is_free, self.candidates))
        for first in range(0, len(free), MOST_SERVERS):
            if self.batches.held_up:
                self.batches.notes.update(dict.fromkeys(free[first:], self.batches.held_up))
                return
            some = free[first : first + MOST_SERVERS]
            # Not before any of them began to wait, by whichever clock: what's older belongs to an earlier attempt.
            at = max(self.now, *(self.candidates[server].parked.since for server in some))
            self.batches.begin(some, at)

    def verdict(self, one: Candidate) -> LaunchVerdict:
        """How it stands with one server, after all that."""
        batch = self._batch(one)
        if batch is not None and batch.job:
            return self._followed(one, batch)
        if batch is not None:
            return LaunchVerdict(refusal=LaunchFailed(_refused(one.id, batch.refused)))
        if one.id in self.batches.unsure:
            return LaunchVerdict(note=self.batches.notes.get(one.id, ""))
        if one.completed and barred(one, stopped=self.stopped) is None:
            return self._launched_elsewhere(one)
        found = self._gate(one)
        note = self.batches.notes.get(one.id) or found.note
        return LaunchVerdict(refusal=found.refusal or overdue(one, self.now, note), note=note)

    def _is_free(self, server: str) -> bool:
        """Whether it may be launched, and nobody is at it yet."""
        one = self.candidates.get(server)
        if one is None or server in self.taken or self._batch(one) is not None:
            return False
        return self.now < one.parked.deadline and self._gate(one).is_open

    def _gate(self, one: Candidate) -> Gate:
        if one.id not in self.gates:
            self.gates[one.id] = gate(one, stopped=self.stopped, now=self.now)
        return self.gates[one.id]

    def _batch(self, one: Candidate) -> LaunchBatch | None:
        """The batch that decides about a server: of this attempt, or an earlier one whose job isn't over for it."""
        known, since = list(self.batches.of(one.id)), one.parked.since
        with_job = (each for each in known if each.job and (each.at >= since or not self._is_past(each, one)))
        refused = (each for each in known if each.refused and each.at >= since)
        return next(chain(with_job, refused), None)

    def _is_past(self, batch: LaunchBatch, one: Candidate) -> bool:
        return self.jobs is not None and is_past(self.jobs.get(batch.job), one)

    def _followed(self, one: Candidate, batch: LaunchBatch) -> LaunchVerdict:
        """What has come of its job."""
        if self.jobs is None:
            return LaunchVerdict(note=f"in job {batch.job}, of which DRS doesn't tell just now")
        if batch.job not in self.asked:
            return LaunchVerdict(note=f"job {batch.job} has just been begun")
        verdict, said = outcome_of(self.jobs.get(batch.job), one)
        if verdict == "launched":
            return LaunchVerdict(Launched(job=batch.job, at=self.now, remarks=(said,) if said else ()))
        if verdict == "failed":
            return LaunchVerdict(refusal=LaunchFailed(self._failed(one, batch.job, said)))
        others = len(batch.servers) - 1
        note = f"in job {batch.job}{f' with {others} others' if others else ''}: {said}"
        return LaunchVerdict(refusal=overdue(one, self.now, note), note=note)

    def _launched_elsewhere(self, one: Candidate) -> LaunchVerdict:
        """DRS has completed it without a job of this run: it's launched all the same."""
        batches, job = self.batches, one.instance.job if one.instance else ""
        try:
            batches.pass_milestone(one.id)
        except FailbackError as error:
            return LaunchVerdict(note=str(error))
        remark = f"it was launched by job {job or 'of an unknown id'}, which this run hasn't begun"
        return LaunchVerdict(Launched(job=job, at=self.now, remarks=(remark,)))

    def _failed(self, one: Candidate, job: str, said: str) -> str:
        return (
            f"DRS couldn't launch {one.id} at home: {said}. Its log: {self._log(one, job)}. The recovery instance is "
            "as it was. Usually the client couldn't make the disks bootable: its machine's serial console says why. "
            "Replication begins anew when the client is booted again, so have the server given back and start it again."
        )

    def _log(self, one: Candidate, job: str) -> str:
        if job not in self.logs:
            try:
                self.logs[job] = self.batches.guard(lambda: self.batches.launches.log(job))
            except FailbackError as error:
                return f"DRS doesn't tell it just now ({error})"
        return lines_of(self.logs[job], one) or "nothing of this server"


def _refused(server: str, said: str) -> str:
    return (
        f"DRS refuses to launch {server}: {said}. Usually its failback isn't ready (any more), or it's in a job that "
        "somebody else has begun. Look at the recovery instance in DRS's console, and try this stage again once it's "
        "ready."
    )
