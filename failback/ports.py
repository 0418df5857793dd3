"""What the domain asks of the clouds: small Protocols in its own words, never in an SDK's types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
