"""The raw sink: the disk's bytes in a sparse file; what the plan leaves out stays a hole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from failback.image.plan import MIB, IsoRange
from failback.image.source import OpenFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.image.plan import DiskPlan, Extent
    from failback.image.source import ByteSource

# One copy inside the kernel: large enough to be quick, small enough that progress moves.
KERNEL_COPY = 32 * MIB


def write_raw(plan: DiskPlan, iso: ByteSource, descriptor: int, *, progress: Callable[[int], None]) -> None:
    """Write `plan` to an empty file; `progress` is told the bytes written since it was last called."""
    os.ftruncate(descriptor, plan.size)
    for part in plan.extents:
        if isinstance(part.content, IsoRange) and isinstance(iso, OpenFile):
            _copy_in_kernel(iso, part.content.offset, descriptor, part, progress)
        else:
            _copy(part, iso, descriptor, progress)


def _copy(part: Extent, iso: ByteSource, descriptor: int, progress: Callable[[int], None]) -> None:
    for start in range(0, part.length, MIB):
        data = part.read(iso, start, min(MIB, part.length - start))
        write_all(descriptor, data, part.offset + start)
        progress(len(data))


def _copy_in_kernel(iso: OpenFile, source: int, descriptor: int, part: Extent, progress: Callable[[int], None]) -> None:
    """File to file without a detour through this process, where the two file systems can do that."""
    done = 0
    while done < part.length:
        size = min(KERNEL_COPY, part.length - done)
        try:
            copied = os.copy_file_range(iso.fileno(), descriptor, size, source + done, part.offset + done)
        except OSError:
            # Not every pair of file systems offers it (EXDEV, EINVAL, EOPNOTSUPP ...); a real fault shows again below.
            copied = 0
        if not copied:
            data = iso.read(source + done, min(size, MIB))
            write_all(descriptor, data, part.offset + done)
            copied = len(data)
        progress(copied)
        done += copied


def write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset`, however many calls that takes."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
