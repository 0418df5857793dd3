"""A FAT32 file system as extents: small, contiguous, the same bytes for the same files.

Microsoft's "FAT: General Overview of On-Disk Format" 1.03 names the fields; sections are given beside them. Clusters
are one sector, so that a system partition of 64 MiB has the 65,525 clusters from which on a volume counts as FAT32.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.image.fat_names import directory_entry, directory_records
from failback.image.plan import SECTOR, Extent, extent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RESERVED_SECTORS = 32
FATS = 2
ROOT_CLUSTER = 2
FIRST_CLUSTER = 2
MIN_CLUSTERS = 65_525
FAT_ENTRY = 4
END_OF_CHAIN = 0x0FFFFFFF
MEDIA_FIXED = 0xF8
BACKUP_BOOT_SECTOR = 6
FSINFO_SECTOR = 1


@dataclass(slots=True)
class _Node:
    """A file (`data`) or a directory (`children`), and the clusters it was given."""

    data: bytes = b""
    children: dict[str, _Node] | None = None
    cluster: int = 0
    length: int = 0


@dataclass(frozen=True, slots=True)
class FatGeometry:
    """How many sectors a volume of `size` bytes spends on what."""

    size: int
    fat_sectors: int = field(init=False)

    def __post_init__(self) -> None:
        # A FAT sector holds 128 entries and each cluster, one sector, needs one: n sectors = reserved + 2n/128 + n.
        entries_per_sector = SECTOR // FAT_ENTRY
        rest = self.size // SECTOR - RESERVED_SECTORS
        object.__setattr__(self, "fat_sectors", -(-(rest + FIRST_CLUSTER) // (entries_per_sector + FATS)))
        if self.clusters < MIN_CLUSTERS:
            message = f"{self.size} bytes are too few for FAT32 with clusters of one sector"
            raise ValueError(message)

    @property
    def data_sector(self) -> int:
        return RESERVED_SECTORS + FATS * self.fat_sectors

    @property
    def clusters(self) -> int:
        return self.size // SECTOR - self.data_sector

    def offset(self, cluster: int) -> int:
        """Where a cluster begins, in bytes from the volume's beginning."""
        return (self.data_sector + cluster - FIRST_CLUSTER) * SECTOR


def fat32(files: Mapping[str, bytes], *, at: int, size: int, label: str, serial: int) -> list[Extent]:
    """The extents of a volume of `size` bytes at byte `at` of a disk, holding `files` ("grub/grub.cfg": content).

    `label` has at most 11 characters, `serial` is the 32-bit volume id. Raises ValueError where the files don't fit or
    a name can't be kept.
    """
    geometry = FatGeometry(size)
    root = _tree(files)
    chains = _place(root)
    if chains[-1][1] > geometry.clusters + FIRST_CLUSTER:
        message = f"the files don't fit into a FAT32 volume of {size} bytes"
        raise ValueError(message)
    table = _table(chains)
    free = geometry.clusters - (chains[-1][1] - FIRST_CLUSTER)
    reserved = _reserved(geometry, hidden=at // SECTOR, label=label, serial=serial, free=free, next_free=chains[-1][1])
    first_fat = RESERVED_SECTORS * SECTOR
    return [
        extent(at, reserved),
        extent(at + first_fat, table),
        extent(at + first_fat + geometry.fat_sectors * SECTOR, table),
        *(extent(at + geometry.offset(node.cluster), data) for node, data in _contents(root, label) if data),
    ]


def _tree(files: Mapping[str, bytes]) -> _Node:
    root = _Node(children={})
    for path in sorted(files):
        *folders, name = path.split("/")
        node = root
        for folder in folders:
            node = _children(node).setdefault(folder, _Node(children={}))
        if node.children is None or name in node.children:
            message = f"{path}: the name stands for a file and a folder"
            raise ValueError(message)
        node.children[name] = _Node(data=files[path])
    return root


def _children(node: _Node) -> dict[str, _Node]:
    if node.children is None:
        message = "a file can't hold further files"
        raise ValueError(message)
    return node.children


def _place(root: _Node) -> list[tuple[int, int]]:
    """Give every node its clusters, one after the other, the root first; return the (first, past last) of each."""
    chains = []
    cluster = ROOT_CLUSTER
    for node, is_root in _walk(root):
        node.length = _directory_length(node, is_root=is_root) if node.children is not None else len(node.data)
        count = -(-node.length // SECTOR)
        node.cluster = cluster if count else 0
        if count:
            chains.append((cluster, cluster + count))
            cluster += count
    return chains


def _walk(root: _Node) -> Iterable[tuple[_Node, bool]]:
    queue = [root]
    while queue:
        node = queue.pop(0)
        yield node, node is root
        queue.extend((node.children or {}).values())


def _directory_length(node: _Node, *, is_root: bool) -> int:
    # The root begins with the volume label, any other directory with "." and "..".
    records = 1 if is_root else 2
    names = list(_children(node))
    return max(1, records + sum(len(record) // 32 for record in directory_records(names).values())) * 32


def _contents(root: _Node, label: str) -> Iterable[tuple[_Node, bytes]]:
    yield root, _directory(root, parent=None, label=label)
    queue = [root]
    while queue:
        node = queue.pop(0)
        for child in (node.children or {}).values():
            yield child, child.data if child.children is None else _directory(child, parent=node, label=label)
            queue.append(child)


def _directory(node: _Node, *, parent: _Node | None, label: str) -> bytes:
    children = _children(node)
    if parent is None:
        head = directory_entry(label.ljust(11).encode("ascii"), attributes=0x08)
    else:
        # Section "Directories": ".." of a directory below the root says cluster 0, whatever the root's cluster is.
        above = 0 if parent.cluster == ROOT_CLUSTER else parent.cluster
        head = directory_entry(b".          ", attributes=0x10, cluster=node.cluster)
        head += directory_entry(b"..         ", attributes=0x10, cluster=above)
    return head + b"".join(
        _finish(record, children[name]) for name, record in directory_records(list(children)).items()
    )


def _finish(record: bytes, child: _Node) -> bytes:
    """The records of a name, with what they lead to in the last one."""
    long_name, short = record[:-32], record[-32:-21]
    if child.children is not None:
        return long_name + directory_entry(short, attributes=0x10, cluster=child.cluster)
    return long_name + directory_entry(short, attributes=0x20, cluster=child.cluster, size=len(child.data))


def _table(chains: list[tuple[int, int]]) -> bytes:
    entries = [0x0FFFFF00 | MEDIA_FIXED, END_OF_CHAIN]
    for first, end in chains:
        entries += [*range(first + 1, end), END_OF_CHAIN]
    return struct.pack(f"<{len(entries)}I", *entries)


def _reserved(geometry: FatGeometry, *, hidden: int, label: str, serial: int, free: int, next_free: int) -> bytes:
    boot = _boot_sector(geometry, hidden=hidden, label=label, serial=serial)
    info = _info_sector(free=free, next_free=next_free)
    third = bytes(510) + b"\x55\xaa"
    return (boot + info + third).ljust(BACKUP_BOOT_SECTOR * SECTOR, b"\0") + boot + info + third


def _boot_sector(geometry: FatGeometry, *, hidden: int, label: str, serial: int) -> bytes:
    sectors = geometry.size // SECTOR
    # "Boot Sector and BPB": jump, OEM name, then the BPB common to all FATs ...
    common = struct.pack(
        "<3s8sHBHBHHBHHHII",
        b"\xeb\x58\x90",
        b"MSWIN4.1",
        SECTOR,
        1,
        RESERVED_SECTORS,
        FATS,
        0,
        0,
        MEDIA_FIXED,
        0,
        63,
        255,
        hidden,
        sectors,
    )
    # ... and the FAT32 part: FAT size, flags, version, root cluster, info and backup sectors, drive, signature, id.
    fat32_part = struct.pack(
        "<IHHIHH12sBBBI11s8s",
        geometry.fat_sectors, 0, 0, ROOT_CLUSTER, FSINFO_SECTOR, BACKUP_BOOT_SECTOR, bytes(12), 0x80, 0, 0x29, serial,
        label.ljust(11).encode("ascii"), b"FAT32   ",
    )  # fmt: skip
    return (common + fat32_part).ljust(510, b"\0") + b"\x55\xaa"


def _info_sector(*, free: int, next_free: int) -> bytes:
    body = struct.pack("<I480sIII12s", 0x41615252, bytes(480), 0x61417272, free, next_free, bytes(12))
    return body + b"\x00\x00\x55\xaa"
