"""What the emulated DRS keeps: recovery instances, the client that each is linked with, and how far that has come."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from failback.model.recovery import INITIATION_STEPS
from localcloud.accounts import ACCOUNT
from localcloud.drs.plans import ClientPlan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from localcloud.drs.volume import Volume

BootMode = Literal["legacy-bios", "uefi"]
Origin = Literal["ON_PREMISES", "AWS"]
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class NewInstance:
    """What a failover is to leave behind in AWS.

    `volumes` by the guest's device names, the boot volume first: bytes of an empty one, or a raw file that's copied.
    Without `private_address` the next free one of 169.254.64.0/20 is taken. `source_tags` are the source server's.
    """

    volumes: Mapping[str, int | Path]
    name: str = "server"
    boot_mode: BootMode = "legacy-bios"
    private_address: str | None = None
    public_address: str | None = None
    os: str = "Ubuntu 22.04.4 LTS"
    cores: int = 2
    ram_bytes: int = 4 * GIB
    instance_type: str = "m5.large"
    is_drill: bool = False
    origin: Origin = "ON_PREMISES"
    vmware_uuid: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    source_tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Configuration:
    """The failback replication configuration; `bandwidth` in Mbit/s, 0 without a limit."""

    name: str
    bandwidth: int = 0
    use_private: bool = False
    protocol: str = "IPV4"


@dataclass(slots=True)
class DiskProgress:
    """Bytes of one mapped volume, as its client told them last."""

    total: int
    replicated: int = 0
    rescanned: int = 0
    backlogged: int = 0


@dataclass(slots=True)
class ClientLink:
    """One client's work on a recovery instance, from its first call to its last.

    `local` are its disks' bytes by name. `consistent` is when it last had everything.
    """

    client: str
    original: bool
    started: datetime
    seen: datetime
    local: Mapping[str, int]
    hardware: str = ""
    steps: dict[str, str] = field(default_factory=lambda: dict.fromkeys(INITIATION_STEPS, "NOT_STARTED"))
    failed: tuple[str, str] | None = None
    disks: dict[str, DiskProgress] = field(default_factory=dict)
    certificate: str = ""
    first_byte: datetime | None = None
    attained: datetime | None = None
    consistent: datetime | None = None
    outcome: Literal["", "completed", "failed"] = ""

    def done(self, step: str) -> None:
        """A step has succeeded: the next one is under way."""
        self.steps[step] = "SUCCEEDED"
        self.failed = None
        following = [name for name, status in self.steps.items() if status != "SUCCEEDED"]
        if following and self.steps[following[0]] == "NOT_STARTED":
            self.steps[following[0]] = "IN_PROGRESS"

    def fail(self, step: str, raw: str) -> None:
        """A step has failed, which ends this client's work."""
        self.steps[step], self.failed = "FAILED", (step, raw)


@dataclass(slots=True)
class RecoveryInstance:
    """A recovery instance with its source server; ids are `i-...` in EC2 and here alike, and `s-...`.

    `job` is its launch's job at the failover, `failback_job` the failback's.
    """

    id: str
    source: str
    region: str
    made_of: NewInstance
    private_address: str
    mac_address: str
    security_group: str
    volumes: dict[str, Volume]
    launched: datetime
    job: str
    configuration: Configuration
    tags: dict[str, str]
    source_tags: dict[str, str]
    agent_seen: datetime
    plan: ClientPlan = field(default_factory=ClientPlan)
    link: ClientLink | None = None
    failback_job: str | None = None
    bell: threading.Event = field(default_factory=threading.Event)

    @property
    def public_address(self) -> str | None:
        """None without one."""
        return self.made_of.public_address

    @property
    def arn(self) -> str:
        """Of the recovery instance."""
        return arn_of(self.region, "recovery-instance", self.id)

    @property
    def source_arn(self) -> str:
        """Of the source server."""
        return arn_of(self.region, "source-server", self.source)


def arn_of(region: str, kind: str, name: str) -> str:
    """An ARN of DRS."""
    return f"arn:aws:drs:{region}:{ACCOUNT}:{kind}/{name}"
