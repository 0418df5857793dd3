"""The raw sink: the disk's bytes in a sparse file; what the plan leaves out stays a hole."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from failback.image.plan import CHUNK, MIB, IsoRange
from failback.image.source import OpenFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from failback.image.plan import DiskPlan, Extent
    from failback.image.source import ByteSource

# One copy inside the kernel: large enough to be quick, small enough that progress moves and a stop is soon noticed.
KERNEL_COPY = 16 * MIB


def write_raw(plan: DiskPlan, iso: ByteSource, descriptor: int, *, progress: Callable[[int], None]) -> None:
    """Write `plan` to a file that is empty elsewhere; `progress` is told the bytes written since it was last called."""
    os.ftruncate(descriptor, plan.size)
    for part in plan.extents:
        _write(part, iso, descriptor, progress, _never)


@contextmanager
def write_ahead(part: Extent, iso: ByteSource, descriptor: int, *, progress: Callable[[int], None]) -> Iterator[None]:
    """Write one extent while the block runs; the block's end waits for it, a block that fails stops it.

    Most of an image is the ISO, which is known before anything in it was looked at.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(_write, part, iso, descriptor, progress, stop.is_set)
        try:
            yield
            writing.result()
        finally:
            stop.set()


def _never() -> bool:
    return False


def _write(
    part: Extent, iso: ByteSource, descriptor: int, progress: Callable[[int], None], stopped: Callable[[], bool]
) -> None:
    done = 0
    while done < part.length and not stopped():
        size = min(KERNEL_COPY, part.length - done)
        copied = _copy_in_kernel(part, iso, descriptor, done, size)
        if not copied:
            data = part.read(iso, done, min(size, CHUNK))
            write_all(descriptor, data, part.offset + done)
            copied = len(data)
        # Starts writing to the medium now, which then goes on beside the copying; only what's clean is dropped.
        os.posix_fadvise(descriptor, part.offset + done, copied, os.POSIX_FADV_DONTNEED)
        progress(copied)
        done += copied


def _copy_in_kernel(part: Extent, iso: ByteSource, descriptor: int, start: int, size: int) -> int:
    """File to file without a detour through this process; 0 where the two file systems can't do that."""
    if not isinstance(part.content, IsoRange) or not isinstance(iso, OpenFile):
        return 0
    try:
        return os.copy_file_range(iso.fileno(), descriptor, size, part.content.offset + start, part.offset + start)
    except OSError:
        # Not every pair of file systems offers it (EXDEV, EINVAL, EOPNOTSUPP ...); a real fault shows again in a write.
        return 0


def write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset`, however many calls that takes."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
