"""One server's way home within a run: what's planned for it, what was changed for it, how it stands, how it ended."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from failback.model.cutover import OnFailure
from failback.model.facts import Facts
from failback.model.guest import GuestOs as GuestOs
from failback.model.original import Original
from failback.model.recovery import FailbackConfiguration, Firmware
from failback.model.request import FIRST_WAVE, ServerRequest, WayName


class ServerRef(Facts):
    """Which server: the recovery instance's id. All else of it is in the run log, so that hundreds fit in a state."""

    id: str


class PlannedDisk(Facts):
    """A volume and the disk at home that takes it: at unit `lun`, of `size_gib`; `boot` is the volume booted from.

    `device` is the volume's name in the recovery instance, `bytes` its size there, `name` the disk's at home. With way
    `original` the disk is a clone of `original`, the id of the one that takes the volume; `home_lun` is where it is in
    the server's own machine at the end, where that isn't the same, and `caching` how it's attached there, in the home's
    own word.
    """

    device: str
    bytes: int
    size_gib: int
    lun: int
    name: str
    sku: str
    boot: bool = False
    original: str = ""
    home_lun: int | None = None
    caching: str = ""


class ServerPlan(Facts):
    """What will be made at home for a server, before anything is.

    `client_firmware` is what the client machine boots by, `firmware` what the server itself does; `machine` is the
    client machine's name (with way `new` and `original` the server's own machine), `size` its size. `home_machine` is
    the server's own machine at the end, of size `home_size`; `original` the name of the one that was failed over and
    is taken over (empty: a new one is made). `hints` are for a person to read.
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
    home_machine: str = ""
    home_size: str = ""
    original: str = ""
    overwrite: bool = False
    wave: str = FIRST_WAVE
    on_failure: OnFailure = "hold"
    hints: tuple[str, ...] = ()

    @property
    def own_machine(self) -> str:
        """The name of the machine that the server is at the end."""
        return self.home_machine or self.machine


class BeforeImage(Facts):
    """How what a run changes, without having made it, was before the first change.

    `groups` are the recovery instance's security groups, which a fence may exchange; `original` its machine at home.
    """

    configuration: FailbackConfiguration
    tags: dict[str, str] = Field(default_factory=dict)
    groups: tuple[str, ...] = ()
    original: Original | None = None


class Milestones(Facts):
    """What can't be taken back unseen, each noted before it's begun: the fence, the launch, the start at home.

    `started` is when the server itself was first started at home: from then on it may serve there.
    """

    fenced: datetime | None = None
    launched: datetime | None = None
    started: datetime | None = None


Milestone = Literal["fenced", "launched", "started"]


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


class Ending(Facts):
    """What's left to a person once a server is home: whether DRS protects it again, what may be removed, and how."""

    protected: bool | None = None
    advice: tuple[str, ...] = ()


class ServerOutcome(Facts):
    """How a server's part of the run ended.

    `home`: launched, up, accepted, closed. `launched`: at home and not accepted by anybody, everything kept.
    `rehearsed`: up at home once, and removed again. `skipped`: its wave wasn't begun. `failed` at a stage, with cause
    and advice.
    """

    outcome: Literal["home", "launched", "rehearsed", "skipped", "failed"]
    at: datetime
    stage: str = ""
    error: str = ""
    cause: str = ""
    ending: Ending = Ending()

    @property
    def is_good(self) -> bool:
        """Whether the server is where it was to be."""
        return self.outcome in {"home", "rehearsed"}


class ServerRecord(Facts):
    """All that the run log keeps of one server, but its stages."""

    id: str
    request: ServerRequest
    plan: ServerPlan | None = None
    before: BeforeImage | None = None
    progress: ReplicationProgress | None = None
    outcome: ServerOutcome | None = None
    milestones: Milestones = Milestones()


Awaited = Literal["replication", "approval", "launch", "commit", "hold"]


class Parked(Facts):
    """A server that waits: the task token that its execution waits for, and until when.

    `stuck_minutes` is how long a stall may last; `stuck_since` is when the one there is now began. `scopes` are those
    of the decisions that count for it. `lag_until` is when everything has to be replicated so that it can be launched.
    `not_before` is when a policy accepts it (None: only a person does). `stage` is where a held one failed.
    """

    run: str
    server: str
    milestone: Awaited
    token: str
    since: datetime
    deadline: datetime
    stuck_minutes: int = 60
    on_stuck: Literal["fail", "wait"] = "fail"
    stuck_since: datetime | None = None
    scopes: tuple[str, ...] = ()
    lag_until: datetime | None = None
    not_before: datetime | None = None
    stage: str = ""
