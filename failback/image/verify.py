"""The self-check: reads a written disk back the way its boot would, and compares it with what was meant."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from failback.errors import SelfCheckFailed
from failback.image.fat_read import read_fat
from failback.image.gpt import BOOT_CODE_SIZE, read_partitions
from failback.image.grub import block_list, boot_target
from failback.image.layout import CORE_PARTITION, ISO_PARTITION, SYSTEM_PARTITION
from failback.image.plan import CHUNK, SECTOR
from failback.image.source import SourceSlice

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.image.layout import Layout
    from failback.image.source import ByteSource


def verify_disk(layout: Layout, disk: ByteSource, iso: ByteSource, *, progress: Callable[[int], None]) -> None:
    """Raise SelfCheckFailed with the first difference; `progress` is told the bytes of the ISO that were compared."""
    if disk.size != layout.plan.size:
        _fail(f"the disk has {disk.size} bytes where {layout.plan.size} were planned")
    if read_partitions(disk) != layout.partitions:
        _fail("the partition table names other partitions than planned")
    _check_bios_boot(layout, disk)
    _check_system_files(layout, disk)
    _check_iso(layout, disk, iso, progress)


def _check_bios_boot(layout: Layout, disk: ByteSource) -> None:
    """Follow the BIOS: boot code in sector 0, the core's first sector, then the block list in that."""
    code = disk.read(0, BOOT_CODE_SIZE)
    if code != layout.boot_code:
        _fail("the boot code in sector 0 isn't GRUB's")
    first = boot_target(code)
    partition = layout.partitions[CORE_PARTITION - 1]
    if first != partition.first_sector:
        _fail(f"the boot code leads to sector {first}, the BIOS boot partition begins at {partition.first_sector}")
    head = disk.read(first * SECTOR, SECTOR)
    start, count, _ = block_list(head)
    if start < first or start + count - 1 > partition.last_sector:
        _fail("GRUB's block list leads outside the BIOS boot partition")
    if head + disk.read(start * SECTOR, count * SECTOR) != layout.core:
        _fail("GRUB's block list doesn't lead to GRUB's core image")


def _check_system_files(layout: Layout, disk: ByteSource) -> None:
    partition = layout.partitions[SYSTEM_PARTITION - 1]
    files = read_fat(SourceSlice(disk, partition.offset, partition.size)).files()
    if files.keys() != layout.system_files.keys():
        _fail(f"the system partition holds {sorted(files)}, planned were {sorted(layout.system_files)}")
    for path, content in layout.system_files.items():
        if files[path] != content:
            _fail(f"{path} on the system partition isn't what was planned")


def _check_iso(layout: Layout, disk: ByteSource, iso: ByteSource, progress: Callable[[int], None]) -> None:
    partition = layout.partitions[ISO_PARTITION - 1]
    for offset in range(0, layout.iso_size, CHUNK):
        length = min(CHUNK, layout.iso_size - offset)
        if disk.read(partition.offset + offset, length) != iso.read(offset, length):
            _fail(f"the ISO's copy differs from the ISO in the {length} bytes from {offset}")
        progress(length)


def check_vhd_footer(footer: bytes, *, size: int) -> None:
    """Raise SelfCheckFailed unless `footer` is a sound one of a fixed disk with `size` bytes."""
    (checksum,) = struct.unpack_from(">I", footer, 64)
    total = ~(sum(footer) - sum(footer[64:68])) & 0xFFFFFFFF
    (stated,) = struct.unpack_from(">Q", footer, 48)
    if not footer.startswith(b"conectix") or checksum != total or stated != size:
        _fail("the VHD's footer is damaged or states another size")


def _fail(fault: str) -> None:
    message = f"{fault}. The medium may be failing: build the image again, elsewhere if it happens twice"
    raise SelfCheckFailed(message)
