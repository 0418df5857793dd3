"""A read-only ext2, ext3 or ext4 file system as a file tree with random access. `docs/decisions` says why it's our own.

Layout from the kernel's Documentation/filesystems/ext4 (inodes, directory, link targets). The journal isn't replayed.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.errors import DataCorrupt
from failback.image.ext4_blocks import Run, find_extent, find_mapped
from failback.image.ext4_super import inode_position, read_super_block
from failback.image.filesystem import (
    DIRECTORIES_KEPT,
    PATH_LIMIT,
    NodeTree,
    Recent,
    check_name,
    decode_name,
)
from failback.image.source import check_range

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.image.source import ByteSource
    from failback.image.tree import EntryKind

_ROOT_INODE = 2
_USES_EXTENTS, _IS_ENCRYPTED, _IS_COMPRESSED = 0x80000, 0x800, 0x4
_FAST_LINK = 60
"""A shorter link's target is in the inode, in place of the block numbers."""
_DIRECTORY_LIMIT = 2 << 20
"""Bytes of one directory: 60,000 names of usual length; hostile ones of 12 bytes take 20 MB of memory."""
_BLOCKS_KEPT = 128
"""Blocks of inodes, block tables and extent trees: 512 KiB at the usual 4 KiB, 8 MiB at 64 KiB."""


@dataclass(frozen=True, slots=True)
class Inode:
    """What is needed of an inode; `block_map` is its 60 bytes of extents, block numbers or link target."""

    number: int
    mode: int
    size: int
    flags: int
    block_map: bytes

    @property
    def kind(self) -> EntryKind:
        kinds: dict[int, EntryKind] = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink"}
        return kinds.get(stat.S_IFMT(self.mode), "other")


class Ext4(NodeTree[Inode]):
    """A FileTree; raises DataCorrupt where `source` holds no ext file system or one with features that aren't read."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._super = read_super_block(source)
        self._blocks: Recent[int, bytes] = Recent(_BLOCKS_KEPT)
        self._directories: Recent[Inode, dict[str, int]] = Recent(DIRECTORIES_KEPT)
        super().__init__(self._inode(_ROOT_INODE), "ext4")

    def _names(self, directory: Inode) -> dict[str, int]:
        return self._directories.get(directory, self._read_directory)

    def _child(self, directory: Inode, name: str) -> Inode | None:
        number = self._names(directory).get(name)
        return None if number is None else self._inode(number)

    def _link_target(self, link: Inode) -> str:
        if link.size > PATH_LIMIT:
            message = f"ext4: a symbolic link of {link.size} bytes is longer than any path; the file system is damaged"
            raise DataCorrupt(message)
        if link.size < _FAST_LINK and not link.flags & _USES_EXTENTS:
            return decode_name(link.block_map[: link.size])
        return decode_name(_File(self, "a symbolic link", link).read(0, link.size))

    def _content(self, path: str, file: Inode) -> ByteSource:
        return _File(self, path, file)

    def _inode(self, number: int) -> Inode:
        block, offset = divmod(inode_position(self._source, self._super, number), self._super.block_size)
        data = self.block(block)[offset : offset + 128]
        low, high = int.from_bytes(data[0x4:0x8], "little"), int.from_bytes(data[0x6C:0x70], "little")
        mode = int.from_bytes(data[0:2], "little")
        # In ext2 the upper half of a directory's or link's size had another meaning.
        size = low | high << 32 if stat.S_ISREG(mode) else low
        return Inode(number, mode, size, int.from_bytes(data[0x20:0x24], "little"), data[0x28:0x64])

    def _read_directory(self, directory: Inode) -> dict[str, int]:
        if directory.size > _DIRECTORY_LIMIT:
            message = f"ext4: a directory of {directory.size} bytes is larger than any real one; it's damaged"
            raise DataCorrupt(message)
        content = _File(self, "a directory", directory)
        names: dict[str, int] = {}
        # The index blocks of a hashed directory look like unused entries here.
        for start in range(0, directory.size, self._super.block_size):
            block = content.read(start, min(self._super.block_size, directory.size - start))
            names.update(_names_in_block(block, has_file_types=self._super.has_file_types))
        return names

    @property
    def block_size(self) -> int:
        """Bytes."""
        return self._super.block_size

    def block(self, number: int) -> bytes:
        """A block of the file system, kept for a while; raises DataCorrupt outside it."""
        return self._blocks.get(number, lambda _: self.read_blocks(number, 0, self._super.block_size))

    def read_blocks(self, number: int, skipped: int, length: int) -> bytes:
        """Bytes from a place within a block on; raises DataCorrupt outside the file system."""
        position = number * self._super.block_size + skipped
        if position + length > self._super.blocks * self._super.block_size:
            message = f"ext4: something lies in block {number} of {self._super.blocks}; the file system is damaged"
            raise DataCorrupt(message)
        return self._source.read(position, length)


def _names_in_block(block: bytes, *, has_file_types: bool) -> Iterator[tuple[str, int]]:
    at = 0
    while at < len(block):
        number = int.from_bytes(block[at : at + 4], "little")
        length = int.from_bytes(block[at + 4 : at + 6], "little")
        if len(block) == 65536 and length in (0, 65535):
            length = 65536  # what 16 bits can't say
        name_length = int.from_bytes(block[at + 6 : at + (7 if has_file_types else 8)], "little")
        if length < 8 + name_length or length % 4 or at + length > len(block):
            message = f"ext4: a directory entry of {length} bytes for a name of {name_length}; the directory is damaged"
            raise DataCorrupt(message)
        name = block[at + 8 : at + 8 + name_length]
        if number and name not in (b".", b".."):
            check_name(name)
            yield decode_name(name), number
        at += length


class _File:
    """An inode's content as a ByteSource; holes are zeros."""

    def __init__(self, file_system: Ext4, path: str, inode: Inode) -> None:
        self._file_system, self._path, self._inode = file_system, path, inode
        if inode.flags & (_IS_ENCRYPTED | _IS_COMPRESSED):
            message = f"ext4: {path} is encrypted or compressed by the file system, which this program can't read"
            raise DataCorrupt(message)

    @property
    def size(self) -> int:
        return self._inode.size

    def read(self, offset: int, length: int) -> bytes:
        check_range(self.size, offset, length, what=self._path)
        parts, block_size = [], self._file_system.block_size
        while length:
            index, skipped = divmod(offset, block_size)
            run = self._run(index)
            if run.length < 1:
                message = f"ext4: the extents of {self._path} are out of order; the file system is damaged"
                raise DataCorrupt(message)
            count = min(length, run.length * block_size - skipped)
            if run.start is None:
                parts.append(bytes(count))
            else:
                parts.append(self._file_system.read_blocks(run.start, skipped, count))
            offset += count
            length -= count
        return b"".join(parts)

    def _run(self, index: int) -> Run:
        if self._inode.flags & _USES_EXTENTS:
            return find_extent(self._inode.block_map, index, self._file_system.block)
        return find_mapped(self._inode.block_map, index, self._file_system.block, self._file_system.block_size)
