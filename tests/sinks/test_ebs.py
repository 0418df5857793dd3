"""The EBS sink: every block with content, no other, whatever the slices, and nothing lost when one is."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failback.image.plan import DiskPlan, Extent, IsoRange, extent, make_plan
from failback.image.source import BytesSource
from failback.sinks.ebs import BLOCK, SnapshotCursor, data_blocks, write_slice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from failback.ports import BlockReference, SnapshotState

ISO = random.Random(4).randbytes(3 * BLOCK + 4096)
SIZE = 24 * BLOCK


class MemorySnapshots:
    """A SnapshotStore of one snapshot, that can refuse a put and counts those under way."""

    def __init__(self, fail_at: int = -1) -> None:
        self.written: dict[int, bytes] = {}
        self.fail_at, self.puts, self.most = fail_at, 0, 0
        self._now, self._lock = 0, threading.Lock()

    def start(self, *, size_gib: int, token: str, tags: Mapping[str, str]) -> str:
        raise AssertionError

    def put(self, snapshot: str, index: int, data: bytes) -> None:
        assert snapshot == "snap"
        assert len(data) == BLOCK
        with self._lock:
            self.puts += 1
            self._now += 1
            self.most = max(self.most, self._now)
            failing = self.puts == self.fail_at
        self.written[index] = data
        with self._lock:
            self._now -= 1
        if failing:
            raise ConnectionError

    def complete(self, snapshot: str, *, blocks: int) -> None:
        raise AssertionError

    def state(self, snapshot: str) -> SnapshotState:
        raise AssertionError

    def blocks(self, snapshot: str, *, first: int = 0) -> Iterator[BlockReference]:
        raise AssertionError

    def get(self, snapshot: str, block: BlockReference) -> bytes:
        raise AssertionError


@st.composite
def plans(draw: st.DrawFn) -> DiskPlan:
    """Extents of sectors anywhere, some of them zeros, some from the ISO, several in one block."""
    cuts = sorted(draw(st.sets(st.integers(0, SIZE // 512), min_size=2, max_size=10)))
    parts = []
    for first, last in zip(cuts[::2], cuts[1::2], strict=False):
        length = (last - first) * 512
        kind = draw(st.sampled_from(("zeros", "bytes", "iso")))
        if kind == "iso":
            parts.append(Extent(first * 512, min(length, len(ISO)), IsoRange(len(ISO) - min(length, len(ISO)))))
        else:
            parts.append(extent(first * 512, bytes(length) if kind == "zeros" else b"\x01" * length))
    return make_plan(SIZE, parts)


def expected(plan: DiskPlan) -> dict[int, bytes]:
    disk = plan.read(BytesSource(ISO), 0, plan.size)
    blocks = {index: disk[index * BLOCK : (index + 1) * BLOCK] for index in range(SIZE // BLOCK)}
    return {index: data for index, data in blocks.items() if any(data)}


@given(plans(), st.integers(1, 9), st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_slices_write_every_block_with_content_once(plan: DiskPlan, limit: int, workers: int) -> None:
    store, cursor, slices = MemorySnapshots(), SnapshotCursor(), 0
    while cursor.next_block is not None:
        cursor = write_slice(plan, BytesSource(ISO), store, "snap", cursor=cursor, limit=limit, workers=workers)
        slices += 1
    assert store.written == expected(plan)
    assert cursor.put == store.puts == len(store.written)
    assert slices <= len(store.written) // limit + 1
    assert store.most <= workers


def test_a_lost_slice_is_written_again_from_its_cursor() -> None:
    plan = make_plan(SIZE, [extent(0, b"\x01" * SIZE)])
    store = MemorySnapshots(fail_at=13)
    first = write_slice(plan, BytesSource(b""), store, "snap", cursor=SnapshotCursor(), limit=10, workers=3)
    assert first == SnapshotCursor(next_block=10, put=10)
    with pytest.raises(ConnectionError):
        write_slice(plan, BytesSource(b""), store, "snap", cursor=first, limit=10, workers=3)
    second = write_slice(plan, BytesSource(b""), store, "snap", cursor=first, limit=100, workers=3)
    assert second == SnapshotCursor(next_block=None, put=24)
    assert store.written == expected(plan)


def test_the_end_stays_the_end() -> None:
    plan = make_plan(SIZE, [extent(0, b"\x01")])
    done = SnapshotCursor(next_block=None, put=7)
    assert write_slice(plan, BytesSource(b""), MemorySnapshots(), "snap", cursor=done, limit=1) == done


def test_the_last_block_is_padded() -> None:
    plan = make_plan(BLOCK + 512, [extent(BLOCK, b"\x01" * 512)])
    ((index, data),) = data_blocks(plan, BytesSource(b""))
    assert (index, len(data)) == (1, BLOCK)
