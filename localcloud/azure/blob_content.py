"""What stands behind a blob's URL: a disk's file as a fixed VHD, or text that still grows, as a serial log."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.sparse_files import data_ranges, punch_hole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Page blobs consist of pages of 512 bytes.
PAGE = 512


@dataclass(frozen=True, slots=True)
class DiskContent:
    """A raw file of `length` bytes, followed by `footer`; without one the file holds everything (an upload)."""

    path: Path
    length: int
    footer: bytes = b""

    blob_type = "PageBlob"

    @property
    def size(self) -> int:
        """Bytes as the blob's reader sees them."""
        return self.length + len(self.footer)

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; zeros where the file has none."""
        inside = max(0, min(length, self.length - offset))
        data = b""
        if inside:
            with self.path.open("rb", buffering=0) as file:
                data = os.pread(file.fileno(), inside, offset).ljust(inside, b"\0")
        start = max(0, offset - self.length)
        return data + self.footer[start : start + length - inside]

    def write(self, offset: int, data: memoryview) -> None:
        """Put the bytes at `offset`."""
        with self.path.open("r+b", buffering=0) as file:
            while data:
                written = os.pwrite(file.fileno(), data, offset)
                data, offset = data[written:], offset + written

    def clear(self, offset: int, length: int) -> None:
        """Make the bytes zero."""
        with self.path.open("r+b", buffering=0) as file:
            punch_hole(file.fileno(), offset, length)

    def ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts of [start, end) that hold data, in whole pages, adjacent ones as one."""
        last: tuple[int, int] | None = None
        for first, after in self._raw_ranges(start, end):
            if last and last[1] >= first:
                last = (last[0], after)
                continue
            if last:
                yield last
            last = (first, after)
        if last:
            yield last

    def _raw_ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        with self.path.open("rb", buffering=0) as file:
            for first, after in data_ranges(file.fileno(), start, min(end, self.length)):
                yield first // PAGE * PAGE, min(-(-after // PAGE) * PAGE, end)
        if self.footer and end > self.length:
            yield max(start, self.length), end


@dataclass(frozen=True, slots=True)
class TextContent:
    """Text that is fetched anew for every request; it can only be read."""

    fetch: Callable[[], bytes]

    blob_type = "AppendBlob"

    @property
    def size(self) -> int:
        """Bytes at this moment."""
        return len(self.fetch())

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`."""
        return self.fetch()[offset : offset + length]


Content = DiskContent | TextContent
