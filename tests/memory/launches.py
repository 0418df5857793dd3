"""DRS's launches of failbacks in memory, as strict as DRS about states, quotas and one job for a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from failback.errors import CloudBusy, CloudRefused, LaunchConflict
from failback.model.recovery import LaunchJob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from failback.ports import Clock
    from tests.memory.recovery import MemoryRecovery

READY = "FAILBACK_READY_FOR_LAUNCH"
_OPEN = frozenset({"PENDING", "IN_PROGRESS"})


@dataclass
class StartedJob:
    """One job: `servers` by what they are, `told` by what the job says of them."""

    id: str
    tags: dict[str, str]
    began: datetime
    servers: dict[str, str]
    told: dict[str, str]
    log: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        if any(status in _OPEN for status in self.servers.values()):
            return "PENDING" if set(self.servers.values()) == {"PENDING"} else "STARTED"
        return "COMPLETED"


class MemoryLaunches:
    """A RecoveryLaunches over the instances of a MemoryRecovery; `finish` is what a client does.

    Without `says_launched` a job says nothing of a server that was launched. A job is listed `listed_after` its start.
    `asked` are the servers of each call of `start`, `refuse` errors that calls raise, by the port's own word; `bad` are
    servers that DRS doesn't launch though they're ready, `errors` those whose launch fails at once.
    """

    def __init__(self, recovery: MemoryRecovery, clock: Clock, *, says_launched: bool = True) -> None:
        self._recovery, self._clock, self._says_launched = recovery, clock, says_launched
        self.begun: dict[str, StartedJob] = {}
        self.asked: list[tuple[str, ...]] = []
        self.refuse: dict[str, Exception] = {}
        self.bad: set[str] = set()
        self.errors: dict[str, str] = {}
        self.listed_after = timedelta(0)
        self.concurrent_jobs, self.servers_per_job, self.servers_in_jobs = 20, 100, 500

    def start(self, instances: Sequence[str], *, tags: Mapping[str, str]) -> str:
        self.asked.append(tuple(instances))
        self._check("start")
        assert 1 <= len(instances) <= 200
        assert len(set(instances)) == len(instances)
        self._check_quotas(instances)
        for each in instances:
            known = self._recovery.known.get(each)
            if known is None or known.failback_state != READY or each in self.bad:
                state = known.failback_state if known else "unknown"
                raise LaunchConflict(f"{each} is {state}, it can't be launched")
        now, name = self._clock.now(), f"drsjob-{len(self.begun):017}"
        pending = dict.fromkeys(instances, "PENDING")
        self.begun[name] = StartedJob(name, dict(tags), now, pending, dict(pending), [f"{now:%FT%TZ} JOB_START"])
        for each in instances:
            self._recovery.change(each, job=name)
            if each in self.errors:
                self.finish(each, error=self.errors[each])
        return name

    def find(self, tags: Mapping[str, str], *, since: datetime) -> str:
        self._check("find")
        now = self._clock.now()
        for job in reversed(self.begun.values()):
            if tags.items() <= job.tags.items() and since <= job.began <= now - self.listed_after:
                return job.id
        return ""

    def jobs(self, ids: Sequence[str]) -> Mapping[str, LaunchJob]:
        self._check("jobs")
        found = (self.begun[each] for each in ids if each in self.begun)
        return {job.id: LaunchJob(id=job.id, status=job.status, servers=dict(job.told)) for job in found}

    def log(self, job: str) -> Sequence[str]:
        self._check("log")
        if job not in self.begun:
            raise CloudRefused(job)
        return list(self.begun[job].log)

    def finish(self, server: str, *, error: str = "") -> None:
        """What the client makes of it, well or with an error."""
        job = self.begun[self._recovery.known[server].job]
        job.servers[server] = "FAILED" if error else "LAUNCHED"
        event, said = ("LAUNCH_FAILED", f": {error}") if error else ("LAUNCH_START", "")
        if error or self._says_launched:
            job.told[server] = job.servers[server]
        job.log.append(f"{self._clock.now():%FT%TZ} {event} {server}{said}")
        state = "FAILBACK_ERROR" if error else "FAILBACK_COMPLETED"
        self._recovery.change(server, failback_state=state, replication_state="STOPPED")

    def jobs_of(self, server: str) -> list[str]:
        """All jobs that it was ever in."""
        return [job.id for job in self.begun.values() if server in job.servers]

    def _check_quotas(self, instances: Sequence[str]) -> None:
        going_on = [job for job in self.begun.values() if job.status != "COMPLETED"]
        if len(instances) > self.servers_per_job:
            raise LaunchConflict(f"a job has at most {self.servers_per_job} servers")
        if len(going_on) >= self.concurrent_jobs:
            raise CloudBusy(f"at most {self.concurrent_jobs} jobs may be in progress")
        for each in instances:
            if any(job.servers.get(each) in _OPEN for job in going_on):
                raise LaunchConflict(f"{each} is in a job already")
        if sum(len(job.servers) for job in going_on) + len(instances) > self.servers_in_jobs:
            raise CloudBusy(f"all jobs in progress have at most {self.servers_in_jobs} servers")

    def _check(self, call: str) -> None:
        if call in self.refuse:
            raise self.refuse[call]
