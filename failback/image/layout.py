"""The client image's layout: one disk that a BIOS and UEFI boot, with the ISO in it byte for byte.

| partition | from | holds |
|---|---|---|
| 1 BIOS boot | 1 MiB | GRUB's core image for a BIOS |
| 2 EFI system | 2 MiB | GRUB for UEFI, grub.cfg, the agent's initrd, a manifest: FAT32, 64 MiB |
| 3 the ISO | 66 MiB | the client ISO, verbatim; its SHA-512 is the one that AWS publishes |
| 4 state | after it | 1 MiB that the agent notes its completion in |

All identifiers come from what's on the disk, so the same ISO, agent and GRUB give the same bytes on any machine.

Why so: docs/decisions/0001-the-iso-verbatim-in-a-partition.md.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.image.fat import fat32
from failback.image.gpt import BIOS_BOOT, EFI_SYSTEM, LINUX_DATA, Partition, partition_table
from failback.image.grub import boot_code, core_image
from failback.image.plan import GIB, MIB, SECTOR, DiskPlan, Extent, IsoRange, extent, make_plan, round_up

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.image.grub import GrubImages

CORE_OFFSET = 1 * MIB
SYSTEM_OFFSET = 2 * MIB
SYSTEM_SIZE = 64 * MIB
ISO_OFFSET = SYSTEM_OFFSET + SYSTEM_SIZE
STATE_SIZE = 1 * MIB
# Room for the backup partition table (33 sectors), a whole MiB so that everything before it is aligned.
TAIL = 1 * MIB

CORE_PARTITION, SYSTEM_PARTITION, ISO_PARTITION, STATE_PARTITION = 1, 2, 3, 4
ISO_NAME, STATE_NAME = "DRS-FAILBACK-ISO", "DRS-FAILBACK-STATE"

GRUB_EFI_PATH = "EFI/BOOT/BOOTX64.EFI"
GRUB_CONFIG_PATH = "grub/grub.cfg"
AGENT_PATH = "live/agent.img"
MANIFEST_PATH = "drs-failback.json"


@dataclass(frozen=True, slots=True)
class Place:
    """A partition before it has an identifier: its name, where it begins, its size in bytes, its kind."""

    name: str
    offset: int
    size: int
    kind: uuid.UUID


@dataclass(frozen=True, slots=True)
class Layout:
    """A client image: what to write, and the parts that a check of the result compares with."""

    plan: DiskPlan
    partitions: tuple[Partition, ...]
    disk_guid: uuid.UUID
    system_files: Mapping[str, bytes]
    core: bytes
    boot_code: bytes
    iso_size: int


def lay_out(*, iso_size: int, iso_head: bytes, grub: GrubImages, files: Mapping[str, bytes]) -> Layout:
    """The layout for an ISO of `iso_size` bytes; `files` are the system partition's besides GRUB for UEFI.

    `iso_head` is the ISO's primary volume descriptor, which tells one ISO from another in the disk's identifiers.
    """
    system_files = {GRUB_EFI_PATH: grub.efi, **files}
    seed = _seed(iso_head, iso_size, grub, files)
    partitions = tuple(_partition(place, seed) for place in places(iso_size))
    size = disk_size(iso_size)
    disk_guid = _identifier(seed, "disk")
    code = boot_code(grub, core_sector=CORE_OFFSET // SECTOR)
    core = core_image(grub, core_sector=CORE_OFFSET // SECTOR)
    serial = int.from_bytes(hashlib.sha256(seed + b"fat").digest()[:4], "big")
    extents = [
        *partition_table(partitions, disk_size=size, disk_guid=disk_guid, boot_code=code),
        extent(CORE_OFFSET, core),
        *fat32(system_files, at=SYSTEM_OFFSET, size=SYSTEM_SIZE, label="DRS-BOOT", serial=serial),
        iso_extent(iso_size),
    ]
    return Layout(
        plan=make_plan(size, extents),
        partitions=partitions,
        disk_guid=disk_guid,
        system_files=system_files,
        core=core,
        boot_code=code,
        iso_size=iso_size,
    )


def iso_extent(iso_size: int) -> Extent:
    """The whole ISO in its partition: known before anything in the ISO is."""
    return Extent(offset=ISO_OFFSET, length=iso_size, content=IsoRange(0))


def disk_size(iso_size: int) -> int:
    """The client image's size in bytes for an ISO of `iso_size`: whole GiB, as Google Cloud demands."""
    last = places(iso_size)[-1]
    return round_up(last.offset + last.size + TAIL, GIB)


def places(iso_size: int) -> tuple[Place, ...]:
    """Where the partitions lie, in the order of their numbers."""
    iso_room = round_up(iso_size, MIB)
    return (
        Place("DRS-FAILBACK-GRUB", CORE_OFFSET, SYSTEM_OFFSET - CORE_OFFSET, BIOS_BOOT),
        Place("DRS-FAILBACK-BOOT", SYSTEM_OFFSET, SYSTEM_SIZE, EFI_SYSTEM),
        Place(ISO_NAME, ISO_OFFSET, iso_room, LINUX_DATA),
        Place(STATE_NAME, ISO_OFFSET + iso_room, STATE_SIZE, LINUX_DATA),
    )


def _partition(place: Place, seed: bytes) -> Partition:
    guid = _identifier(seed, place.name)
    return Partition(offset=place.offset, size=place.size, kind=place.kind, guid=guid, name=place.name)


def _seed(iso_head: bytes, iso_size: int, grub: GrubImages, files: Mapping[str, bytes]) -> bytes:
    digest = hashlib.sha256(iso_head + iso_size.to_bytes(8, "big") + grub.digest.encode())
    for path in sorted(files):
        digest.update(path.encode() + b"\0" + hashlib.sha256(files[path]).digest())
    return digest.digest()


def _identifier(seed: bytes, name: str) -> uuid.UUID:
    return uuid.UUID(bytes=hashlib.sha256(seed + name.encode()).digest()[:16], version=4)
