"""Follows a disk's boot as its firmware and GRUB would, up to the agent; nothing of it is run."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.errors import ImageError
from failback.image.fat_read import read_fat
from failback.image.gpt import BIOS_BOOT, EFI_SYSTEM, read_partitions
from failback.image.grub import block_list, boot_target
from failback.image.layout import AGENT_PATH, GRUB_CONFIG_PATH, GRUB_EFI_PATH, ISO_NAME, STATE_NAME
from failback.image.plan import SECTOR
from failback.image.source import FileSource, SourceSlice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from failback.image.gpt import Partition
    from failback.image.source import ByteSource
    from localcloud.machines.spec import Firmware

# UEFI 2.10, table 5-5: where a GPT header says in which sector the other one is.
_OTHER_HEADER = SECTOR + 32
# ECMA-119, section 8.1: the volume descriptors begin in sector 16 of 2048 bytes with this at their second byte.
_ISO_MARK, _ISO_MARK_AT = b"CD001", 16 * 2048 + 1
_FACTS = re.compile(rb"client_start=(?P<client>[^\n]+)\nstate_partition=[^\n]*\nimage=(?P<image>[^\n]+)\n")


class BootStopped(Exception):
    """The boot ends before the agent: what stands on the console then."""


@dataclass(frozen=True, slots=True)
class ClientDisk:
    """What a disk that boots starts: the agent's facts, and where its state partition lies, in bytes."""

    client: str
    image: str
    state_offset: int


def follow_boot(path: Path, firmware: Firmware) -> ClientDisk:
    """The client that the disk boots into; raises BootStopped where firmware, GRUB or the kernel would give up."""
    with FileSource(path) as disk:
        try:
            partitions = read_partitions(_without_growth(disk))
            system = _of_kind(partitions, EFI_SYSTEM)
            files = read_fat(SourceSlice(disk, system.offset, system.size)).files()
            sound = _bios_finds_grub(disk, partitions) if firmware == "bios" else _uefi_finds_grub(files)
        except (ImageError, LookupError) as error:
            raise BootStopped(no_device(firmware)) from error
        if not sound:
            raise BootStopped(no_device(firmware))
        return _grub(disk, partitions, files)


def _without_growth(disk: ByteSource) -> ByteSource:
    """As much of a disk as its partition table speaks of: firmware doesn't mind one that has grown since."""
    (last,) = struct.unpack("<Q", disk.read(_OTHER_HEADER, 8))
    size = (last + 1) * SECTOR
    return SourceSlice(disk, 0, size) if size <= disk.size else disk


def _of_kind(partitions: Sequence[Partition], kind: object) -> Partition:
    found = [each for each in partitions if each.kind == kind]
    return found[0]


def _bios_finds_grub(disk: ByteSource, partitions: Sequence[Partition]) -> bool:
    core = _of_kind(partitions, BIOS_BOOT)
    first = boot_target(disk.read(0, SECTOR))
    if first != core.first_sector:
        return False
    start, count, _ = block_list(disk.read(first * SECTOR, SECTOR))
    return first < start and start + count - 1 <= core.last_sector


def _uefi_finds_grub(files: Mapping[str, bytes]) -> bool:
    """FAT's names have no case; a program begins with the mark of PE's DOS header."""
    loaders = [data for path, data in files.items() if path.lower() == GRUB_EFI_PATH.lower()]
    return any(data.startswith(b"MZ") for data in loaders)


def _grub(disk: ByteSource, partitions: Sequence[Partition], files: Mapping[str, bytes]) -> ClientDisk:
    for path in (GRUB_CONFIG_PATH, AGENT_PATH):
        if path not in files:
            message = f"error: file `/{path}' not found.\nEntering rescue mode...\ngrub rescue>"
            raise BootStopped(message)
    names = {each.name: each for each in partitions}
    iso, state, facts = names.get(ISO_NAME), names.get(STATE_NAME), _FACTS.search(files[AGENT_PATH])
    if iso is None or disk.read(iso.offset + _ISO_MARK_AT, len(_ISO_MARK)) != _ISO_MARK:
        message = "error: unknown filesystem.\ngrub rescue>"
        raise BootStopped(message)
    if state is None or facts is None:
        message = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"
        raise BootStopped(message)
    return ClientDisk(facts["client"].decode(), facts["image"].decode(), state.offset)


def no_device(firmware: Firmware) -> str:
    """What firmware says of a disk that it can't start from."""
    if firmware == "bios":
        return "Booting from Hard Disk...\nBoot failed: not a bootable disk\n\nNo bootable device."
    return "BdsDxe: No bootable option or device was found.\nNo bootable device."
