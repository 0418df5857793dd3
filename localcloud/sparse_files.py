"""Sparse disk files: where their data is, copies that keep their holes, and making holes. Linux only."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# linux/falloc.h and linux/fs.h
_FALLOC_FL_KEEP_SIZE, _FALLOC_FL_PUNCH_HOLE = 1, 2
_FICLONE = 0x40049409
# One system call copies this much; the kernel holds no more of it at once than its page cache wants.
_COPY_STEP = 64 << 20
_ZEROS = bytes(1 << 20)
_NO_CLONE = {errno.EOPNOTSUPP, errno.EINVAL, errno.EXDEV, errno.ENOTTY, errno.ENOSYS}


def create_sparse(path: Path, size: int) -> None:
    """A new file of `size` bytes that occupies nothing; one that's there already is an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.truncate(size)


def data_ranges(descriptor: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of [start, end) that hold data, as (start, end), in order."""
    position = start
    while position < end:
        try:
            data = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        if data >= end:
            return
        position = min(os.lseek(descriptor, data, os.SEEK_HOLE), end)
        yield data, position


def copy_sparse(source: Path, target: Path, *, size: int) -> None:
    """Copy `source` to a new file of at least its own size: shared blocks where the file system can, else data only."""
    create_sparse(target, 0)
    with source.open("rb") as reading, target.open("r+b") as writing:
        if not _cloned(reading.fileno(), writing.fileno()):
            length = os.fstat(reading.fileno()).st_size
            for start, end in data_ranges(reading.fileno(), 0, length):
                _copy_range(reading.fileno(), writing.fileno(), start, end)
        os.ftruncate(writing.fileno(), size)


def punch_hole(descriptor: int, offset: int, length: int) -> None:
    """Make `length` bytes at `offset` zero, and give their blocks back where the file system can."""
    library = ctypes.CDLL(None, use_errno=True)
    mode = _FALLOC_FL_KEEP_SIZE | _FALLOC_FL_PUNCH_HOLE
    if library.fallocate(descriptor, mode, ctypes.c_int64(offset), ctypes.c_int64(length)) == 0:
        return
    for position in range(offset, offset + length, len(_ZEROS)):
        os.pwrite(descriptor, _ZEROS[: offset + length - position], position)


def _cloned(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _NO_CLONE:
            return False
        raise
    return True


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        copied = os.copy_file_range(source, target, min(_COPY_STEP, end - start), start, start)
        if not copied:
            return
        start += copied
