"""What DRS says, in the domain's words (botocore's service model drs 2020-02-26).

It's unconfirmed in which form a recovery instance's lag comes: the model has it as a moment, but for source servers
as a duration (ISO 8601).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from failback.model.recovery import (
    FailbackConfiguration,
    InitiationStep,
    RecoveryInstance,
    ReplicatedDisk,
    SourceServer,
    Volume,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    Answer = Mapping[str, Any]

_DURATION = TypeAdapter(timedelta)
_NO_LAG = timedelta(0)


def instance_of(item: Answer, *, now: datetime) -> RecoveryInstance:
    """A recovery instance, of one item of DescribeRecoveryInstances' answer."""
    return RecoveryInstance(
        id=item["recoveryInstanceID"],
        arn=item["arn"],
        source_server=item.get("sourceServerID", ""),
        ec2_state=item.get("ec2InstanceState", ""),
        is_drill=item.get("isDrill", False),
        origin=item.get("originEnvironment", "ON_PREMISES"),
        tags=dict(item.get("tags", {})),
        **_machine(item.get("recoveryInstanceProperties", {})),
        **_failback(item.get("failback", {})),
        **_replication(item.get("dataReplicationInfo", {}), now=now),
    )


def source_of(item: Answer) -> SourceServer:
    """A source server, of one item of DescribeSourceServers' answer."""
    properties = item.get("sourceProperties", {})
    return SourceServer(
        id=item["sourceServerID"],
        architecture=properties.get("architecture", ""),
        hostname=_hostname(properties),
        replication_state=item.get("dataReplicationInfo", {}).get("dataReplicationState", ""),
    )


def configuration_of(answer: Answer) -> FailbackConfiguration:
    """GetFailbackReplicationConfiguration's answer."""
    return FailbackConfiguration(
        name=answer.get("name", ""),
        bandwidth_mbps=answer.get("bandwidthThrottling", 0),
        private_ip=answer.get("usePrivateIP", False),
        protocol=answer.get("internetProtocol"),
    )


def lag_of(text: str | None, *, now: datetime) -> timedelta | None:
    """How far behind: a duration as it is; a moment is taken as that up to which everything has been replicated."""
    if not text:
        return None
    upto = moment_of(text)
    if upto is not None:
        return max(now - upto, _NO_LAG)
    try:
        return max(_DURATION.validate_python(text), _NO_LAG)
    except ValidationError:
        return None


def moment_of(text: str | None) -> datetime | None:
    """A date-time, in UTC where it doesn't say; None where it isn't one: no time is worth failing a look at all."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _machine(properties: Answer) -> dict[str, Any]:
    disks = properties.get("disks", ())
    return {
        "hostname": _hostname(properties),
        "os": properties.get("os", {}).get("fullString", ""),
        "cpus": sum(each.get("cores", 0) for each in properties.get("cpus", ())),
        "ram_bytes": properties.get("ramBytes", 0),
        "volumes": tuple(
            Volume(
                device=each.get("internalDeviceName", ""),
                bytes=each.get("bytes", 0),
                volume=each.get("ebsVolumeID", ""),
            )
            for each in disks
        ),
    }


def _hostname(properties: Answer) -> str:
    hints = properties.get("identificationHints", {})
    name: str = hints.get("hostname") or hints.get("fqdn") or ""
    return name


def _failback(failback: Answer) -> dict[str, Any]:
    return {
        "failback_state": failback.get("state", "FAILBACK_NOT_STARTED"),
        "client": failback.get("failbackClientID", ""),
        "client_seen": moment_of(failback.get("failbackClientLastSeenByServiceDateTime")),
        "agent_seen": moment_of(failback.get("agentLastSeenByServiceDateTime")),
        "to_original": failback.get("failbackToOriginalServer", False),
        "job": failback.get("failbackJobID", ""),
        "first_byte": moment_of(failback.get("firstByteDateTime")),
    }


def _replication(info: Answer, *, now: datetime) -> dict[str, Any]:
    steps = info.get("dataReplicationInitiation", {}).get("steps", ())
    error = info.get("dataReplicationError", {})
    return {
        "replication_state": info.get("dataReplicationState", "NOT_STARTED"),
        "steps": tuple(
            InitiationStep(name=each.get("name", ""), status=each.get("status", "NOT_STARTED")) for each in steps
        ),
        "error": error.get("error", ""),
        "raw_error": error.get("rawError", ""),
        "lag": lag_of(info.get("lagDuration"), now=now),
        "eta": moment_of(info.get("etaDateTime")),
        "disks": tuple(map(_disk, info.get("replicatedDisks", ()))),
    }


def _disk(disk: Answer) -> ReplicatedDisk:
    return ReplicatedDisk(
        device=disk.get("deviceName", ""),
        total=disk.get("totalStorageBytes", 0),
        replicated=disk.get("replicatedStorageBytes", 0),
        rescanned=disk.get("rescannedStorageBytes", 0),
        backlogged=disk.get("backloggedStorageBytes", 0),
    )
