"""Which blocks hold a file's bytes in ext2, ext3 and ext4: extents, or the older tables of block numbers.

Layout from the kernel's Documentation/filesystems/ext4 (dynamic: ifork). A tree is walked anew for each run of blocks
instead of being collected: that costs at most six cached blocks, and a hostile tree can't make it long.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.errors import DataCorrupt

if TYPE_CHECKING:
    from collections.abc import Callable

_ENTRY = struct.Struct("<III")
_HEADER = struct.Struct("<HHHHI")
_EXTENT_MAGIC = 0xF30A
_DEPTH_LIMIT = 5  # enough for 2^32 blocks, and what Linux accepts
_WRITTEN_LIMIT = 32768
"""Lengths above it mark a reserved extent that was never written: its bytes read as zeros, its length is less this."""
_DIRECT = 12
_TO_THE_END = 1 << 48
"""Length of a hole that nothing follows, in blocks."""


@dataclass(frozen=True, slots=True)
class Run:
    """Blocks of a file that lie together from block `start` of the file system; a hole where that's None."""

    start: int | None
    length: int


def find_extent(root: bytes, index: int, read_block: Callable[[int], bytes]) -> Run:
    """The run that begins at block `index` of a file whose inode holds the extent tree `root` (60 bytes)."""
    node, end, level = root, _TO_THE_END, _depth(root)
    while True:
        if _depth(node) != level:
            message = "ext4: the levels of an extent tree contradict each other; the file system is damaged"
            raise DataCorrupt(message)
        entries = _entries(node)
        place = bisect_right(entries, index, key=lambda entry: entry[0])
        end = min(end, entries[place][0] if place < len(entries) else end)
        if place == 0:
            return Run(None, end - index)
        if level == 0:
            return _within(entries[place - 1], index, end)
        _, low, high = entries[place - 1]
        node, level = read_block((high & 0xFFFF) << 32 | low), level - 1


def _within(extent: tuple[int, int, int], index: int, end: int) -> Run:
    first, word, low = extent
    length, high = word & 0xFFFF, word >> 16
    is_written = length <= _WRITTEN_LIMIT
    skipped, length = index - first, length if is_written else length - _WRITTEN_LIMIT
    if skipped >= length:
        return Run(None, end - index)
    return Run((high << 32 | low) + skipped if is_written else None, length - skipped)


def _depth(node: bytes) -> int:
    magic, _, _, depth, _ = _HEADER.unpack_from(node)
    if magic != _EXTENT_MAGIC or depth > _DEPTH_LIMIT:
        message = "ext4: a node of an extent tree is damaged"
        raise DataCorrupt(message)
    return int(depth)


def _entries(node: bytes) -> list[tuple[int, int, int]]:
    count = _HEADER.unpack_from(node)[1]
    if _HEADER.size + count * _ENTRY.size > len(node):
        message = f"ext4: a node of an extent tree claims {count} entries, more than it has room for; it's damaged"
        raise DataCorrupt(message)
    return list(_ENTRY.iter_unpack(node[_HEADER.size : _HEADER.size + count * _ENTRY.size]))


def find_mapped(root: bytes, index: int, read_block: Callable[[int], bytes], block_size: int) -> Run:
    """The run that begins at block `index` of a file whose inode holds 12 block numbers and 3 tables of them."""
    numbers = struct.unpack("<15I", root)
    if index < _DIRECT:
        return _run_in(numbers[:_DIRECT], index)
    index -= _DIRECT
    per_table = block_size // 4
    for level in (1, 2, 3):
        if index < per_table**level:
            return _find_in_table(numbers[_DIRECT - 1 + level], index, level, read_block, per_table)
        index -= per_table**level
    message = "ext4: a file is longer than its block tables can be; the file system is damaged"
    raise DataCorrupt(message)


def _find_in_table(table: int, index: int, level: int, read_block: Callable[[int], bytes], per_table: int) -> Run:
    while table:
        level -= 1
        here, index = divmod(index, per_table**level)
        numbers = struct.unpack(f"<{per_table}I", read_block(table))
        if level == 0:
            return _run_in(numbers, here)
        table = numbers[here]
    return Run(None, per_table**level - index)


def _run_in(numbers: tuple[int, ...], index: int) -> Run:
    first, length = numbers[index], 1
    while index + length < len(numbers) and numbers[index + length] == (first + length if first else 0):
        length += 1
    return Run(first or None, length)
