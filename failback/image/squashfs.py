"""A squashfs 4.0 image as a file tree with random access: nothing is unpacked but the blocks that are read."""

from __future__ import annotations

import sys
from array import array
from itertools import accumulate
from typing import TYPE_CHECKING

from failback.errors import DataCorrupt
from failback.image.compression import decompress
from failback.image.filesystem import DIRECTORIES_KEPT, NodeTree, Recent
from failback.image.source import check_range
from failback.image.squashfs_tables import NO_FRAGMENT, Cursor, Tables

if TYPE_CHECKING:
    from failback.image.source import ByteSource
    from failback.image.squashfs_tables import Inode

_BLOCKS_KEPT = 16
"""Unpacked data blocks: 2 MiB at the usual 128 KiB, 16 MiB at the largest block size of 1 MiB."""
_LENGTHS_LIMIT = 4 << 20
"""Blocks of one file: 512 GiB at 128 KiB a block; as 4 and 8-byte numbers 48 MiB."""
_STORED = 1 << 24
"""In a data block's length word: the block isn't compressed (squashfs.rst section 3.1 and squashfs_fs.h)."""


class Squashfs(NodeTree["Inode"]):
    """A FileTree; raises DataCorrupt where `source` holds no readable squashfs, UnknownCompression for lz4 and lzo."""

    def __init__(self, source: ByteSource) -> None:
        self._tables = Tables(source)
        self._blocks = _Blocks(self._tables)
        self._directories: Recent[Inode, dict[str, int]] = Recent(DIRECTORIES_KEPT)
        super().__init__(self._tables.inode(self._tables.super.root), "squashfs")

    def _names(self, directory: Inode) -> dict[str, int]:
        return self._directories.get(directory, lambda _: dict(self._tables.listing(directory)))

    def _child(self, directory: Inode, name: str) -> Inode | None:
        reference = self._names(directory).get(name)
        return None if reference is None else self._tables.inode(reference)

    def _link_target(self, link: Inode) -> str:
        return link.target

    def _content(self, path: str, file: Inode) -> ByteSource:
        return _File(self._tables, self._blocks, path, file)


class _Blocks:
    """Data and fragment blocks, unpacked; the last few are kept."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._kept: Recent[tuple[int, int], bytes] = Recent(_BLOCKS_KEPT)

    def get(self, start: int, word: int) -> bytes:
        """The block at `start`, of the length and packing that its length word tells."""
        return self._kept.get((start, word), self._read)

    def _read(self, key: tuple[int, int]) -> bytes:
        start, word = key
        length, limit = word & _STORED - 1, self._tables.super.block_size
        if length > limit or word >= 2 * _STORED:
            message = f"squashfs: a block of {length} bytes where {limit} are the most; the image is damaged"
            raise DataCorrupt(message)
        data = self._tables.read_raw(start, length)
        if word & _STORED:
            return data
        return decompress(data, self._tables.super.codec, what=f"squashfs: the block at byte {start}", limit=limit)


class _File:
    """A regular file as a ByteSource."""

    def __init__(self, tables: Tables, blocks: _Blocks, path: str, inode: Inode) -> None:
        self._path, self._inode, self._blocks = path, inode, blocks
        self._block_size = tables.super.block_size
        self._words = _length_words(tables, path, inode)
        self._starts = array("Q", accumulate((word & _STORED - 1 for word in self._words), initial=0))
        self._fragment = None if inode.fragment == NO_FRAGMENT else tables.fragment(inode.fragment)

    @property
    def size(self) -> int:
        return self._inode.size

    def read(self, offset: int, length: int) -> bytes:
        check_range(self.size, offset, length, what=self._path)
        parts = []
        while length:
            index, skipped = divmod(offset, self._block_size)
            part = self._block(index)[skipped : skipped + length]
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def _block(self, index: int) -> bytes:
        expected = min(self._block_size, self.size - index * self._block_size)
        if index >= len(self._words):
            block = self._tail(expected)
        elif self._words[index]:
            block = self._blocks.get(self._inode.start + self._starts[index], self._words[index])
        else:
            block = bytes(expected)  # a hole
        if len(block) != expected:
            message = f"squashfs: block {index} of {self._path} has {len(block)} bytes, not {expected}; it's damaged"
            raise DataCorrupt(message)
        return block

    def _tail(self, length: int) -> bytes:
        if self._fragment is None:
            return b""
        return self._blocks.get(*self._fragment)[self._inode.offset : self._inode.offset + length]


def _length_words(tables: Tables, path: str, inode: Inode) -> array[int]:
    whole, rest = divmod(inode.size, tables.super.block_size)
    count = whole + (rest > 0 and inode.fragment == NO_FRAGMENT)
    if count > _LENGTHS_LIMIT:
        message = f"squashfs: {path} claims to have {inode.size} bytes, more than any real file; the image is damaged"
        raise DataCorrupt(message)
    words = array("I", Cursor(tables, *inode.lengths_at).take(4 * count))
    if sys.byteorder == "big":
        words.byteswap()
    return words
