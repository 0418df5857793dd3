"""EBS snapshots in memory, as strict as the EBS direct APIs about blocks, states and counts."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.ports import BlockReference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from failback.ports import SnapshotState

BLOCK = 512 * 1024
BLOCKS_PER_GIB = 2048


@dataclass
class Snapshot:
    """A snapshot; `pending_for` is how often its state is still pending once it's completed."""

    size_gib: int
    token: str
    tags: Mapping[str, str]
    blocks: dict[int, bytes] = field(default_factory=dict)
    sealed: bool = False
    failed: bool = False
    pending_for: int = 0


class MemorySnapshots:
    """A SnapshotStore. `fail_at` is the number of the put that breaks off, `settle` goes to new snapshots."""

    def __init__(self, *, settle: int = 0) -> None:
        self.snapshots: dict[str, Snapshot] = {}
        self.settle, self.fail_at = settle, -1
        self.puts: list[int] = []
        self.gets: list[int] = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def start(self, *, size_gib: int, token: str, tags: Mapping[str, str]) -> str:
        for name, snapshot in self.snapshots.items():
            if snapshot.token == token:
                assert snapshot.size_gib == size_gib, "the same token for another request"
                return name
        name = f"snap-{next(self._numbers):017x}"
        self.snapshots[name] = Snapshot(size_gib, token, dict(tags), pending_for=self.settle)
        return name

    def put(self, snapshot: str, index: int, data: bytes) -> None:
        with self._lock:
            self.puts.append(index)
            if len(self.puts) == self.fail_at:
                raise ConnectionError
        found = self.snapshots[snapshot]
        assert not found.sealed, "a completed snapshot takes no more blocks"
        assert len(data) == BLOCK
        assert 0 <= index < found.size_gib * BLOCKS_PER_GIB
        found.blocks[index] = bytes(data)

    def complete(self, snapshot: str, *, blocks: int) -> None:
        found = self.snapshots[snapshot]
        if not found.sealed and len(found.blocks) != blocks:
            message = f"{len(found.blocks)} blocks were put, not {blocks}"
            raise ValueError(message)
        found.sealed = True

    def state(self, snapshot: str) -> SnapshotState:
        found = self.snapshots[snapshot]
        if found.failed:
            return "error"
        if found.sealed and found.pending_for <= 0:
            return "completed"
        found.pending_for -= found.sealed
        return "pending"

    def blocks(self, snapshot: str, *, first: int = 0) -> Iterator[BlockReference]:
        found = self._completed(snapshot)
        assert 0 <= first < found.size_gib * BLOCKS_PER_GIB
        for index in sorted(found.blocks):
            if index >= first:
                yield BlockReference(index, f"{snapshot} {index}")

    def get(self, snapshot: str, block: BlockReference) -> bytes:
        with self._lock:
            self.gets.append(block.index)
        assert block.token == f"{snapshot} {block.index}", "another block's token"
        return self._completed(snapshot).blocks[block.index]

    def _completed(self, snapshot: str) -> Snapshot:
        found = self.snapshots[snapshot]
        assert found.sealed, "a snapshot can be read once it's completed"
        return found
