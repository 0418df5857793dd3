"""The super block and group descriptors of ext2, ext3 and ext4: where inodes lie, and what this reader can't read.

Layout from the kernel's Documentation/filesystems/ext4 (globals: super block, group descriptors); little-endian.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.errors import DataCorrupt

if TYPE_CHECKING:
    from failback.image.source import ByteSource

_SUPER_AT, _SUPER_SIZE = 1024, 1024
_MAGIC = 0xEF53
_META_BG, _64BIT = 0x10, 0x80
_SPARSE_SUPER, _SPARSE_SUPER2 = 0x1, 0x200
_REFUSED = {
    0x1: "compression",
    0x8: "journal_dev",
    0x1000: "dirdata",
    0x8000: "inline_data",
    0x10000: "encrypt",
}
_READABLE = 0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x20000
"""Incompatible features that change nothing for reading, or are read: filetype, recover, meta_bg, extents, 64bit, mmp,
flex_bg, ea_inode, csum_seed, largedir, casefold. (recover: the journal isn't replayed, as nothing may be written.)"""


@dataclass(frozen=True, slots=True)
class SuperBlock:
    """What is needed of the super block; sizes in bytes, counts in blocks or inodes."""

    block_size: int
    blocks: int
    first_block: int
    blocks_per_group: int
    inodes: int
    inodes_per_group: int
    inode_size: int
    descriptor_size: int
    has_file_types: bool
    first_meta_group: int | None
    has_sparse_copies: bool
    copies_in: tuple[int, int] | None


def read_super_block(source: ByteSource) -> SuperBlock:
    """Raises DataCorrupt where there's no ext file system, it's cut off, or it has a feature that isn't read."""
    if source.size < _SUPER_AT + _SUPER_SIZE:
        message = f"{source.size} bytes are too few for an ext4 file system; the file is cut off"
        raise DataCorrupt(message)
    data = source.read(_SUPER_AT, _SUPER_SIZE)
    if _u16(data, 0x38) != _MAGIC:
        message = "there's no ext2, ext3 or ext4 file system here: its magic number is missing"
        raise DataCorrupt(message)
    _refuse_features(_u32(data, 0x60))
    found = _parse(data)
    _check(found, source.size)
    return found


def _refuse_features(incompatible: int) -> None:
    refused = [name for bit, name in _REFUSED.items() if incompatible & bit]
    unknown = incompatible & ~_READABLE & ~sum(_REFUSED)
    if unknown:
        refused.append(f"unknown ones ({unknown:#x})")
    if refused:
        message = f"ext4: the file system has features that this program can't read: {', '.join(refused)}"
        raise DataCorrupt(message)


def _parse(data: bytes) -> SuperBlock:
    incompatible, compatible, read_only = _u32(data, 0x60), _u32(data, 0x5C), _u32(data, 0x64)
    is_wide = bool(incompatible & _64BIT)
    old = _u32(data, 0x4C) == 0
    return SuperBlock(
        block_size=1024 << min(_u32(data, 0x18), 16),
        blocks=_u32(data, 0x4) | (_u32(data, 0x150) << 32 if is_wide else 0),
        first_block=_u32(data, 0x14),
        blocks_per_group=_u32(data, 0x20),
        inodes=_u32(data, 0x0),
        inodes_per_group=_u32(data, 0x28),
        inode_size=128 if old else _u16(data, 0x58),
        descriptor_size=_u16(data, 0xFE) if is_wide else 32,
        has_file_types=bool(incompatible & 0x2),
        first_meta_group=_u32(data, 0x104) if incompatible & _META_BG else None,
        has_sparse_copies=bool(read_only & _SPARSE_SUPER),
        copies_in=(_u32(data, 0x24C), _u32(data, 0x250)) if compatible & _SPARSE_SUPER2 else None,
    )


def _check(found: SuperBlock, size: int) -> None:
    faults = {
        "block size": not 1024 <= found.block_size <= 65536,
        "first block": found.first_block > 1,
        "blocks per group": found.blocks_per_group == 0,
        "inodes per group": not 0 < found.inodes_per_group <= 8 * found.block_size,
        "inode size": not 128 <= found.inode_size <= found.block_size or found.inode_size.bit_count() != 1,
        "descriptor size": not 32 <= found.descriptor_size <= 1024 or found.descriptor_size.bit_count() != 1,
    }
    wrong = [name for name, is_wrong in faults.items() if is_wrong]
    if wrong:
        message = f"ext4: its super block holds values that can't be: {', '.join(wrong)}; the file system is damaged"
        raise DataCorrupt(message)
    if found.blocks * found.block_size > size:
        message = (
            f"ext4: it should have {found.blocks * found.block_size} bytes and has {size}; it's cut off. Fetch it again"
        )
        raise DataCorrupt(message)


def inode_position(source: ByteSource, found: SuperBlock, number: int) -> int:
    """Where an inode begins, in bytes; raises DataCorrupt for a number that there isn't."""
    if not 1 <= number <= found.inodes:
        message = f"ext4: a name leads to inode {number} of {found.inodes}; the file system is damaged"
        raise DataCorrupt(message)
    group, index = divmod(number - 1, found.inodes_per_group)
    descriptor = source.read(_descriptor_position(found, group), found.descriptor_size)
    table = _u32(descriptor, 0x8) | (_u32(descriptor, 0x28) << 32 if found.descriptor_size >= 64 else 0)
    position = table * found.block_size + index * found.inode_size
    if position + found.inode_size > found.blocks * found.block_size:
        message = f"ext4: the inodes of group {group} lie beyond the file system's end; it's damaged"
        raise DataCorrupt(message)
    return position


def _descriptor_position(found: SuperBlock, group: int) -> int:
    """Byte position of a group's descriptor: all in one table, or (meta_bg) each block of them in its own groups."""
    per_block = found.block_size // found.descriptor_size
    meta_group, index = divmod(group, per_block)
    if found.first_meta_group is None or meta_group < found.first_meta_group:
        block = found.first_block + 1 + meta_group
    else:
        first = meta_group * per_block
        block = found.first_block + first * found.blocks_per_group + _has_super_block(found, first)
    return block * found.block_size + index * found.descriptor_size


def _has_super_block(found: SuperBlock, group: int) -> bool:
    if found.copies_in is not None:
        return group == 0 or group in found.copies_in
    if group <= 1 or not found.has_sparse_copies:
        return True
    return any(_is_power(group, root) for root in (3, 5, 7))


def _is_power(number: int, root: int) -> bool:
    while number % root == 0:
        number //= root
    return number == 1


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
