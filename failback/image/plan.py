"""A disk plan: what a disk holds, where, without holding it. Every sink writes from the same plan.

A plan is a sorted list of extents; whatever no extent covers reads as zeros. An extent's content is either bytes in
memory (boot code, partition tables, a small file system) or a range of the ISO, which is copied only when written.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from failback.image.source import ByteSource

SECTOR = 512
MIB = 1024 * 1024
GIB = 1024 * MIB

# One read: large enough that a call's own cost vanishes, small enough for the C library to keep the memory between
# reads. From about 512 KiB on it's mapped anew and cleared each time, and everything takes three times as long.
CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class IsoRange:
    """The part of the ISO that starts at `offset` bytes; its length is the extent's."""

    offset: int


@dataclass(frozen=True, slots=True)
class Extent:
    """`length` bytes at `offset` of the disk."""

    offset: int
    length: int
    content: bytes | IsoRange

    @property
    def end(self) -> int:
        return self.offset + self.length

    def read(self, iso: ByteSource, start: int, length: int) -> bytes:
        """`length` bytes from `start`, counted from the extent's own beginning."""
        if isinstance(self.content, IsoRange):
            return iso.read(self.content.offset + start, length)
        return self.content[start : start + length]


def extent(offset: int, content: bytes) -> Extent:
    """An extent of bytes in memory."""
    return Extent(offset=offset, length=len(content), content=content)


@dataclass(frozen=True, slots=True)
class DiskPlan:
    """A disk of `size` bytes; its extents are sorted, don't overlap and lie within it (ValueError otherwise)."""

    size: int
    extents: tuple[Extent, ...]

    def __post_init__(self) -> None:
        if self.size % SECTOR:
            message = f"a disk of {self.size} bytes isn't a whole number of {SECTOR}-byte sectors"
            raise ValueError(message)
        for part in self.extents:
            _check_extent(part, self.size)
        for before, after in pairwise(self.extents):
            if before.end > after.offset:
                message = f"the extents at {before.offset} and {after.offset} overlap or are out of order"
                raise ValueError(message)

    @property
    def data_bytes(self) -> int:
        """How many bytes have content; the rest of the disk reads as zeros."""
        return sum(part.length for part in self.extents)

    def without(self, part: Extent) -> DiskPlan:
        """The same disk less one extent, which is written elsewhere; ValueError where it's not the plan's."""
        if part not in self.extents:
            message = f"the plan has no extent of {part.length} bytes at {part.offset}"
            raise ValueError(message)
        return DiskPlan(self.size, tuple(each for each in self.extents if each != part))

    def read(self, iso: ByteSource, offset: int, length: int) -> bytes:
        """Any range of the disk, zeros included."""
        data = bytearray(length)
        for part in self.extents:
            first, last = max(part.offset, offset), min(part.end, offset + length)
            if first < last:
                data[first - offset : last - offset] = part.read(iso, first - part.offset, last - first)
        return bytes(data)


def make_plan(size: int, extents: Iterable[Extent]) -> DiskPlan:
    """A plan from extents in any order; empty ones are left out."""
    return DiskPlan(size, tuple(sorted((part for part in extents if part.length), key=lambda part: part.offset)))


def round_up(value: int, unit: int) -> int:
    """The smallest multiple of `unit` that isn't below `value`."""
    return -(-value // unit) * unit


def _check_extent(part: Extent, size: int) -> None:
    if part.offset < 0 or part.length <= 0 or part.end > size:
        message = f"the extent at {part.offset} with {part.length} bytes doesn't lie within a disk of {size} bytes"
        raise ValueError(message)
    if isinstance(part.content, bytes) and len(part.content) != part.length:
        message = f"the extent at {part.offset} says {part.length} bytes and holds {len(part.content)}"
        raise ValueError(message)
