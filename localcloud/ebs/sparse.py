"""Copies of sparse files that stay sparse."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What the kernel copies in one call: 64 MiB, so that a signal is answered soon.
_CHUNK = 64 * 1024 * 1024


def data_ranges(file: int, size: int) -> Iterator[tuple[int, int]]:
    """Offsets and lengths of what isn't a hole, in order."""
    position = 0
    while position < size:
        try:
            begin = os.lseek(file, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = min(os.lseek(file, begin, os.SEEK_HOLE), size)
        yield begin, end - begin
        position = end


def copy_sparse(source: Path, target: Path, size: int) -> None:
    """Copy the data of a file into a new one of `size` bytes, at least the source's own."""
    with source.open("rb") as old, target.open("xb") as new:
        new.truncate(size)
        for offset, length in data_ranges(old.fileno(), os.fstat(old.fileno()).st_size):
            _copy(old.fileno(), new.fileno(), offset, length)


def _copy(old: int, new: int, offset: int, length: int) -> None:
    end = offset + length
    while offset < end:
        copied = os.copy_file_range(old, new, min(_CHUNK, end - offset), offset, offset)
        if copied == 0:
            return
        offset += copied
