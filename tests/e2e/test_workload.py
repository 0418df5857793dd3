"""The workload's system boots for real, from a disk that's larger than it, and says what was written to that disk."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from localcloud.machines.qemu import Machine
from localcloud.machines.spec import Disk, MachineSpec
from localcloud.sparse_files import create_sparse
from localcloud.workload.layout import PROMPT, UP
from localcloud.workload.marker import put_system, write_nonce

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.machines.spec import Bus, Firmware

pytestmark = [pytest.mark.boot, pytest.mark.standin, pytest.mark.timeout(300)]

NONCE = "written-during-the-outage"
OTHER_NONCE = "of-another-disk"
SIZE = 256 << 20


def check_boot(folder: Path, firmware: Firmware, bus: Bus) -> None:
    """The boot disk's nonce is said, three times, and that of another disk isn't; both disks stay as they are."""
    disks = [folder / "boot.raw", folder / "data.raw"]
    for path, nonce in zip(disks, (NONCE, OTHER_NONCE), strict=True):
        create_sparse(path, SIZE)
        put_system(path, real=path is disks[0], firmware=firmware)
        write_nonce(path, nonce)
    before = [digest(path) for path in disks]
    given = tuple(
        Disk(path, "raw", 0, path.stem, snapshot=False, controller=number) for number, path in enumerate(disks)
    )
    with Machine(MachineSpec(given, firmware=firmware, bus=bus, memory_mib=1024)) as machine:
        line = machine.wait_for(UP, 120)
        machine.wait_for(PROMPT.strip(), 60)
        assert machine.is_running
        machine.stop()
    assert line == f"{UP}{NONCE}"
    assert machine.log.count(f"{UP}{NONCE}") == 3
    assert "Linux version" in machine.log
    assert OTHER_NONCE not in machine.log
    assert [digest(path) for path in disks] == before


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_a_replicated_disk_boots_by_a_bios(tmp_path: Path) -> None:
    check_boot(tmp_path, "bios", "virtio-scsi")


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("firmware", "bus"), [("uefi", "virtio-scsi"), ("bios", "nvme"), ("uefi", "nvme")], ids=lambda each: each
)
def test_by_the_other_firmware_and_bus(tmp_path: Path, firmware: Firmware, bus: Bus) -> None:
    check_boot(tmp_path, firmware, bus)
