"""Launches of failbacks as jobs of AWS Elastic Disaster Recovery (botocore's service model drs 2020-02-26)."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from failback.clouds.aws.answers import code_of, portions, status_of
from failback.errors import CloudBusy, LaunchConflict
from failback.model.recovery import LaunchJob

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from failback.clouds.aws.session import Client

MOST_JOBS = 1000
"""That one call describes by their ids (DescribeJobs, filters.jobIDs)."""

_CONFLICTS = frozenset({"ConflictException", "ValidationException", "ResourceNotFoundException"})
_PAYMENT_REQUIRED = 402
# Quotas of one job for a server and of servers in a job: fewer servers may do where more don't.
_QUOTAS_OF_SERVERS = frozenset({"L-DD6D028C", "L-B827C881"})
# What an event's data names servers by.
_NAMES = ("targetInstanceID", "sourceServerID")


class DrsLaunches:
    """A RecoveryLaunches."""

    def __init__(self, drs: Client) -> None:
        self._drs = drs

    def start(self, instances: Sequence[str], *, tags: Mapping[str, str]) -> str:
        try:
            answer = self._drs.start_failback_launch(recoveryInstanceIDs=list(instances), tags=dict(tags))
        except self._drs.exceptions.ClientError as error:
            code, quota = code_of(error), error.response.get("quotaCode", "")
            said = f"StartFailbackLaunch: {error.response.get('Error', {}).get('Message') or code} ({code})"
            if code in _CONFLICTS or quota in _QUOTAS_OF_SERVERS:
                raise LaunchConflict(said) from error
            if status_of(error) == _PAYMENT_REQUIRED or code == "ServiceQuotaExceededException":
                message = f"A quota of DRS is used up: {said}. It's tried again once other jobs have ended."
                raise CloudBusy(message) from error
            raise
        return str(answer["job"]["jobID"])

    def find(self, tags: Mapping[str, str], *, since: datetime) -> str:
        jobs = self._described({"fromDate": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"})
        return next((str(job["jobID"]) for job in jobs if tags.items() <= job.get("tags", {}).items()), "")

    def jobs(self, ids: Sequence[str]) -> Mapping[str, LaunchJob]:
        # Without ids none are asked for: an empty filter would describe all of the account's.
        found = (job for some in portions(ids, MOST_JOBS) for job in self._described({"jobIDs": some}))
        return {job["jobID"]: _job(job) for job in found}

    def log(self, job: str) -> Sequence[str]:
        pages = self._drs.get_paginator("describe_job_log_items").paginate(jobID=job)
        items = [item for page in pages for item in page["items"]]
        # Moments of one form, so their order is that of their text.
        return [_line(item) for item in sorted(items, key=lambda item: str(item.get("logDateTime", "")))]

    def _described(self, filters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        for page in self._drs.get_paginator("describe_jobs").paginate(filters=filters):
            yield from page["items"]


def _job(job: Mapping[str, Any]) -> LaunchJob:
    servers = {
        each["recoveryInstanceID"]: each.get("launchStatus", "")
        for each in job.get("participatingServers", ())
        if "recoveryInstanceID" in each
    }
    return LaunchJob(id=job["jobID"], status=job.get("status", ""), servers=servers)


def _line(item: Mapping[str, Any]) -> str:
    """Moment and event, and for a server's also the server, and the raw error."""
    data = item.get("eventData", {})
    words = (item.get("logDateTime", ""), item.get("event", ""), *(data.get(name, "") for name in _NAMES))
    raw = " ".join(data.get("rawError", "").split())
    return " ".join(filter(None, words)) + (f": {raw}" if raw else "")
