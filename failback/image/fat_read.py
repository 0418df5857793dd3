"""Reads back what `fat` wrote: follows directories and cluster chains through the table, as a boot loader would."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.errors import SelfCheckFailed
from failback.image.plan import SECTOR, round_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.image.source import ByteSource

_DIRECTORY = 0x10
_VOLUME_LABEL = 0x08
_LONG_NAME = 0x0F
_END_OF_CHAIN = 0x0FFFFFF8
_CLUSTER_MASK = 0x0FFFFFFF
# Deeper than any path of a client image, and low enough that a directory that holds itself is noticed.
MAX_DEPTH = 16


@dataclass(frozen=True, slots=True)
class _Record:
    name: str
    is_directory: bool
    cluster: int
    size: int


@dataclass(frozen=True, slots=True)
class FatVolume:
    """A FAT32 volume that fills `source`."""

    source: ByteSource
    cluster_size: int
    data_offset: int
    root_cluster: int
    table: tuple[int, ...]

    def files(self) -> dict[str, bytes]:
        """Every file's content by its path; raises SelfCheckFailed where a chain is broken or a size is wrong."""
        return dict(self._files(self.root_cluster, "", 0))

    def _files(self, cluster: int, folder: str, depth: int) -> Iterator[tuple[str, bytes]]:
        if depth > MAX_DEPTH:
            message = f"{folder}: the directories of the system partition go in circles"
            raise SelfCheckFailed(message)
        for record in _records(self._chain(cluster, folder)):
            path = folder + record.name
            if record.is_directory:
                yield from self._files(record.cluster, path + "/", depth + 1)
            else:
                yield path, self._content(record, path)

    def _content(self, record: _Record, path: str) -> bytes:
        data = self._chain(record.cluster, path) if record.size else b""
        if round_up(record.size, self.cluster_size) != len(data):
            message = f"{path}: its cluster chain holds {len(data)} bytes, its directory says {record.size}"
            raise SelfCheckFailed(message)
        return data[: record.size]

    def _chain(self, cluster: int, path: str) -> bytes:
        """The content of a chain; neighbouring clusters are read at once."""
        parts = []
        for first, count in self._runs(cluster, path):
            offset = self.data_offset + (first - 2) * self.cluster_size
            parts.append(self.source.read(offset, count * self.cluster_size))
        return b"".join(parts)

    def _runs(self, cluster: int, path: str) -> Iterator[tuple[int, int]]:
        first, count, left = cluster, 0, len(self.table)
        while cluster < _END_OF_CHAIN:
            left -= 1
            if not 2 <= cluster < len(self.table) or left < 0:
                message = f"{path}: its cluster chain leads outside the volume or in a circle"
                raise SelfCheckFailed(message)
            count += 1
            following = self.table[cluster] & _CLUSTER_MASK
            if following != cluster + 1:
                yield first, count
                first, count = following, 0
            cluster = following


def read_fat(source: ByteSource) -> FatVolume:
    """The FAT32 volume that fills `source`; raises SelfCheckFailed where it's none or its two tables differ."""
    boot = source.read(0, SECTOR)
    sector, per_cluster, reserved, fats = struct.unpack_from("<HBHB", boot, 11)
    total, fat_sectors, _, _, root = struct.unpack_from("<IIHHI", boot, 32)
    sound = boot[510:] == b"\x55\xaa" and boot[82:90] == b"FAT32   " and sector == SECTOR and fats == 2
    if not sound or total * SECTOR != source.size:
        message = "the system partition holds no FAT32 volume of its size; build the disk again"
        raise SelfCheckFailed(message)
    tables = [source.read((reserved + copy * fat_sectors) * SECTOR, fat_sectors * SECTOR) for copy in range(fats)]
    if tables[0] != tables[1]:
        message = "the two allocation tables of the system partition differ; build the disk again"
        raise SelfCheckFailed(message)
    return FatVolume(
        source=source,
        cluster_size=per_cluster * SECTOR,
        data_offset=(reserved + fats * fat_sectors) * SECTOR,
        root_cluster=root,
        table=struct.unpack(f"<{fat_sectors * SECTOR // 4}I", tables[0]),
    )


def _records(directory: bytes) -> Iterator[_Record]:
    """The files and folders of a directory with their full names; ".", ".." and the label are left out."""
    long_name = ""
    for start in range(0, len(directory), 32):
        record = directory[start : start + 32]
        if record[0] == 0:
            return
        if record[11] == _LONG_NAME:
            long_name = _long_part(record) + long_name
            continue
        name, long_name = long_name or _short_name(record[:11]), ""
        if not record[11] & _VOLUME_LABEL and name not in (".", ".."):
            high, _, _, low, size = struct.unpack_from("<HHHHI", record, 20)
            yield _Record(name, bool(record[11] & _DIRECTORY), high << 16 | low, size)


def _long_part(record: bytes) -> str:
    units = record[1:11] + record[14:26] + record[28:32]
    return units.decode("utf-16-le", "replace").split("\0")[0].rstrip("\uffff")


def _short_name(short: bytes) -> str:
    stem, ending = short[:8].decode("ascii").rstrip(), short[8:].decode("ascii").rstrip()
    return f"{stem}.{ending}" if ending else stem
