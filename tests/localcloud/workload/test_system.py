"""The workload's disk as it's laid out: everything's where firmware, GRUB and the system look for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from failback.errors import StandinError
from failback.image.fat_read import read_fat
from failback.image.gpt import BIOS_BOOT, EFI_SYSTEM, read_partitions
from failback.image.grub import block_list, boot_target
from failback.image.source import FileSource, SourceSlice
from localcloud.workload.layout import DISK_SIZE, RECORD_OFFSET, Record
from localcloud.workload.marker import read_record
from localcloud.workload.system import Parts, read_parts, write_system

if TYPE_CHECKING:
    from pathlib import Path

    from failback.image.grub import GrubImages


@pytest.fixture
def system(tmp_path: Path, grub: GrubImages) -> Path:
    path = tmp_path / "workload.raw"
    write_system(path, Parts(grub, b"kernel" * 99, b"initrd" * 99))
    return path


def test_a_disk_that_both_firmwares_start(system: Path, grub: GrubImages) -> None:
    with FileSource(system) as disk:
        partitions = read_partitions(disk)
        core, efi, record = partitions
        assert (core.kind, efi.kind, record.offset) == (BIOS_BOOT, EFI_SYSTEM, RECORD_OFFSET)
        assert disk.size == DISK_SIZE
        assert boot_target(disk.read(0, 512)) == core.first_sector
        start, count, _ = block_list(disk.read(core.offset, 512))
        assert (start, core.last_sector >= start + count - 1) == (core.first_sector + 1, True)
        files = read_fat(SourceSlice(disk, efi.offset, efi.size)).files()
    assert files["boot/vmlinuz"] == b"kernel" * 99
    assert files["boot/initrd.img"] == b"initrd" * 99
    assert files["EFI/BOOT/BOOTX64.EFI"] == grub.efi
    configuration = files["grub/grub.cfg"].decode()
    assert "gpt2" in configuration
    assert "console=ttyS0,115200n8" in configuration


def test_it_has_no_nonce_and_is_sparse(system: Path) -> None:
    assert read_record(system) == Record("bios")
    assert system.stat().st_blocks * 512 < DISK_SIZE // 4


def test_the_same_parts_make_the_same_bytes(system: Path, tmp_path: Path, grub: GrubImages) -> None:
    again = tmp_path / "again.raw"
    write_system(again, Parts(grub, b"kernel" * 99, b"initrd" * 99))
    assert again.read_bytes() == system.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.raw", "workload.raw"]


def test_an_iso_without_kernel_is_not_the_standin(tmp_path: Path, whole_iso: Path, grub: GrubImages) -> None:
    poor = tmp_path / "poor.iso"
    poor.write_bytes(whole_iso.read_bytes().replace(b"vmlinuz", b"vmlinux").replace(b"VMLINUZ", b"VMLINUX"))
    with pytest.raises(StandinError, match="has no /isolinux/vmlinuz"):
        read_parts(poor, grub)
