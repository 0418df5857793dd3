"""Which blocks of a snapshot are present and what is in them: a sparse file of SHA-256 digests, 32 bytes a block."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIGEST = 32
# A block that isn't there; SHA-256 of nothing known gives it.
_ABSENT = bytes(DIGEST)
# 2,048 digests at a time: 64 KiB, one GiB of the volume.
_CHUNK = 2048 * DIGEST


class BlockIndex:
    """The digests of the blocks of one snapshot; reads and writes may run at the same time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def set(self, index: int, digest: bytes) -> None:
        """Make a block present."""
        with self._path.open("r+b") as file:
            os.pwrite(file.fileno(), digest, index * DIGEST)

    def get(self, index: int) -> bytes | None:
        """The digest of a block, None for one that isn't present."""
        with self._path.open("rb") as file:
            digest = os.pread(file.fileno(), DIGEST, index * DIGEST)
        return digest if digest not in (b"", _ABSENT) else None

    def entries(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Present blocks from `start` on, in order, with their digests; holes of the file aren't read."""
        with self._path.open("rb") as file:
            position = start * DIGEST
            while (position := _next_data(file.fileno(), position)) >= 0:
                chunk = os.pread(file.fileno(), _CHUNK, position)
                for offset in range(0, len(chunk) - DIGEST + 1, DIGEST):
                    digest = chunk[offset : offset + DIGEST]
                    if digest != _ABSENT:
                        yield (position + offset) // DIGEST, digest
                position += _CHUNK

    def __len__(self) -> int:
        return sum(1 for _ in self.entries())


def _next_data(file: int, position: int) -> int:
    """Where data begins at or after `position`, a whole digest's offset; -1 at the end."""
    try:
        found = os.lseek(file, position, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return -1
        raise
    return found - found % DIGEST
