"""Snapshots as sparse raw files with an index of their blocks, in a folder that outlives the process.

A snapshot is whole in itself: one with a parent begins as a sparse copy of it, so that its file can be booted as it is
and its parent can be deleted. `<id>/disk.raw` is the volume, `written.index` what this snapshot wrote,
`inherited.index` what it began with.
"""

from __future__ import annotations

import hashlib
import heapq
import os
import secrets
import shutil
import threading
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

from localcloud.accounts import ACCOUNT
from localcloud.ebs.block_index import BlockIndex
from localcloud.ebs.record import BLOCK, GIB, SnapshotRecord
from localcloud.sparse_files import copy_sparse, data_ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from localcloud.ebs.record import Status

# Writers of the same block wait for each other; others meet only by chance.
_LOCKS = 64
_ZERO = bytes(BLOCK)


def now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


def new_id(kind: str) -> str:
    """An id as EC2 makes them: the kind and 17 hexadecimal digits."""
    return f"{kind}-{secrets.token_hex(9)[:17]}"


class SnapshotStore:
    """All snapshots under a folder; `settle` is how many seconds a finished one stays pending."""

    def __init__(self, folder: Path, *, settle: float = 0.0, clock: Callable[[], datetime] = now) -> None:
        self.folder, self.settle, self.clock = folder, settle, clock
        self._snapshots = folder / "snapshots"
        self._snapshots.mkdir(parents=True, exist_ok=True)
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))
        self.lock = threading.RLock()
        """Held by whoever reads and then changes what the store knows."""
        self._records: dict[str, SnapshotRecord] = {}
        self._last_write: dict[str, datetime] = {}
        for path in self._snapshots.glob("*/record.json"):
            record = SnapshotRecord.model_validate_json(path.read_bytes())
            written = datetime.fromtimestamp((path.parent / "written.index").stat().st_mtime, UTC)
            self._records[record.id], self._last_write[record.id] = record, max(written, record.started)

    @property
    def records(self) -> Mapping[str, SnapshotRecord]:
        """All snapshots by id, as they stand now."""
        with self.lock:
            return dict(self._records)

    def find(self, snapshot: str) -> SnapshotRecord | None:
        """What is known of a snapshot, None for one that isn't there."""
        return self._records.get(snapshot)

    def status(self, record: SnapshotRecord) -> Status:
        """Where it stands at this moment."""
        return record.status(self.clock(), self._last_write.get(record.id, record.started))

    def raw_path(self, snapshot: str) -> Path:
        """The snapshot's volume as a raw sparse file: to be read, or to back an overlay, not to be written."""
        return self._snapshots / snapshot / "disk.raw"

    def create(self, record: SnapshotRecord) -> None:
        """Begin a snapshot; one with a parent begins with the parent's blocks."""
        part = self._snapshots / f".{record.id}"
        part.mkdir()
        if record.parent is None:
            with (part / "disk.raw").open("xb") as disk:
                disk.truncate(record.size * GIB)
            (part / "inherited.index").touch()
        else:
            copy_sparse(self.raw_path(record.parent), part / "disk.raw", size=record.size * GIB)
            inherited = BlockIndex(part / "inherited.index")
            (part / "inherited.index").touch()
            for index, digest in self.blocks(record.parent):
                inherited.set(index, digest)
        (part / "written.index").touch()
        record.save(part / "record.json")
        # A folder half made is never seen: its name begins with a dot until it's whole.
        part.rename(self._snapshots / record.id)
        with self.lock:
            self._records[record.id], self._last_write[record.id] = record, record.started

    def change(self, snapshot: str, **changes: object) -> SnapshotRecord:
        """Keep some fields anew."""
        with self.lock:
            fresh = self._records[snapshot].model_copy(update=changes)
            fresh.save(self._snapshots / snapshot / "record.json")
            self._records[snapshot] = fresh
            return fresh

    def remove(self, snapshot: str) -> None:
        """Delete a snapshot and its bytes."""
        with self.lock:
            del self._records[snapshot]
            self._last_write.pop(snapshot, None)
            shutil.rmtree(self._snapshots / snapshot)

    def write_block(self, snapshot: str, index: int, data: bytes) -> None:
        """Keep a block of 524,288 bytes; zeros over nothing take no room."""
        with self._locks[index % _LOCKS]:
            if data != _ZERO or self.digest(snapshot, index) is not None:
                with self.raw_path(snapshot).open("r+b") as disk:
                    os.pwrite(disk.fileno(), data, index * BLOCK)
            self._written(snapshot).set(index, hashlib.sha256(data).digest())
        self._last_write[snapshot] = self.clock()

    def read_block(self, snapshot: str, index: int) -> bytes:
        """A block's 524,288 bytes."""
        with self.raw_path(snapshot).open("rb") as disk:
            return os.pread(disk.fileno(), BLOCK, index * BLOCK)

    def digest(self, snapshot: str, index: int) -> bytes | None:
        """The SHA-256 of a present block."""
        return self._written(snapshot).get(index) or self._inherited(snapshot).get(index)

    def written(self, snapshot: str) -> Iterator[tuple[int, bytes]]:
        """Index and SHA-256 of the blocks that were put into this very snapshot, in order."""
        return self._written(snapshot).entries()

    def blocks(self, snapshot: str, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Index and SHA-256 of all present blocks from `start` on, in order."""
        layers = (self._written(snapshot), self._inherited(snapshot))
        merged = heapq.merge(*(layer.entries(start) for layer in layers), key=lambda entry: entry[0])
        # The merge is stable: of equal indexes the written one comes first.
        for _, same in groupby(merged, key=lambda entry: entry[0]):
            yield next(same)

    def _written(self, snapshot: str) -> BlockIndex:
        return BlockIndex(self._snapshots / snapshot / "written.index")

    def _inherited(self, snapshot: str) -> BlockIndex:
        return BlockIndex(self._snapshots / snapshot / "inherited.index")


def register_disk(store: SnapshotStore, disk: Path, *, owner: str = ACCOUNT, description: str | None = None) -> str:
    """Make a completed snapshot of a raw disk file, rounded up to whole GiB; holes and zero blocks aren't present."""
    size = disk.stat().st_size
    snapshot, started = new_id("snap"), store.clock()
    record = SnapshotRecord(
        id=snapshot,
        owner=owner,
        size=max(1, -(-size // GIB)),
        started=started,
        lineage=snapshot,
        description=description,
    )
    store.create(record)
    with disk.open("rb") as file:
        for index in _touched_blocks(file.fileno(), size):
            data = os.pread(file.fileno(), BLOCK, index * BLOCK).ljust(BLOCK, b"\0")
            if data != _ZERO:
                store.write_block(snapshot, index, data)
    store.change(snapshot, sealed=started, progress=100)
    return snapshot


def _touched_blocks(file: int, size: int) -> Iterator[int]:
    """The blocks that a file's data lies in, each once."""
    following = 0
    for start, end in data_ranges(file, 0, size):
        last = (end - 1) // BLOCK
        yield from range(max(following, start // BLOCK), last + 1)
        following = last + 1
