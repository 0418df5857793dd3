"""The contract of SnapshotStore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from failback.ports import SnapshotStore

BLOCK = 512 * 1024


def block(index: int) -> bytes:
    return bytes([index % 251 + 1]) * BLOCK


def test_blocks_are_read_as_they_were_written(snapshots: SnapshotStore) -> None:
    snapshot = snapshots.start(size_gib=1, token="contract-1", tags={"a": "b"})
    assert snapshots.start(size_gib=1, token="contract-1", tags={"a": "b"}) == snapshot
    for index in (7, 0, 2047, 7):
        snapshots.put(snapshot, index, block(index))
    assert snapshots.state(snapshot) == "pending"
    snapshots.complete(snapshot, blocks=3)
    assert snapshots.state(snapshot) == "completed"
    held = {each.index: each for each in snapshots.blocks(snapshot)}
    assert list(held) == [0, 7, 2047]
    assert [each.index for each in snapshots.blocks(snapshot, first=1)] == [7, 2047]
    assert snapshots.get(snapshot, held[7]) == block(7)


def test_completing_again_is_fine_and_a_wrong_count_is_not(snapshots: SnapshotStore) -> None:
    snapshot = snapshots.start(size_gib=1, token="contract-2", tags={})
    snapshots.put(snapshot, 1, block(1))
    # Which error it is, is the adapter's business: it can't happen to who counts right.
    with pytest.raises(Exception, match=r"\b1\b"):
        snapshots.complete(snapshot, blocks=2)
    for _ in range(2):
        snapshots.complete(snapshot, blocks=1)
    assert snapshots.state(snapshot) == "completed"
