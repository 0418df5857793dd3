"""A volume of a recovery instance: a raw sparse file, and which of its blocks changed since the failover."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from localcloud.sparse_files import data_ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

BLOCK = 64 * 1024
"""Bytes; changes are known by blocks of that."""
LARGEST_EXTENT = 4 * 1024 * 1024
"""Bytes that are announced as one, and sent at once."""
_ZERO = bytes(BLOCK)
Extent = tuple[int, int]
"""Offset and length in bytes."""


class Volume:
    """Written to by the workload in AWS, read by replication; `rung` is called after each write."""

    def __init__(self, path: Path, *, device: str, ebs_id: str, rung: Callable[[], None] = lambda: None) -> None:
        self.path, self.device, self.ebs_id = path, device, ebs_id
        self.size = path.stat().st_size
        self._rung = rung
        self._lock = threading.Lock()
        self._changed: dict[int, int] = {}
        self.generation = 0

    def write(self, offset: int, data: bytes) -> None:
        """A write of the workload; its blocks are changed ones of a new generation."""
        if not 0 <= offset <= offset + len(data) <= self.size:
            message = f"{len(data)} bytes at {offset} don't lie in a volume of {self.size}"
            raise ValueError(message)
        with self._lock:
            with self.path.open("r+b") as file:
                os.pwrite(file.fileno(), data, offset)
            self.generation += 1
            for block in range(offset // BLOCK, -(-(offset + len(data)) // BLOCK)):
                self._changed[block] = self.generation
        self._rung()

    def read(self, offset: int, length: int) -> bytes:
        """The bytes as they are now."""
        with self.path.open("rb") as file:
            return os.pread(file.fileno(), length, offset)

    def changes(self, since: int, *, original: bool) -> tuple[int, list[Extent]]:
        """The generation, and in order the extents that changed after generation `since`.

        -1 asks for all that the other side can't have: what isn't zeros, or for the original server's disks, which
        are as they were at the failover, what changed since then.
        """
        with self._lock:
            if since < 0 and not original:
                return self.generation, self._extents(self._filled())
            later = sorted(block for block, generation in self._changed.items() if generation > since)
            return self.generation, self._extents(later)

    def _filled(self) -> Iterator[int]:
        """Blocks that aren't zeros; holes of the file aren't read."""
        following = 0
        with self.path.open("rb") as file:
            for start, end in data_ranges(file.fileno(), 0, self.size):
                for block in range(max(following, start // BLOCK), -(-end // BLOCK)):
                    data = os.pread(file.fileno(), BLOCK, block * BLOCK)
                    if data != _ZERO[: len(data)]:
                        yield block
                following = -(-end // BLOCK)

    def _extents(self, blocks: Iterable[int]) -> list[Extent]:
        found: list[list[int]] = []
        for block in blocks:
            offset = block * BLOCK
            length = min(BLOCK, self.size - offset)
            if found and sum(found[-1]) == offset and found[-1][1] + length <= LARGEST_EXTENT:
                found[-1][1] += length
            else:
                found.append([offset, length])
        return [(offset, length) for offset, length in found]
