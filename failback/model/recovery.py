"""What AWS says of a recovery instance: DRS's record of it, and the EC2 instance itself.

Source: botocore's service model drs 2020-02-26, shapes RecoveryInstance, RecoveryInstanceFailback and
RecoveryInstanceDataReplicationInfo. Words that DRS may add later stay what they are: states and errors are text here.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from failback.model.facts import Facts

Firmware = Literal["bios", "uefi"]

INITIATION_STEPS = (
    "LINK_FAILBACK_CLIENT_WITH_RECOVERY_INSTANCE",
    "COMPLETE_VOLUME_MAPPING",
    "ESTABLISH_RECOVERY_INSTANCE_COMMUNICATION",
    "DOWNLOAD_REPLICATION_SOFTWARE_TO_FAILBACK_CLIENT",
    "CONFIGURE_REPLICATION_SOFTWARE",
    "PAIR_AGENT_WITH_REPLICATION_SOFTWARE",
    "ESTABLISH_AGENT_REPLICATOR_SOFTWARE_COMMUNICATION",
)
"""The steps of a failback by a client, in order; the model's others belong to reverse replication inside EC2."""

FAILBACK_STATES = (
    "FAILBACK_NOT_STARTED",
    "FAILBACK_IN_PROGRESS",
    "FAILBACK_READY_FOR_LAUNCH",
    "FAILBACK_COMPLETED",
    "FAILBACK_ERROR",
    "FAILBACK_NOT_READY_FOR_LAUNCH",
    "FAILBACK_LAUNCH_STATE_NOT_AVAILABLE",
)


class Volume(Facts):
    """A volume of the recovery instance: its name in the guest, its bytes, and the EBS volume."""

    device: str
    bytes: int
    volume: str = ""


class ReplicatedDisk(Facts):
    """How far one disk's replication is, in bytes."""

    device: str
    total: int
    replicated: int = 0
    rescanned: int = 0
    backlogged: int = 0


class InitiationStep(Facts):
    """A step on the way to replication: NOT_STARTED, IN_PROGRESS, SUCCEEDED, FAILED or SKIPPED."""

    name: str
    status: str


class RecoveryInstance(Facts):
    """One recovery instance as DRS describes it; `lag` and `elapsed` are None where it says nothing.

    `origin` is ON_PREMISES for whatever isn't EC2. `to_original` says that the client was taken as the original server.
    """

    id: str
    arn: str
    source_server: str
    ec2_state: str
    is_drill: bool = False
    origin: str = "ON_PREMISES"
    hostname: str = ""
    os: str = ""
    cpus: int = 0
    ram_bytes: int = 0
    volumes: tuple[Volume, ...] = ()
    tags: dict[str, str] = Field(default_factory=dict)
    failback_state: str = "FAILBACK_NOT_STARTED"
    client: str = ""
    client_seen: datetime | None = None
    agent_seen: datetime | None = None
    to_original: bool = False
    job: str = ""
    first_byte: datetime | None = None
    replication_state: str = "NOT_STARTED"
    steps: tuple[InitiationStep, ...] = ()
    error: str = ""
    raw_error: str = ""
    lag: timedelta | None = None
    eta: datetime | None = None
    disks: tuple[ReplicatedDisk, ...] = ()


class SourceServer(Facts):
    """DRS's record of the original server: its architecture (`x86_64`, `arm64`), and what DRS calls it.

    `replication_state` is that of the replication from home to AWS: what protects the server.
    """

    id: str
    architecture: str = ""
    hostname: str = ""
    replication_state: str = ""


class LaunchJob(Facts):
    """A job of DRS: PENDING, STARTED or COMPLETED (which isn't success), and each server's launch status by id."""

    id: str
    status: str
    servers: dict[str, str] = Field(default_factory=dict)


class FailbackConfiguration(Facts):
    """How a recovery instance replicates to its client: Mbit/s (0: no bound), and whether by its private address."""

    name: str = ""
    bandwidth_mbps: int = 0
    private_ip: bool = True
    protocol: Literal["IPV4", "IPV6"] | None = None


class Host(Facts):
    """The EC2 instance behind a recovery instance. `firmware` is what it booted by, where EC2 says so."""

    id: str
    state: str
    firmware: Firmware | None = None
    private_address: str = ""
    public_address: str = ""
    groups: tuple[str, ...] = ()
    profile: str = ""
