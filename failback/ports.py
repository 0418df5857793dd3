"""What the domain asks of the clouds: small Protocols in its own words, never in an SDK's types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from pydantic import JsonValue

    from failback.errors import FailbackError
    from failback.model.record import RunHistory, RunRecord, StageEntry
    from failback.model.run import Ami, Belonging, HomeImage, Outcome

SnapshotState = Literal["pending", "completed", "error"]


@dataclass(frozen=True, slots=True)
class BlockReference:
    """A block that a snapshot holds: its index, and the token that reading it takes (valid for seven days)."""

    index: int
    token: str


class SnapshotStore(Protocol):
    """EBS snapshots, written and read block by block (512 KiB each)."""

    def start(self, *, size_gib: int, token: str, tags: Mapping[str, str]) -> str:
        """Begin a snapshot of a disk of `size_gib` and return its id; the same `token` gives the same snapshot."""
        ...

    def put(self, snapshot: str, index: int, data: bytes) -> None:
        """Write one whole block; writing it again changes nothing."""
        ...

    def complete(self, snapshot: str, *, blocks: int) -> None:
        """Say that exactly `blocks` different blocks were written; it's `pending` for a while afterwards."""
        ...

    def state(self, snapshot: str) -> SnapshotState:
        """Where the snapshot stands."""
        ...

    def blocks(self, snapshot: str, *, first: int = 0) -> Iterator[BlockReference]:
        """The blocks from index `first` on, in order; what isn't among them is zeros."""
        ...

    def get(self, snapshot: str, block: BlockReference) -> bytes:
        """One block, its checksum checked."""
        ...


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of a bucket: its key, its size in bytes, and the tag of its content (ETag)."""

    key: str
    size: int
    etag: str


class ObjectStore(Protocol):
    """One bucket: whole small objects, and ranges of large ones."""

    def find(self, key: str) -> StoredObject | None:
        """The object, None if there's none."""
        ...

    def read(self, key: str, offset: int, length: int, *, etag: str = "") -> bytes:
        """That range, all of it; raises ObjectChanged where the object has another `etag`, ObjectMissing for none."""
        ...

    def write(self, key: str, data: bytes, *, tags: Mapping[str, str]) -> None:
        """Write a small object (up to 5 GiB, in memory), in place of one that's there."""
        ...

    def remove(self, key: str) -> None:
        """Remove the object; one that isn't there is fine."""
        ...


class UploadStore(Protocol):
    """Large objects, written in parts of one bucket: nothing of them is to be seen before they're finished."""

    def begin(self, key: str, *, tags: Mapping[str, str]) -> str:
        """Begin an upload and return its id."""
        ...

    def put(self, key: str, upload: str, number: int, data: bytes | bytearray) -> None:
        """Write part `number` (from 1 on; all but the last at least 5 MiB); writing it again replaces it.

        `data` isn't kept. Raises ObjectMissing where there's no such upload (any more).
        """
        ...

    def finish(self, key: str, upload: str) -> StoredObject:
        """Make the object of all parts; finishing again is fine while the object is the one that was made.

        Raises ObjectMissing where there's neither the upload nor the object (any more).
        """
        ...

    def abort(self, key: str, upload: str) -> None:
        """Give the upload up; one that isn't there is fine."""
        ...


class MachineImages(Protocol):
    """AMIs."""

    def find(self, name: str) -> Ami | None:
        """Our own available AMI of that name."""
        ...

    def describe(self, image: str) -> Ami:
        """Anybody's AMI by its id; raises AmiUnsuitable where its root volume can't be read."""
        ...

    def register(self, name: str, *, snapshot: str, size_gib: int, tags: Mapping[str, str]) -> Ami:
        """Make an AMI that boots from `snapshot` by BIOS and by UEFI; one of that name and snapshot is adopted."""
        ...


class Belongings(Protocol):
    """What a run has made in one cloud, to be removed: only what carries the run's tag is ever found or removed."""

    def made_by(self, run: str) -> Sequence[Belonging]:
        """Everything that the run made there, in the order in which it can be removed."""
        ...

    def remove(self, belonging: Belonging) -> bool:
        """Remove it: True once it's gone (also if it was), False while that is under way; doesn't wait."""
        ...

    def command(self, belonging: Belonging) -> str:
        """The command by which a person removes it."""
        ...


class RunLog(Protocol):
    """What is known of runs, and the leases by which they keep out of each other's way."""

    def open(self, record: RunRecord) -> None:
        """Note that a run has begun; a run that's noted already stays as it is."""
        ...

    def close(self, run: str, outcome: Outcome, ended: datetime) -> None:
        """Note how a run has ended."""
        ...

    def note(self, run: str, entry: StageEntry) -> None:
        """Keep a stage's entry in place of its last one; `began` and `calls` go on from there."""
        ...

    def read(self, run: str) -> RunHistory | None:
        """A run and its stages; None for one that was never begun."""
        ...

    def recent(self, limit: int) -> Sequence[RunRecord]:
        """The runs begun last, newest first."""
        ...

    def lease(self, name: str, holder: str, *, now: datetime, until: datetime) -> str:
        """Take or renew a lease, unless somebody else's is still good at `now`; returns who holds it."""
        ...

    def release(self, name: str, holder: str) -> None:
        """Give a lease back; one that's held by somebody else, or by nobody, stays as it is."""
        ...


class ImageContent(Protocol):
    """A client image to be brought home: a disk with its footer or other dress, as the home takes it."""

    @property
    def size(self) -> int:
        """Bytes, footer included."""
        ...

    def ranges(self, first: int = 0) -> Iterator[tuple[int, int]]:
        """(offset, length) of what may hold data, in order, from `first` on, 4 MiB each at most; the rest is zeros."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """That range; may be called by many threads at once."""
        ...


@dataclass(frozen=True, slots=True)
class ImageImport:
    """A step of bringing an image home: `image` once it's there, else where to go on; `sent` of `total` bytes."""

    image: HomeImage | None
    cursor: Mapping[str, JsonValue]
    sent: int
    total: int
    wait_seconds: int = 0


class HomeImages(Protocol):
    """Client images at home. Called again with the same arguments, everything goes on or finds its work done."""

    def format(self) -> Literal["vhd", "gce"]:
        """What a home takes."""
        ...

    def find(self, key: str) -> HomeImage | None:
        """The whole image with that key; one that's still being imported isn't there yet."""
        ...

    def advance(
        self, key: str, content: ImageContent, *, cursor: Mapping[str, JsonValue], tags: Mapping[str, str]
    ) -> ImageImport:
        """Import, a bounded slice: an empty `cursor` begins. No signature is kept; only CloudBusy leaves it open."""
        ...

    def note_test(self, image: HomeImage, mark: str) -> HomeImage:
        """Keep with the image that a machine has booted from it, and what its agent said."""
        ...


MachineState = Literal["absent", "building", "running", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class MachineToTry:
    """A throw-away machine: named so, booted from a copy of `image` by BIOS or UEFI, told `user_data` (plain text)."""

    name: str
    image: HomeImage
    firmware: Literal["bios", "uefi"]
    user_data: str
    tags: Mapping[str, str]


class HomeMachines(Protocol):
    """Machines at home. Nothing waits: each call begins or continues what it can and says how things stand."""

    def build(self, machine: MachineToTry) -> MachineState:
        """Make the machine, its disk and its interface, step by step with each call, and start it."""
        ...

    def state(self, name: str) -> MachineState:
        """How it stands; `stopped` also where the guest has turned itself off."""
        ...

    def console(self, name: str) -> str:
        """What it has written to its serial port; empty while there's nothing yet."""
        ...

    def remove(self, name: str) -> bool:
        """Remove the machine with its disk and interface; True once all of it is gone."""
        ...


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Now, in UTC."""
        ...


@dataclass(frozen=True, slots=True)
class WayIn:
    """What a home's adapter needs to get in: an identity token from AWS, or a stored secret; and where the home is.

    `token` takes an audience and gives a fresh web identity token of the stage's own role; `secret` takes a secret's
    ARN. `endpoints` (`arm`, `authority`) is empty for the real cloud; `slice_mib` bounds what one call brings home.
    """

    token: Callable[[str], str]
    secret: Callable[[str], str]
    endpoints: Mapping[str, str]
    clock: Clock
    slice_mib: int | None = None


class Home(Protocol):
    """Everything of one home; `failback.clouds.<home>.connection.connect(target, way_in)` gives it."""

    @property
    def images(self) -> HomeImages: ...

    @property
    def machines(self) -> HomeMachines: ...

    @property
    def belongings(self) -> Belongings: ...

    @property
    def foreign(self) -> tuple[type[Exception], ...]:
        """The SDK's errors, which `translate` puts into our own vocabulary."""
        ...

    def translate(self, error: Exception) -> FailbackError: ...
