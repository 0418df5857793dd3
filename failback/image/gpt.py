"""GUID partition tables: the protective MBR, the two headers and entry arrays (UEFI specification 2.10, section 5).

Sectors are 512 bytes, as in Azure, Google Cloud and EC2; a table has the usual 128 entries of 128 bytes.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.errors import SelfCheckFailed
from failback.image.plan import SECTOR, Extent, extent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.image.source import ByteSource

BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
LINUX_DATA = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")

ENTRIES = 128
ENTRY_SIZE = 128
TABLE_SECTORS = ENTRIES * ENTRY_SIZE // SECTOR
# Header and entries; the same count stands before the first and after the last usable sector.
RESERVED_SECTORS = 1 + TABLE_SECTORS
BOOT_CODE_SIZE = 440

# Signature, revision, header size, CRC, reserved, own LBA, other LBA, first and last usable LBA, disk GUID,
# entries' LBA, number and size of entries, CRC of the entries.
_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
_SIGNATURE = b"EFI PART"
_REVISION = 0x00010000


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition in bytes: `offset` and `size` are whole sectors; `name` has at most 36 UTF-16 units."""

    offset: int
    size: int
    kind: uuid.UUID
    guid: uuid.UUID
    name: str

    @property
    def first_sector(self) -> int:
        return self.offset // SECTOR

    @property
    def last_sector(self) -> int:
        return (self.offset + self.size) // SECTOR - 1


def partition_table(
    partitions: Sequence[Partition], *, disk_size: int, disk_guid: uuid.UUID, boot_code: bytes
) -> list[Extent]:
    """The extents of protective MBR (with `boot_code`, 440 bytes), primary table and backup table."""
    sectors = disk_size // SECTOR
    entries = b"".join(_entry(partition) for partition in partitions).ljust(ENTRIES * ENTRY_SIZE, b"\0")
    primary = _header(own=1, other=sectors - 1, table=2, sectors=sectors, guid=disk_guid, entries=entries)
    backup = _header(
        own=sectors - 1, other=1, table=sectors - RESERVED_SECTORS, sectors=sectors, guid=disk_guid, entries=entries
    )
    return [
        extent(0, _protective_mbr(sectors, boot_code) + primary + entries),
        extent((sectors - RESERVED_SECTORS) * SECTOR, entries + backup),
    ]


def read_partitions(disk: ByteSource) -> tuple[Partition, ...]:
    """The partitions of a disk whose two tables are intact and agree; raises SelfCheckFailed where they don't."""
    sectors = disk.size // SECTOR
    mbr = disk.read(0, SECTOR)
    _require(mbr[510:] == b"\x55\xaa" and mbr[450] == 0xEE, "the protective MBR is missing")
    primary = _read_table(disk, own=1, other=sectors - 1)
    backup = _read_table(disk, own=sectors - 1, other=1)
    _require(primary == backup, "the primary and the backup partition table differ")
    slots = (primary[start : start + ENTRY_SIZE] for start in range(0, len(primary), ENTRY_SIZE))
    return tuple(_read_entry(slot) for slot in slots if any(slot[:16]))


def _protective_mbr(sectors: int, boot_code: bytes) -> bytes:
    # UEFI 2.10, table 5-4: one record of type 0xEE from sector 1, as long as 32 bits can say.
    record = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFFFFFF))
    return boot_code.ljust(446, b"\0") + record.ljust(64, b"\0") + b"\x55\xaa"


def _entry(partition: Partition) -> bytes:
    return _ENTRY.pack(
        partition.kind.bytes_le,
        partition.guid.bytes_le,
        partition.first_sector,
        partition.last_sector,
        0,
        partition.name.encode("utf-16-le"),
    )


def _header(*, own: int, other: int, table: int, sectors: int, guid: uuid.UUID, entries: bytes) -> bytes:
    def packed(crc: int) -> bytes:
        return _HEADER.pack(
            _SIGNATURE,
            _REVISION,
            _HEADER.size,
            crc,
            0,
            own,
            other,
            RESERVED_SECTORS + 1,
            sectors - RESERVED_SECTORS - 1,
            guid.bytes_le,
            table,
            ENTRIES,
            ENTRY_SIZE,
            zlib.crc32(entries),
        )

    return packed(zlib.crc32(packed(0))).ljust(SECTOR, b"\0")


def _read_table(disk: ByteSource, *, own: int, other: int) -> bytes:
    """The entry array that the header at sector `own` leads to, both checked."""
    header = disk.read(own * SECTOR, _HEADER.size)
    fields = _HEADER.unpack(header)
    _require(fields[0] == _SIGNATURE and fields[2] == _HEADER.size, f"there is no GPT header in sector {own}")
    zeroed = header[:16] + bytes(4) + header[20:]
    _require(zlib.crc32(zeroed) == fields[3], f"the GPT header in sector {own} has a wrong checksum")
    _require(fields[5:7] == (own, other), f"the GPT header in sector {own} belongs to another place")
    _require(fields[11:13] == (ENTRIES, ENTRY_SIZE), f"the GPT header in sector {own} has an unusual entry array")
    entries = disk.read(fields[10] * SECTOR, ENTRIES * ENTRY_SIZE)
    _require(zlib.crc32(entries) == fields[13], f"the GPT entries of sector {own} have a wrong checksum")
    return entries


def _read_entry(slot: bytes) -> Partition:
    kind, guid, first, last, _, name = _ENTRY.unpack(slot)
    return Partition(
        offset=first * SECTOR,
        size=(last - first + 1) * SECTOR,
        kind=uuid.UUID(bytes_le=kind),
        guid=uuid.UUID(bytes_le=guid),
        name=name.decode("utf-16-le", "replace").rstrip("\0"),
    )


def _require(condition: bool, fault: str) -> None:
    if not condition:
        message = f"{fault}; the disk was written wrongly or has been changed since: build it again"
        raise SelfCheckFailed(message)
