"""The EBS sink: a disk plan as blocks of a snapshot, zeros left out, written slice by slice: a lost call costs one.

Blocks are 512 KiB (EBS direct APIs, StartSnapshot: BlockSize). What no block was written for reads as zeros.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from failback.image.plan import DiskPlan, Extent
    from failback.image.source import ByteSource
    from failback.ports import SnapshotStore

BLOCK = 512 * 1024
_ZEROS = bytes(BLOCK)
# Calls under way at once. A call takes some 50 ms, so that 50 of them stay within the 1,000 blocks a second that one
# snapshot takes; twice as many blocks wait in memory at most, which is 50 MiB.
WORKERS = 50


@dataclass(frozen=True, slots=True)
class SnapshotCursor:
    """How far a snapshot has been written: the next block to look at, None at the end, and the blocks put so far."""

    next_block: int | None = 0
    put: int = 0


def write_slice(
    plan: DiskPlan,
    iso: ByteSource,
    store: SnapshotStore,
    snapshot: str,
    *,
    cursor: SnapshotCursor,
    limit: int,
    workers: int = WORKERS,
) -> SnapshotCursor:
    """Write at most `limit` blocks of `plan` from `cursor` on and return where to go on.

    A slice that was lost half-way is written again from the same cursor: putting a block twice changes nothing.
    """
    if cursor.next_block is None:
        return cursor
    blocks = islice(data_blocks(plan, iso, first=cursor.next_block), limit + 1)
    put = 0
    with ThreadPoolExecutor(workers) as pool:
        under_way: deque[Future[None]] = deque()
        for index, data in blocks:
            if put == limit:
                next_block: int | None = index
                break
            under_way.append(pool.submit(store.put, snapshot, index, data))
            put += 1
            if len(under_way) >= 2 * workers:
                under_way.popleft().result()
        else:
            next_block = None
        for each in under_way:
            each.result()
    return SnapshotCursor(next_block=next_block, put=cursor.put + put)


def data_blocks(plan: DiskPlan, iso: ByteSource, *, first: int = 0) -> Iterator[tuple[int, bytes]]:
    """The plan's blocks that aren't all zeros, as (index, 512 KiB), from index `first` on; the last one is padded."""
    for index, part in _covered(plan, first):
        start = index * BLOCK
        if part.offset <= start and start + BLOCK <= part.end:
            # Nearly all of a disk is the ISO: its blocks pass without being copied once more.
            data = part.read(iso, start - part.offset, BLOCK)
        else:
            data = plan.read(iso, start, min(BLOCK, plan.size - start)).ljust(BLOCK, b"\0")
        if data != _ZEROS:
            yield index, data


def _covered(plan: DiskPlan, first: int) -> Iterator[tuple[int, Extent]]:
    """Indexes of the blocks that an extent reaches into, each once, with the first such extent."""
    following = first
    for part in plan.extents:
        for index in range(max(following, part.offset // BLOCK), (part.end - 1) // BLOCK + 1):
            yield index, part
            following = index + 1
