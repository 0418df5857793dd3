"""Reads an archive for Google Cloud back, from its medium, and compares it with the disk that it was to hold."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from failback.errors import SelfCheckFailed
from failback.image.plan import CHUNK
from failback.sinks.gce import plan_runs
from failback.sinks.gce_tar import SparseTar

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.image.plan import DiskPlan
    from failback.image.source import ByteSource

# zlib's window for a gzip member, whose CRC-32 and length it checks by itself.
_GZIP = 31


def check_gce(written: ByteSource, plan: DiskPlan, iso: ByteSource, *, progress: Callable[[int], None]) -> None:
    """Raise SelfCheckFailed with the first difference; `progress` is told the bytes of the disk that were compared."""
    tar, unpacked = SparseTar(plan.size, plan_runs(plan)), _Unpacked(written)
    _expect(unpacked.read(len(tar.head)) == tar.head, "the archive's head isn't what was planned")
    for offset, length in tar.pieces(CHUNK):
        same = unpacked.read(length) == plan.read(iso, offset, length)
        _expect(same, f"the archive holds something else in the {length} bytes from {offset} of the disk")
        progress(length)
    _expect(unpacked.read(tar.padding + 1) == bytes(tar.padding), "the archive doesn't end as an archive does")
    _expect(unpacked.ended, "the archive is cut off, or something follows it")


class _Unpacked:
    """What a member of gzip unpacks to, from its beginning to its end."""

    def __init__(self, written: ByteSource) -> None:
        self._written, self._at = written, 0
        self._inflate, self._packed = zlib.decompressobj(_GZIP), b""

    @property
    def ended(self) -> bool:
        """The member has come to its end, and nothing follows."""
        return self._inflate.eof and self._at == self._written.size and not self._inflate.unused_data

    def read(self, length: int) -> bytes:
        """The next `length` bytes, fewer at the end."""
        pieces = []
        while length and not self._inflate.eof:
            if not self._packed and self._at == self._written.size:
                break
            data = self._next(length)
            pieces.append(data)
            length -= len(data)
        return b"".join(pieces)

    def _next(self, most: int) -> bytes:
        if not self._packed:
            self._packed = self._written.read(self._at, min(CHUNK, self._written.size - self._at))
            self._at += len(self._packed)
        try:
            data = self._inflate.decompress(self._packed, most)
        except zlib.error as error:
            message = _advised(f"the archive can't be unpacked near byte {self._at} ({error})")
            raise SelfCheckFailed(message) from error
        self._packed = self._inflate.unconsumed_tail
        return data


def _expect(fits: bool, fault: str) -> None:
    if not fits:
        raise SelfCheckFailed(_advised(fault))


def _advised(fault: str) -> str:
    return f"{fault}. The medium may be failing: build the image again, elsewhere if it happens twice"
