"""Jobs as DRS keeps and describes them, and the job that a failover leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localcloud.drs.moments import moment_text
from localcloud.drs.records import arn_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from localcloud.drs.records import RecoveryInstance

Values = dict[str, Any]


@dataclass(slots=True)
class JobServer:
    """One server of a job; `status` is what came of it, `told` what its launchStatus says of that."""

    source: str
    instance: str
    status: str = "PENDING"
    told: str = "PENDING"


@dataclass(slots=True)
class Job:
    """A job of type LAUNCH; `log` are events with their moment and data."""

    id: str
    region: str
    initiated_by: str
    created: datetime
    servers: list[JobServer]
    tags: dict[str, str]
    status: str = "PENDING"
    ended: datetime | None = None
    log: list[tuple[datetime, str, Values | None]] = field(default_factory=list)

    def described(self) -> Values:
        """The model's Job."""
        servers = [
            {"sourceServerID": each.source, "recoveryInstanceID": each.instance, "launchStatus": each.told}
            for each in self.servers
        ]
        return {
            "jobID": self.id,
            "arn": self.arn,
            "type": "LAUNCH",
            "initiatedBy": self.initiated_by,
            "creationDateTime": moment_text(self.created),
            "endDateTime": moment_text(self.ended),
            "status": self.status,
            "participatingServers": servers,
            "tags": dict(self.tags),
        }

    @property
    def arn(self) -> str:
        """Of the job."""
        return arn_of(self.region, "job", self.id)


def failover_job(instance: RecoveryInstance) -> Job:
    """The job that launched the recovery instance, with the conversion's properties in its log."""
    began = "START_DRILL" if instance.made_of.is_drill else "START_RECOVERY"
    server = JobServer(instance.source, instance.id, "LAUNCHED", "LAUNCHED")
    now = instance.launched
    job = Job(instance.job, instance.region, began, now, [server], {}, "COMPLETED", now)
    data: Values = {"sourceServerID": instance.source}
    done = {**data, "conversionProperties": _conversion(instance)}
    launched = {**data, "targetInstanceID": instance.id}
    steps: list[tuple[str, Values | None]] = [
        ("JOB_START", None),
        ("SNAPSHOT_START", data),
        ("SNAPSHOT_END", data),
        ("CONVERSION_START", data),
        ("CONVERSION_END", done),
        ("LAUNCH_START", launched),
        ("JOB_END", None),
    ]
    job.log = [(now, event, each) for event, each in steps]
    return job


def _conversion(instance: RecoveryInstance) -> Mapping[str, object]:
    return {
        "rootVolumeName": next(iter(instance.volumes)),
        "forceUefi": instance.made_of.boot_mode == "uefi",
        "dataTimestamp": moment_text(instance.launched),
        "volumeToVolumeSize": {name: volume.size for name, volume in instance.volumes.items()},
    }
