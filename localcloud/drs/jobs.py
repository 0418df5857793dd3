"""Jobs of DRS: the failovers that made the recovery instances, and launches of failbacks with their quotas and logs.

Source: botocore's service model drs 2020-02-26; AWS General Reference, quotas of DRS (L-D88FAC3A 20 jobs at a time,
L-DD6D028C one for a server, L-B827C881 100 servers in a job, L-05AFA8C6 500 in all). Which events a failback's log has
isn't documented: these are the ones of the model that fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.drs.job_records import Job, JobServer, failover_job
from localcloud.drs.moments import moment_text, read_moment
from localcloud.drs.paging import page
from localcloud.drs.refusal import conflict, invalid, other_fault, over_quota
from localcloud.drs.states import READY, StateView
from localcloud.drs.tag_rules import checked_tags
from localcloud.drs.world import new_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from localcloud.drs.records import RecoveryInstance
    from localcloud.drs.settings import DrsSettings
    from localcloud.drs.world import World

Values = dict[str, Any]
_OPEN = frozenset({"PENDING", "IN_PROGRESS"})


class Jobs:
    """All jobs, under the world's lock."""

    def __init__(self, world: World, settings: DrsSettings) -> None:
        self._world, self._settings = world, settings
        self._jobs: dict[str, Job] = {}
        world.on_failover = self._note_failover

    def find(self, job: str) -> Job | None:
        """A job, if there is one."""
        return self._jobs.get(job)

    def describe(self, values: Values) -> Values:
        """DescribeJobs: the newest first."""
        filters = values.get("filters", {})
        names = filters.get("jobIDs") or self._jobs
        first, last = (read_moment(filters[name]) if name in filters else None for name in ("fromDate", "toDate"))
        found = [
            job
            for job in reversed(self._jobs.values())
            if job.id in names and (first is None or job.created >= first) and (last is None or job.created <= last)
        ]
        shown, token = page("DescribeJobs", found, values)
        return {"items": [job.described() for job in shown], "nextToken": token}

    def describe_log(self, values: Values) -> Values:
        """DescribeJobLogItems."""
        job = self._jobs.get(values["jobID"])
        if job is None:
            message = f"Job {values['jobID']} doesn't exist"
            raise other_fault(message)
        shown, token = page("DescribeJobLogItems", job.log, values)
        items = [{"logDateTime": moment_text(at), "event": event, "eventData": data} for at, event, data in shown]
        return {"items": items, "nextToken": token}

    def start(self, values: Values) -> tuple[Job, list[RecoveryInstance]]:
        """StartFailbackLaunch: a job of all these servers, or a refusal and nothing done."""
        instances = list(self._wanted(values["recoveryInstanceIDs"]))
        tags = checked_tags(values.get("tags", {}))
        self._check_quotas(instances)
        now = self._world.clock()
        for each in instances:
            state = StateView(each, now, self._settings.patience).failback
            if state != READY:
                raise conflict(each.id, f"Recovery instance {each.id} is {state}, it must be {READY}")
        servers = [JobServer(each.source, each.id) for each in instances]
        job = Job(new_name("drsjob-"), self._world.region, "FAILBACK", now, servers, tags)
        job.log.append((now, "JOB_START", None))
        self._jobs[job.id] = job
        for each in instances:
            each.failback_job = job.id
        return job, instances

    def of(self, instance: RecoveryInstance) -> JobServer | None:
        """The server's part in a launch that's still going on."""
        job = self._jobs.get(instance.failback_job or "")
        found = (each for each in job.servers if each.instance == instance.id) if job else iter(())
        return next((each for each in found if each.status in _OPEN), None)

    def taken_up(self, instance: RecoveryInstance) -> bool:
        """The client asks whether it's to launch: from a good answer on it's at work."""
        server = self.of(instance)
        if server is None:
            return False
        if server.status == "PENDING":
            self._jobs[instance.failback_job or ""].status, server.status = "STARTED", "IN_PROGRESS"
            server.told = server.status if self._settings.launch_status == "LAUNCHED" else server.told
            self._log(instance, "CONVERSION_START")
        return True

    def settle(self, instance: RecoveryInstance, *, error: str | None = None) -> None:
        """The server's part has ended, well or with a raw error."""
        server, job = self.of(instance), self._jobs.get(instance.failback_job or "")
        if server is None or job is None:
            return
        server.status = "FAILED" if error is not None else "LAUNCHED"
        if error is not None:
            server.told = "FAILED"
            self._log(instance, "LAUNCH_FAILED", rawError=error)
        else:
            server.told = "LAUNCHED" if self._settings.launch_status == "LAUNCHED" else server.told
            self._log(instance, "CONVERSION_END")
            self._log(instance, "LAUNCH_START")
        if not any(each.status in _OPEN for each in job.servers):
            job.status, job.ended = "COMPLETED", self._world.clock()
            job.log.append((job.ended, "JOB_END", None))

    def _log(self, instance: RecoveryInstance, event: str, **more: object) -> None:
        job = self._jobs[instance.failback_job or ""]
        data = {"sourceServerID": instance.source, "targetInstanceID": instance.id, **more}
        job.log.append((self._world.clock(), event, data))

    def _wanted(self, names: Iterable[str]) -> Iterator[RecoveryInstance]:
        seen: set[str] = set()
        for number, name in enumerate(names):
            found = self._world.get(name)
            if found is None:
                raise invalid(field=f"recoveryInstanceIDs[{number}]", message=f"{name} isn't a recovery instance")
            if name in seen:
                raise invalid(field=f"recoveryInstanceIDs[{number}]", message=f"{name} is given twice")
            seen.add(name)
            yield found

    def _check_quotas(self, instances: list[RecoveryInstance]) -> None:
        limits, going_on = self._settings, [job for job in self._jobs.values() if job.status != "COMPLETED"]
        if len(instances) > limits.servers_per_job:
            raise over_quota(code="L-B827C881", message=f"A job has at most {limits.servers_per_job} source servers")
        if len(going_on) >= limits.concurrent_jobs:
            raise over_quota(code="L-D88FAC3A", message=f"At most {limits.concurrent_jobs} jobs may be in progress")
        for each in instances:
            if self.of(each) is not None:
                raise over_quota(code="L-DD6D028C", message=f"Source server {each.source} is in a job already")
        if sum(len(job.servers) for job in going_on) + len(instances) > limits.servers_in_jobs:
            raise over_quota(
                code="L-05AFA8C6", message=f"All jobs in progress have at most {limits.servers_in_jobs} source servers"
            )

    def _note_failover(self, instance: RecoveryInstance) -> None:
        self._jobs[instance.job] = failover_job(instance)
