"""What starts a run, as every door takes it, and the run that becomes of it once it's checked."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from failback.model.agent import Identifier, InstanceId, RecoveryDevice
from failback.model.cutover import CutoverChoice, OnFailure
from failback.model.facts import Facts
from failback.model.recovery import Firmware

Goal = Literal["prepare", "check", "failback", "rehearse", "clean_up"]
GOALS_OF_SERVERS = ("check", "failback", "rehearse")
WayName = Literal["new", "helper", "original"]
MOST_SERVERS = 500
"""Of one run: as many as DRS takes in all its jobs together."""
MOST_REPLICATING = 300
"""Servers that may replicate at once in one account and Region (DRS's quota)."""
MOST_DISKS = 60
LARGEST_DISK_GIB = 65536
"""Of any home; what the target's own makes, readiness says."""
MOST_WAVES = 50
LONGEST_RUN_ID = 64
"""Characters: run ids become tags and names in three clouds, and AgentSettings' `run`."""
LONGEST_WAIT_HOURS = 28 * 24
"""The state machine itself ends after 90 days."""
FIRST_WAVE = "first"
"""The wave of servers that name none."""
NO_FENCE = (
    "cutover.fence: say what stops the workload on AWS before it's launched at home (kind ssm, lambda or "
    "security-group), or none if nothing has to"
)
IsoVersion = Annotated[str, StringConstraints(pattern=r"^(latest|[0-9a-f]{40})$")]
AmiId = Annotated[str, StringConstraints(pattern=r"^ami-([0-9a-f]{8}|[0-9a-f]{17})$")]


class ClientImageChoice(Facts):
    """Which client: AWS's ISO of that version (`latest`, or the 40 hexadecimal digits of a pinned one), or an AMI.

    With `ami` nothing is fetched or built: that image's first volume is exported as it is.
    """

    iso_version: IsoVersion = "latest"
    ami: AmiId | None = None


class DiskChoice(Facts):
    """What's to be different for one volume: left out, larger, at another unit, of another kind."""

    device: RecoveryDevice
    exclude: bool = False
    size_gib: Annotated[int, Field(ge=1, le=LARGEST_DISK_GIB)] | None = None
    lun: Annotated[int, Field(ge=0, le=63)] | None = None
    sku: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")] | None = None


class ServerRequest(Facts):
    """One server: its recovery instance, and what readiness is not to choose by itself.

    `name` is the machine's name at home, `firmware` what the original server boots by, `size` the machine's size.
    `original` names the machine at home that was failed over: with way `original` the client boots in it, with way
    `helper` the disks move into it at the end. With `overwrite` its own disks are written to, not clones of them.
    `target`, `wave` and `on_failure` are for this server what the request's are for all.
    """

    recovery_instance: InstanceId
    target: Identifier | None = None
    way: WayName | None = None
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?$")] | None = None
    firmware: Firmware | None = None
    size: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    original: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_])?$")] | None = (
        None
    )
    overwrite: bool = False
    wave: Identifier | None = None
    on_failure: OnFailure | None = None
    disks: Annotated[tuple[DiskChoice, ...], Field(max_length=MOST_DISKS)] = ()


class ReplicationChoice(Facts):
    """How servers replicate home, and how long that may take.

    `private_ip`: by the recovery instance's private address, which takes a VPN or interconnect. `bandwidth_mbps` bounds
    what a recovery instance sends (0: nothing does). A server that isn't ready after `deadline_hours`, or has been
    stalled for `stuck_minutes`, fails; with `on_stuck` "wait" a stall is told and waited out. `at_once` servers at most
    are on their way at the same time, those that replicate included.
    """

    private_ip: bool = True
    bandwidth_mbps: Annotated[int, Field(ge=0, le=100_000)] = 0
    deadline_hours: Annotated[int, Field(ge=1, le=LONGEST_WAIT_HOURS)] = 14 * 24
    stuck_minutes: Annotated[int, Field(ge=5, le=LONGEST_WAIT_HOURS * 60)] = 60
    on_stuck: Literal["fail", "wait"] = "fail"
    at_once: Annotated[int, Field(ge=1, le=MOST_REPLICATING)] = 100


class WaveChoice(Facts):
    """Servers that change over together, before those of the next wave begin; `stop`: not if one of these failed."""

    name: Identifier
    on_failure: Literal["stop", "continue"] = "stop"


class RunRequest(Facts):
    """`{"goal": "prepare", "target": "azure-home"}` and nothing more is a whole one.

    Goal `failback` takes the servers home, `rehearse` takes drill instances all the way into machines that are removed
    again, `check` only says how either would go; all three name `servers`. `waves` gives the order; those that
    servers name and it doesn't come after it. `resume` is an earlier run that this one goes on with.

    Servers may name other targets than the run's: such a run has a part for each target, a run of its own which is
    asked for with `part_of`.
    """

    goal: Goal
    target: Identifier
    client_image: ClientImageChoice = ClientImageChoice()
    servers: Annotated[tuple[ServerRequest, ...], Field(max_length=MOST_SERVERS)] = ()
    replication: ReplicationChoice = ReplicationChoice()
    cutover: CutoverChoice = CutoverChoice()
    waves: Annotated[tuple[WaveChoice, ...], Field(max_length=MOST_WAVES)] = ()
    resume: Identifier | None = None
    clean_up: Identifier | None = None
    part_of: Identifier | None = None

    @property
    def targets(self) -> dict[str, str]:
        """Where each server goes, by its recovery instance, in the servers' order."""
        return {each.recovery_instance: each.target or self.target for each in self.servers}

    @model_validator(mode="after")
    def _check_servers(self) -> Self:
        faults = []
        # What's gone on with says the rest.
        if not self.servers and self.goal in GOALS_OF_SERVERS and self.resume is None:
            faults.append(f"servers: goal {self.goal} takes at least one recovery instance")
        counts = Counter(server.recovery_instance for server in self.servers)
        faults += [f"servers: {name} stands there {count} times" for name, count in counts.items() if count > 1]
        if self.goal == "failback" and self.cutover.fence is None and self.resume is None:
            faults.append(NO_FENCE)
        if (self.goal == "clean_up") != (self.clean_up is not None):
            faults.append("clean_up: goal clean_up names the run that's to be cleaned up after, and no other goal does")
        names = Counter(wave.name for wave in self.waves)
        faults += [f"waves: {name} stands there {count} times" for name, count in names.items() if count > 1]
        if faults:
            raise ValueError("; ".join(faults))
        return self


class StartEvent(BaseModel):
    """What the state machine hands to its first stage: the execution, and the request as it was given, unchecked.

    `execution` is the execution's ARN, `name` its name, which becomes the run's id, `started` its time (ISO 8601).
    """

    model_config = ConfigDict(frozen=True)

    execution: str
    name: str
    started: str
    request: dict[str, object]
