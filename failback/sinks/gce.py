"""The sink for Google Cloud: the disk as a sparse tar in one gzip member, by stream, the same disk the same bytes."""

from __future__ import annotations

import os
from bisect import bisect_right
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.image.plan import CHUNK, SECTOR, round_up
from failback.sinks.deflate import GZIP_HEAD, crc32_combine, gzip_tail, pack, pack_in_order
from failback.sinks.gce_tar import SparseTar
from failback.sinks.raw import write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from failback.image.plan import DiskPlan
    from failback.image.source import ByteSource

# Packing is work for processors; 4 x 256 KiB for each are enough to hide who waits for whom.
_AHEAD = 4


@dataclass(frozen=True, slots=True)
class Reached:
    """How far an archive has been made: bytes of the tar that are in it, and their CRC-32."""

    position: int = 0
    crc: int = 0


def write_gce(plan: DiskPlan, iso: ByteSource, descriptor: int, *, progress: Callable[[int], None]) -> None:
    """Write the archive of `plan` to an empty file; `progress` is told the bytes of the disk since it was last called.

    Raises ValueError where the disk isn't whole GiB.
    """
    tar = SparseTar(plan.size, plan_runs(plan))
    workers = os.cpu_count() or 1
    stream = archive(tar, plan_reader(plan, iso), longest=CHUNK, workers=workers, ahead=_AHEAD * workers)
    written = told = 0
    with closing(stream) as pieces:
        for data, reached in pieces:
            write_all(descriptor, data, written)
            # Starts writing to the medium now, as the raw sink does.
            os.posix_fadvise(descriptor, written, len(data), os.POSIX_FADV_DONTNEED)
            written += len(data)
            progress(reached.position - told)
            told = reached.position


def archive(
    tar: SparseTar,
    read: Callable[[tuple[int, int]], bytes],
    *,
    longest: int,
    workers: int,
    ahead: int,
    after: Reached | None = None,
) -> Generator[tuple[bytes, Reached]]:
    """The archive piece by piece, each with what's reached by it; it goes on `after` any of those without a seam.

    `read` gives an (offset, length) of the disk, no longer than `longest`, and is called by `workers` threads.
    """
    reached = after or Reached()
    if not reached.position:
        head = pack(tar.head)
        reached = Reached(head.length, head.crc)
        yield GZIP_HEAD + head.data, reached
    wanted = tar.pieces(longest, first=reached.position - len(tar.head))
    with closing(pack_in_order(read, wanted, workers=workers, ahead=ahead)) as pieces:
        for piece in pieces:
            crc = crc32_combine(reached.crc, piece.crc, piece.length)
            reached = Reached(reached.position + piece.length, crc)
            yield piece.data, reached
    if reached.position < tar.size:
        end = pack(bytes(tar.padding))
        reached = Reached(tar.size, crc32_combine(reached.crc, end.crc, end.length))
        yield end.data + gzip_tail(reached.crc, tar.size), reached


def plan_runs(plan: DiskPlan) -> list[tuple[int, int]]:
    """Where the plan has content, in whole sectors; neighbours are one run."""
    return merged((part.offset // SECTOR * SECTOR, round_up(part.end, SECTOR)) for part in plan.extents)


def merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Runs (offset, length) of sorted spans (offset, end), those that touch or overlap as one."""
    runs: list[tuple[int, int]] = []
    for start, end in spans:
        before = runs[-1] if runs else (0, -1)
        if start <= sum(before):
            runs[-1] = (before[0], max(end, sum(before)) - before[0])
        else:
            runs.append((start, end - start))
    return runs


def plan_reader(plan: DiskPlan, iso: ByteSource) -> Callable[[tuple[int, int]], bytes]:
    """What reads an (offset, length) of the disk."""
    starts = [part.offset for part in plan.extents]

    def read(piece: tuple[int, int]) -> bytes:
        offset, length = piece
        part = plan.extents[max(0, bisect_right(starts, offset) - 1)]
        if part.offset <= offset and offset + length <= part.end:
            # Nearly all of a disk is the ISO, which passes without being copied once more.
            return part.read(iso, offset - part.offset, length)
        return plan.read(iso, offset, length)

    return read
