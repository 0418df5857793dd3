"""Recovery instances and source servers as DRS describes them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from localcloud.drs.moments import moment_text, span_text
from localcloud.drs.states import StateView

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from localcloud.drs.records import ClientLink, RecoveryInstance
    from localcloud.drs.settings import DrsSettings

Values = dict[str, Any]
AGENT_VERSION = "3.7.0"


class Describer:
    """Describes things as they are at the moment `now`."""

    def __init__(self, settings: DrsSettings, now: datetime) -> None:
        self._settings, self._now = settings, now

    def recovery_instance(self, instance: RecoveryInstance, state: str) -> Values:
        """The model's RecoveryInstance; `state` is EC2's."""
        return {
            "ec2InstanceID": instance.id,
            "ec2InstanceState": state,
            "jobID": instance.job,
            "recoveryInstanceID": instance.id,
            "sourceServerID": instance.source,
            "arn": instance.arn,
            "tags": dict(instance.tags),
            "failback": self._failback(instance),
            "dataReplicationInfo": self._replication(instance),
            "recoveryInstanceProperties": self._properties(instance),
            "pointInTimeSnapshotDateTime": moment_text(instance.launched),
            "isDrill": instance.made_of.is_drill,
            "originEnvironment": instance.made_of.origin,
            "agentVersion": AGENT_VERSION,
        }

    def source_server(self, instance: RecoveryInstance) -> Values:
        """The model's SourceServer: while it's failed over, the original isn't there and its own replication is cut.

        AWS's pages have the agent of an original that was failed back go on by itself; it compares the disks first.
        """
        made = instance.made_of
        launch = {"apiCallDateTime": moment_text(instance.launched), "jobID": instance.job}
        last = {"initiated": {**launch, "type": _launch_type(instance)}, "status": "LAUNCHED"}
        disks = [{"deviceName": name, "bytes": volume.size} for name, volume in instance.volumes.items()]
        return {
            "sourceServerID": instance.source,
            "arn": instance.source_arn,
            "tags": dict(instance.source_tags),
            "recoveryInstanceId": instance.id,
            "lastLaunchResult": "SUCCEEDED",
            "dataReplicationInfo": {"dataReplicationState": "RESCAN" if _is_home(instance) else "DISCONNECTED"},
            "lifeCycle": {
                "addedToServiceDateTime": moment_text(instance.launched - timedelta(days=30)),
                "lastSeenByServiceDateTime": moment_text(instance.launched),
                "lastLaunch": last,
            },
            "sourceProperties": {
                **self._hardware(instance),
                "disks": disks,
                "recommendedInstanceType": made.instance_type,
                "supportsNitroInstances": True,
                "architecture": "x86_64",
            },
            "replicationDirection": "FAILOVER",
            "agentVersion": AGENT_VERSION,
        }

    def _failback(self, instance: RecoveryInstance) -> Values:
        view, link = StateView(instance, self._now, self._settings.patience), instance.link
        seen = {"agentLastSeenByServiceDateTime": moment_text(instance.plan.agent_seen or instance.agent_seen)}
        if link is None:
            return {"state": view.failback, **seen}
        return {
            "failbackClientID": link.client,
            "failbackJobID": instance.failback_job,
            "failbackInitiationTime": moment_text(link.started),
            "state": view.failback,
            **seen,
            "failbackClientLastSeenByServiceDateTime": moment_text(instance.plan.client_seen or link.seen),
            "failbackToOriginalServer": link.original,
            "firstByteDateTime": moment_text(link.first_byte),
            "elapsedReplicationDuration": self._span(self._elapsed(link)),
            "failbackLaunchType": _launch_type(instance),
        }

    def _replication(self, instance: RecoveryInstance) -> Values:
        view, link = StateView(instance, self._now, self._settings.patience), instance.link
        if link is None:
            return {"dataReplicationState": view.replication}
        bytes_done = view.replicated(link)
        done = link.attained is not None and instance.plan.hold is None
        return {
            "lagDuration": self._span(self._lag(link, view.replication)),
            "etaDateTime": None if done or link.outcome else moment_text(self._eta(link, bytes_done)),
            "replicatedDisks": [
                {
                    "deviceName": device,
                    "totalStorageBytes": disk.total,
                    "replicatedStorageBytes": bytes_done[device],
                    "rescannedStorageBytes": disk.rescanned,
                    "backloggedStorageBytes": disk.backlogged,
                }
                for device, disk in link.disks.items()
            ],
            "dataReplicationState": view.replication,
            "dataReplicationInitiation": {
                "startDateTime": moment_text(link.started),
                "steps": [{"name": name, "status": status} for name, status in link.steps.items()],
            },
            "dataReplicationError": view.error,
        }

    def _eta(self, link: ClientLink, bytes_done: Mapping[str, int]) -> datetime | None:
        """When the rest will have come, at the pace so far; None before the first byte."""
        done, total = sum(bytes_done.values()), sum(disk.total for disk in link.disks.values())
        if link.first_byte is None or not done:
            return None
        return self._now + (self._now - link.first_byte) * ((total - done) / done)

    def _lag(self, link: ClientLink, state: str) -> timedelta | None:
        """How old the copy is: since it last had everything, or since its first byte."""
        since = self._now if state == "CONTINUOUS" else link.consistent or link.first_byte
        return None if since is None else self._now - since

    def _elapsed(self, link: ClientLink) -> timedelta | None:
        return None if link.first_byte is None else (link.attained or self._now) - link.first_byte

    def _span(self, span: timedelta | None) -> str | None:
        return None if span is None else span_text(span, self._now, self._settings.durations)

    def _properties(self, instance: RecoveryInstance) -> Values:
        disks = [
            {"internalDeviceName": name, "bytes": volume.size, "ebsVolumeID": volume.ebs_id}
            for name, volume in instance.volumes.items()
        ]
        return {**self._hardware(instance), "disks": disks}

    def _hardware(self, instance: RecoveryInstance) -> Values:
        made = instance.made_of
        hints = {"hostname": made.name, "fqdn": f"{made.name}.example", "vmWareUuid": made.vmware_uuid}
        nic = {"macAddress": instance.mac_address, "ips": [instance.private_address], "isPrimary": True}
        return {
            "lastUpdatedDateTime": moment_text(instance.launched),
            "identificationHints": {**hints, "awsInstanceID": instance.id},
            "networkInterfaces": [nic],
            "cpus": [{"cores": made.cores, "modelName": "Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz"}],
            "ramBytes": made.ram_bytes,
            "os": {"fullString": made.os},
        }


def _is_home(instance: RecoveryInstance) -> bool:
    """Whether a failback to the original server has been completed."""
    return instance.link is not None and instance.link.original and instance.link.outcome == "completed"


def _launch_type(instance: RecoveryInstance) -> str:
    return "DRILL" if instance.made_of.is_drill else "RECOVERY"
