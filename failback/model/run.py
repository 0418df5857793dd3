"""The state of a run as it travels through the state machine: ids and small facts, never more.

Every stage is called with the whole state (`RunState`) and gives back one `StageResult`, which the machine keeps under
the stage's own name. A stage that isn't finished gives its cursor and is called again.

Why so: docs/decisions/0005-one-envelope-for-all-stages.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue

from failback.model.cutover import CutoverChoice
from failback.model.ending import Failure, Returned
from failback.model.facts import Facts
from failback.model.request import ClientImageChoice, Goal, ReplicationChoice, WaveChoice
from failback.model.server import Awaited, ReplicationProgress, ServerRef
from failback.model.stage import StageResult, facts_of
from failback.model.target import HomeName, Target
from failback.model.way_home import (
    Approval,
    ClientCursor,
    ClientMachine,
    Commitment,
    CutOver,
    CutOverCursor,
    FenceCursor,
    Fenced,
    HoldEnd,
    Launched,
    Readiness,
    RegisterCursor,
    Registration,
    Verified,
    VerifyCursor,
    WaveStart,
)

F = TypeVar("F")


class RunFacts(Facts):
    """The run itself: its id (the execution's name), the execution's ARN, and when it was started."""

    id: str
    execution: str
    started: datetime


class HomeFacts(Facts):
    """The home of the run's target: its name, and the functions of the stages that work there, by stage."""

    name: HomeName
    functions: dict[str, str]


class PublishedIso(Facts):
    """The client ISO as AWS publishes it: `etag` pins the object, `sha512` is in hexadecimal, `size` in bytes."""

    bucket: str
    key: str
    etag: str
    size: int
    sha512: str
    owner: str


class StoredIso(Facts):
    """The client ISO in the image bucket, its hash checked."""

    key: str
    size: int
    sha512: str


class Ami(Facts):
    """The client image in EC2: its id and name, the snapshot of its root volume, that volume's size in GiB."""

    id: str
    name: str
    snapshot: str
    size_gib: int


class ExportedImage(Facts):
    """The client image in the image bucket, in the format its home takes; `disk_size` is without a footer, in bytes.

    `data_blocks` is where data is: one bit for each 512 KiB block, lowest bit first, in base64; empty for an archive.
    """

    key: str
    format: Literal["vhd", "gce"]
    size: int
    disk_size: int
    data_blocks: str


class HomeImage(Facts):
    """The client image at home: its resource id; `tested` once a machine has booted from it."""

    id: str
    name: str
    key: str
    tested: bool = False


class FoundArtefacts(Facts):
    """What was there already when the run looked."""

    iso: StoredIso | None = None
    ami: Ami | None = None
    export: ExportedImage | None = None
    image: HomeImage | None = None


ImageWork = Literal["fetch_iso", "build_image", "export_image", "import_image", "boot_test", "nothing"]


class ClientImagePlan(Facts):
    """Which client image this run needs (`key` names its content) in which format, what's there, what comes `next`."""

    key: str
    format: Literal["vhd", "gce"]
    next: ImageWork
    published: PublishedIso | None = None
    found: FoundArtefacts = FoundArtefacts()


class ArchiveSoFar(Facts):
    """An archive being uploaded: its parts and bytes so far, and the CRC-32 of what they unpack to."""

    parts: int = 0
    size: int = 0
    crc: int = 0


class CopyCursor(Facts):
    """A multipart upload under way: its id, the next byte to copy; `copied` when only the check is left.

    `archive` is there once some of an archive is up, whose bytes aren't those that are copied.
    """

    upload: str
    next_byte: int = 0
    copied: bool = False
    archive: ArchiveSoFar | None = None


class BuildCursor(Facts):
    """A snapshot being written: the next 512 KiB block to look at (None: all are written), and how many were put."""

    snapshot: str
    next_block: int | None = 0
    put: int = 0
    completed: bool = False


class BootTestCursor(Facts):
    """Which machine is being tested; `removing` once its console has said what it had to say, `seconds` after `began`.

    `mark` is the agent's (`ready ...`, `failed ...`), or what there was instead: `stopped`, `silent` or `broken`.
    """

    machine: str
    began: datetime
    removing: bool = False
    mark: str = ""
    console: str = ""
    seconds: float = 0.0


class BootTest(Facts):
    """How the boot test went: the agent's mark on the serial console, and seconds from the machine's making to it."""

    image: HomeImage
    mark: str
    seconds: float


WAIT_MARGIN_SECONDS = 3600
"""The watcher answers at the deadline; the state machine ends the wait by itself so much later."""


class Wave(WaveChoice):
    """A wave of the run with its servers, in the run's order."""

    servers: tuple[ServerRef, ...]


class Part(Facts):
    """What a run for several targets does for one of them: a run of that name, asked for like this."""

    name: str
    target: str
    request: dict[str, JsonValue]


class RunState(BaseModel):
    """The state of a run, or of one `server` of it. Unknown members are other stages' business.

    `timeouts` bounds each wait once more, in the state machine itself, in seconds. `wave` is the one that's under way.
    A run with `parts` has servers in those only.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    run: RunFacts
    goal: Goal
    target: Target
    home: HomeFacts
    client_image: ClientImageChoice
    replication: ReplicationChoice = ReplicationChoice()
    cutover: CutoverChoice = CutoverChoice()
    timeouts: dict[Awaited, int] = {}
    parts: tuple[Part, ...] = ()
    waves: tuple[Wave, ...] = ()
    wave: Wave | None = None
    servers: tuple[ServerRef, ...] = ()
    server: ServerRef | None = None
    failed: dict[str, Failure] = {}
    find_client_image: StageResult[ClientImagePlan, None] | None = None
    fetch_iso: StageResult[StoredIso, CopyCursor] | None = None
    build_image: StageResult[Ami, BuildCursor] | None = None
    export_image: StageResult[ExportedImage, CopyCursor] | None = None
    import_image: StageResult[HomeImage, dict[str, JsonValue]] | None = None
    boot_test: StageResult[BootTest, BootTestCursor] | None = None
    give_back: StageResult[Returned, dict[str, JsonValue]] | None = None
    check_readiness: StageResult[Readiness, None] | None = None
    begin_wave: StageResult[WaveStart, None] | None = None
    boot_client: StageResult[ClientMachine, ClientCursor] | None = None
    register_client: StageResult[Registration, RegisterCursor] | None = None
    await_replication: StageResult[ReplicationProgress, None] | None = None
    await_approval: StageResult[Approval, None] | None = None
    quiesce: StageResult[Fenced, FenceCursor] | None = None
    await_launch: StageResult[Launched, None] | None = None
    cut_over: StageResult[CutOver, CutOverCursor] | None = None
    verify_server: StageResult[Verified, VerifyCursor] | None = None
    await_commit: StageResult[Commitment, None] | None = None
    close_server: StageResult[Returned, dict[str, JsonValue]] | None = None
    hold_server: StageResult[HoldEnd, None] | None = None

    def needed(self, value: F | None, what: str) -> F:
        """A value that an earlier stage has to have left; ValueError where the state machine skipped that stage."""
        if value is None:
            message = f"the run's state holds no {what.removeprefix('a ').removeprefix('an ')}: a stage was skipped"
            raise ValueError(message)
        return value

    @property
    def one(self) -> str:
        """The id of the server whose state this is; ValueError in a stage of the whole run."""
        return self.needed(self.server, "a server").id

    @property
    def plan(self) -> ClientImagePlan:
        """What find_client_image found; ValueError in a stage that comes before it."""
        return self.needed(facts_of(self.find_client_image), "a plan of the client image")

    @property
    def iso(self) -> StoredIso | None:
        """The ISO in the image bucket, fetched by this run or before it."""
        return facts_of(self.fetch_iso) or self.plan.found.iso

    @property
    def ami(self) -> Ami | None:
        """The AMI, built by this run or before it."""
        return facts_of(self.build_image) or self.plan.found.ami

    @property
    def export(self) -> ExportedImage | None:
        """The exported image, by this run or before it."""
        return facts_of(self.export_image) or self.plan.found.export

    @property
    def image(self) -> HomeImage | None:
        """The image at home, imported by this run or before it."""
        return facts_of(self.import_image) or self.plan.found.image
