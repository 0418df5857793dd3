"""What the domain asks of the clouds: small Protocols in its own words, never in an SDK's types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from failback.model.call import Call
    from failback.model.ending import Belonging, Outcome
    from failback.model.record import RunHistory, RunRecord, StageEntry
    from failback.model.run import Ami
    from failback.pieces import Pieces

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

    def put(self, key: str, upload: str, number: int, data: bytes | Pieces) -> None:
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

    def made_by(self, run: str, *, server: str = "") -> Sequence[Belonging]:
        """Everything that the run made there (for that server only), in the order in which it can be removed."""
        ...

    def of_run(self, run: str) -> Sequence[Belonging]:
        """What the run made for itself and no single server: client images, and all that making them takes."""
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

    def begin(self, run: str, stage: str, call: Call, *, server: str = "") -> None:
        """Note that a call of a stage (of one server) is at work."""
        ...

    def note(self, run: str, entry: StageEntry, *, server: str = "", call: Call | None = None) -> None:
        """Keep a stage's entry (of one server) in place of its last one; `began` and `calls` go on from there.

        The `call` that it comes of is at work no more.
        """
        ...

    def at_work(self, run: str) -> Sequence[Call]:
        """The calls of a run that haven't noted their end: they're at work, or were lost."""
        ...

    def read(self, run: str) -> RunHistory | None:
        """A run, its stages and its servers; None for one that was never begun."""
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


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Now, in UTC."""
        ...


class Watcher(Protocol):
    """Whoever looks at all that wait, by itself once a minute."""

    def wake(self) -> None:
        """Have it look now, without waiting for what it finds."""
        ...
