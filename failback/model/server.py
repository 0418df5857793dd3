"""One server's way home within a run: what's planned for it, what was changed for it, how it stands, how it ended."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from failback.model.facts import Facts
from failback.model.recovery import FailbackConfiguration, Firmware
from failback.model.request import ServerRequest, WayName

GuestOs = Literal["linux", "windows"]


class ServerRef(Facts):
    """Which server: the recovery instance's id. All else of it is in the run log, so that hundreds fit in a state."""

    id: str


class PlannedDisk(Facts):
    """A volume and the disk at home that takes it: at LUN `lun`, of `size_gib`; `boot` is the volume booted from.

    `device` is the volume's name in the recovery instance, `bytes` its size there, `name` the disk's at home.
    """

    device: str
    bytes: int
    size_gib: int
    lun: int
    name: str
    sku: str
    boot: bool = False


class ServerPlan(Facts):
    """What will be made at home for a server, before anything is.

    `client_firmware` is what the client machine boots by, `firmware` what the server itself does; `machine` is the
    client machine's name (with way `new` the server's own machine), `size` its size. `hints` are for a person to read.
    """

    id: str
    source_server: str
    hostname: str
    os: GuestOs
    way: WayName
    firmware: Firmware
    client_firmware: Firmware
    machine: str
    size: str
    disks: tuple[PlannedDisk, ...]
    excluded: tuple[str, ...] = ()
    group: str
    private_ip: bool
    bandwidth_mbps: int
    to_copy: int
    hints: tuple[str, ...] = ()


class BeforeImage(Facts):
    """How what a run changes, without having made it, was before the first change."""

    configuration: FailbackConfiguration
    tags: dict[str, str] = Field(default_factory=dict)


class ReplicationProgress(Facts):
    """How far a server's replication is: bytes, `lag_seconds` behind, when it's expected to be through, and in words.

    `state` and `failback` are DRS's words; `verdict` is ours, with its `reason` and `advice` where it's stuck.
    """

    at: datetime
    verdict: Literal["waiting", "ready", "stuck", "done"]
    state: str
    failback: str
    total: int = 0
    replicated: int = 0
    rescanned: int = 0
    backlogged: int = 0
    lag_seconds: float | None = None
    eta: datetime | None = None
    to_original: bool = False
    reason: str = ""
    advice: str = ""


class ServerOutcome(Facts):
    """How a server's part of the run ended: `ready` for launch, or failed at a stage, with cause and advice."""

    outcome: Literal["ready", "failed"]
    at: datetime
    stage: str = ""
    error: str = ""
    cause: str = ""


class ServerRecord(Facts):
    """All that the run log keeps of one server, but its stages."""

    id: str
    request: ServerRequest
    plan: ServerPlan | None = None
    before: BeforeImage | None = None
    progress: ReplicationProgress | None = None
    outcome: ServerOutcome | None = None


class Parked(Facts):
    """A server that waits for a milestone: the task token that its execution waits for, and until when.

    `stuck_minutes` is how long a stall may last; `stuck_since` is when the one there is now began.
    """

    run: str
    server: str
    milestone: Literal["replication"]
    token: str
    since: datetime
    deadline: datetime
    stuck_minutes: int
    on_stuck: Literal["fail", "wait"]
    stuck_since: datetime | None = None
