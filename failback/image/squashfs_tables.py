"""The tables of a squashfs 4.0: super block, metadata blocks, inodes, directories and fragments.

Layout from the kernel's Documentation/filesystems/squashfs.rst and the structures of fs/squashfs/squashfs_fs.h; every
number is little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.errors import DataCorrupt, UnknownCompression
from failback.image.compression import decompress
from failback.image.filesystem import PATH_LIMIT, Recent, check_name, decode_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.image.compression import Codec
    from failback.image.source import ByteSource
    from failback.image.tree import EntryKind

NO_FRAGMENT = 0xFFFFFFFF
METADATA_SIZE = 8192

_SUPER = struct.Struct("<IIIIIHHHHHHQQQQQQQQ")
_MAGIC = 0x73717368
_CODECS: dict[int, Codec] = {1: "zlib", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}
_INODE_HEADER = struct.Struct("<HHHHII")
_DIRECTORY_HEADER = struct.Struct("<III")
_DIRECTORY_ENTRY = struct.Struct("<HhHH")
_FRAGMENT = struct.Struct("<QII")
_FRAGMENTS_IN_BLOCK = METADATA_SIZE // _FRAGMENT.size
_DIRECTORY_LIMIT = 1 << 20
"""Bytes of one directory's listing: at 20 bytes a name 50,000 names; hostile ones of 9 bytes take 13 MB of memory."""
_METADATA_KEPT = 64  # 512 KiB: the inode and directory blocks of the directories in use
_TYPE_BITS = (0, 0o040000, 0o100000, 0o120000, 0o060000, 0o020000, 0o010000, 0o140000)
"""File type bits by basic inode type 1 to 7; the extended ones 8 to 14 are in the same order."""


@dataclass(frozen=True, slots=True)
class SuperBlock:
    """What is needed of the super block; positions are bytes in the image."""

    block_size: int
    codec: Codec
    fragments: int
    root: int
    size: int
    inodes_at: int
    directories_at: int
    fragments_at: int


@dataclass(frozen=True, slots=True)
class Inode:
    """A file: data at `start`, block lengths from `lengths_at`; a directory: its listing's `start` and `offset`."""

    kind: EntryKind
    mode: int
    size: int = 0
    start: int = 0
    fragment: int = NO_FRAGMENT
    offset: int = 0
    lengths_at: tuple[int, int] = (0, 0)
    target: str = ""


def read_super_block(source: ByteSource) -> SuperBlock:
    """Raises DataCorrupt where there's no squashfs 4.0 or it's cut off, UnknownCompression for lz4 and lzo."""
    if source.size < _SUPER.size:
        message = f"{source.size} bytes are too few for a squashfs; the file is cut off"
        raise DataCorrupt(message)
    fields = _SUPER.unpack(source.read(0, _SUPER.size))
    if fields[0] != _MAGIC or fields[9] != 4:
        message = "there's no squashfs 4.0 here: its magic number is missing; the file is damaged or of another kind"
        raise DataCorrupt(message)
    block_size, fragments, compression, root, size = fields[3], fields[4], fields[5], fields[11], fields[12]
    if not 4096 <= block_size <= 1 << 20 or block_size.bit_count() != 1:
        message = f"squashfs: a block size of {block_size} is none that squashfs has; the file is damaged"
        raise DataCorrupt(message)
    if size > source.size:
        message = f"squashfs: it should have {size} bytes and has {source.size}; the file is cut off. Fetch it again"
        raise DataCorrupt(message)
    return SuperBlock(block_size, _codec(compression), fragments, root, size, fields[15], fields[16], fields[17])


def _codec(number: int) -> Codec:
    codec = _CODECS.get(number)
    if codec is None:
        message = f"squashfs: its compression has the number {number}, which isn't known (1 to 6 are: {_CODECS})"
        raise UnknownCompression(message)
    if codec in ("lz4", "lzo"):
        message = (
            f"squashfs: is compressed with {codec}, which this program can't read (gzip, xz, lzma and zstd it can). "
            "Build the live image with one of those"
        )
        raise UnknownCompression(message)
    return codec


class Tables:
    """Random access to the metadata of one image."""

    def __init__(self, source: ByteSource) -> None:
        self.super = read_super_block(source)
        self._source = source
        self._blocks: Recent[int, tuple[bytes, int]] = Recent(_METADATA_KEPT)

    def inode(self, reference: int) -> Inode:
        """The inode at a reference: the block's start within the inode table << 16 | offset in the unpacked block."""
        cursor = Cursor(self, self.super.inodes_at + (reference >> 16), reference & 0xFFFF)
        number, mode, *_ = _INODE_HEADER.unpack(cursor.take(_INODE_HEADER.size))
        if not 1 <= number <= 14:
            message = f"squashfs: an inode has the type {number}, which doesn't exist; the image is damaged"
            raise DataCorrupt(message)
        bits = _TYPE_BITS[number if number < 8 else number - 7]
        mode = bits | mode & 0o7777
        match number:
            case 1 | 8:
                return _directory_inode(cursor, mode, extended=number == 8)
            case 2 | 9:
                return _file_inode(cursor, mode, extended=number == 9)
            case 3 | 10:
                return _link_inode(cursor, mode)
            case _:
                return Inode("other", mode)

    def listing(self, directory: Inode) -> Iterator[tuple[str, int]]:
        """The names in a directory and their inodes' references, in the image's order."""
        left = directory.size - 3  # the size counts "." and ".." as three bytes that aren't there
        if left > _DIRECTORY_LIMIT:
            message = f"squashfs: a directory of {left} bytes is larger than any real one; the image is damaged"
            raise DataCorrupt(message)
        cursor = Cursor(self, self.super.directories_at + directory.start, directory.offset)
        while left > 0:
            count, start, _ = _DIRECTORY_HEADER.unpack(cursor.take(_DIRECTORY_HEADER.size))
            left -= _DIRECTORY_HEADER.size
            if count >= 256:
                message = f"squashfs: a directory has a run of {count + 1} names where 256 are the most; it's damaged"
                raise DataCorrupt(message)
            for _ in range(count + 1):
                offset, _, _, length = _DIRECTORY_ENTRY.unpack(cursor.take(_DIRECTORY_ENTRY.size))
                name = cursor.take(length + 1)
                left -= _DIRECTORY_ENTRY.size + length + 1
                check_name(name)
                yield decode_name(name), start << 16 | offset

    def fragment(self, index: int) -> tuple[int, int]:
        """Where a fragment block starts in the image, and its length word."""
        if index >= self.super.fragments:
            message = f"squashfs: fragment {index} of {self.super.fragments} was asked for; the image is damaged"
            raise DataCorrupt(message)
        block, entry = divmod(index, _FRAGMENTS_IN_BLOCK)
        position = int.from_bytes(self.read_raw(self.super.fragments_at + 8 * block, 8), "little")
        start, length, _ = _FRAGMENT.unpack(Cursor(self, position, entry * _FRAGMENT.size).take(_FRAGMENT.size))
        return start, length

    def read_raw(self, position: int, length: int) -> bytes:
        """Bytes of the image as they are; raises DataCorrupt outside it."""
        if position + length > self.super.size:
            message = f"squashfs: it points to byte {position + length} of {self.super.size}; it's damaged or cut off"
            raise DataCorrupt(message)
        return self._source.read(position, length)

    def metadata_block(self, position: int) -> tuple[bytes, int]:
        """The unpacked block at a position and the position of the block after it."""
        return self._blocks.get(position, self._read_block)

    def _read_block(self, position: int) -> tuple[bytes, int]:
        header = int.from_bytes(self.read_raw(position, 2), "little")
        length = header & 0x7FFF
        if not 0 < length <= METADATA_SIZE:
            message = f"squashfs: a metadata block of {length} bytes at byte {position}; the image is damaged"
            raise DataCorrupt(message)
        data = self.read_raw(position + 2, length)
        if not header & 0x8000:
            what = f"squashfs: the metadata block at byte {position}"
            data = decompress(data, self.super.codec, what=what, limit=METADATA_SIZE)
        return data, position + 2 + length


class Cursor:
    """A place in a chain of metadata blocks that reading moves on."""

    def __init__(self, tables: Tables, block: int, offset: int) -> None:
        self._tables, self._block, self._offset = tables, block, offset

    @property
    def position(self) -> tuple[int, int]:
        """The block's position in the image and the offset in it, for another cursor."""
        return self._block, self._offset

    def take(self, length: int) -> bytes:
        """The next `length` bytes; raises DataCorrupt where the chain ends before."""
        parts = []
        while length:
            data, after = self._tables.metadata_block(self._block)
            part = data[self._offset : self._offset + length]
            parts.append(part)
            length -= len(part)
            self._offset += len(part)
            if length:
                self._enter_next(data, after)
        return b"".join(parts)

    def _enter_next(self, data: bytes, after: int) -> None:
        # Only a table's last block may be short: what goes on behind a short one is damaged, and could be endless.
        if len(data) != METADATA_SIZE or self._offset > METADATA_SIZE:
            message = f"squashfs: it points behind the metadata block at byte {self._block}; the image is damaged"
            raise DataCorrupt(message)
        self._block, self._offset = after, 0


def _directory_inode(cursor: Cursor, mode: int, *, extended: bool) -> Inode:
    if extended:
        _, size, start, _, _, offset, _ = struct.unpack("<IIIIHHI", cursor.take(24))
    else:
        start, _, size, offset, _ = struct.unpack("<IIHHI", cursor.take(16))
    return Inode("directory", mode, size=size, start=start, offset=offset)


def _file_inode(cursor: Cursor, mode: int, *, extended: bool) -> Inode:
    if extended:
        start, size, _, _, fragment, offset, _ = struct.unpack("<QQQIIII", cursor.take(40))
    else:
        start, fragment, offset, size = struct.unpack("<IIII", cursor.take(16))
    return Inode("file", mode, size, start, fragment, offset, cursor.position)


def _link_inode(cursor: Cursor, mode: int) -> Inode:
    _, length = struct.unpack("<II", cursor.take(8))
    if length > PATH_LIMIT:
        message = f"squashfs: a symbolic link of {length} bytes is longer than any path; the image is damaged"
        raise DataCorrupt(message)
    return Inode("symlink", mode, target=decode_name(cursor.take(length)))
