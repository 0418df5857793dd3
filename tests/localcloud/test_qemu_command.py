"""What QEMU is told: firmware, buses, disks and the guest's only ways out."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import pytest

from failback.errors import MachineError
from localcloud.machines import command_line, firmware
from localcloud.machines.command_line import compose_command, escape
from localcloud.machines.firmware import UefiFirmware, copy_variables, find_uefi
from localcloud.machines.spec import Bus, Disk, Forward, MachineSpec
from localcloud.packages import Need

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NEED_QEMU = Need("qemu-system-x86_64", "qemu-system-x86", "machines")
METADATA = Forward("169.254.169.254", 80, 8111)


@pytest.fixture
def disk(tmp_path: Path) -> Callable[..., Disk]:
    """A disk over a file that is there."""

    def make(lun: int = 0, *, serial: str = "serial", controller: int = 0, product: str = "", name: str = "") -> Disk:
        path = tmp_path / (name or f"disk{lun}.raw")
        path.touch()
        return Disk(path, "raw", lun, serial, snapshot=lun == 0, controller=controller, product=product)

    return make


def devices(command: list[str], option: str = "-device") -> list[str]:
    return [command[place + 1] for place, word in enumerate(command) if word == option]


def test_emulated_isolated_and_never_restarted(tmp_path: Path, disk: Callable[..., Disk]) -> None:
    command = compose_command(MachineSpec((disk(),), forwards=(METADATA,)), tmp_path)
    assert command[0] == "qemu-system-x86_64"
    assert devices(command, "-accel") == ["tcg,thread=multi"]
    assert devices(command, "-smp") == ["1"]
    assert "-no-reboot" in command
    assert not any("kvm" in word for word in command)
    (network,) = devices(command, "-netdev")
    assert ",restrict=on," in network
    assert "hostfwd" not in network


def test_a_forward_is_a_process_of_ours_per_connection(tmp_path: Path, disk: Callable[..., Disk]) -> None:
    forwards = (METADATA, Forward("169.254.169.253", 443, 8443))
    (network,) = devices(compose_command(MachineSpec((disk(),), forwards=forwards), tmp_path), "-netdev")
    first, second = network.split(",guestfwd=")[1:]
    address, _, words = first.partition("-cmd:")
    assert address == "tcp:169.254.169.254:80"
    assert shlex.split(words) == [sys.executable, "-S", "-E", str(command_line.FORWARDER), "8111"]
    assert second.startswith("tcp:169.254.169.253:443-cmd:")
    assert second.endswith(" 8443")


def test_an_announced_forward_says_whose_it_is(tmp_path: Path, disk: Callable[..., Disk]) -> None:
    forwards = tuple(Forward(f"169.254.64.{number}", 1500, 9000, announced=True) for number in range(1, 41))
    spec = MachineSpec((disk(),), forwards=forwards, address="10.20.0.4")
    (network,) = devices(compose_command(spec, tmp_path), "-netdev")
    _, first, *_ = network.split(",guestfwd=")
    address, _, words = first.partition("-cmd:")
    assert address == "tcp:169.254.64.1:1500"
    assert shlex.split(words)[4:] == ["9000", "10.20.0.4", "169.254.64.1", "1500"]
    assert network.count("-cmd:") == 40


def test_two_forwards_of_one_address_and_an_announced_one_without_a_source(
    tmp_path: Path, disk: Callable[..., Disk]
) -> None:
    with pytest.raises(MachineError, match=r"169\.254\.169\.254:80 leads to two places"):
        compose_command(MachineSpec((disk(),), forwards=(METADATA, METADATA)), tmp_path)
    announced = Forward("169.254.64.1", 1500, 9000, announced=True)
    with pytest.raises(MachineError, match="no address of its own"):
        compose_command(MachineSpec((disk(),), forwards=(announced,)), tmp_path)


def test_virtio_scsi_disks_by_lun_and_controller(tmp_path: Path, disk: Callable[..., Disk]) -> None:
    data = disk(3, serial="data-3", controller=1, product="PersistentDisk")
    command = compose_command(MachineSpec((disk(), data)), tmp_path)
    boot_line, data_line = (line for line in devices(command) if line.startswith("scsi-hd"))
    assert {"virtio-scsi-pci,id=scsi0", "virtio-scsi-pci,id=scsi1"} <= set(devices(command))
    assert "bus=scsi0.0" in boot_line
    assert boot_line.endswith("drive=disk0,serial=serial,bootindex=1")
    assert "bus=scsi1.0,channel=0,scsi-id=0,lun=3,product=PersistentDisk," in data_line
    assert data_line.endswith("drive=disk1,serial=data-3")
    boot_drive, data_drive = devices(command, "-drive")
    assert ",snapshot=on," in boot_drive
    assert "snapshot" not in data_drive


@pytest.mark.parametrize(
    ("bus", "expected"),
    [
        ("nvme", ["nvme,drive=disk0,serial=a,bootindex=1", "nvme,drive=disk1,serial=b"]),
        (
            "ide",
            [
                "ide-hd,bus=ide.0,unit=0,drive=disk0,serial=a,bootindex=1",
                "ide-hd,bus=ide.0,unit=1,drive=disk1,serial=b",
            ],
        ),
    ],
)
def test_other_buses(tmp_path: Path, disk: Callable[..., Disk], bus: Bus, expected: list[str]) -> None:
    command = compose_command(MachineSpec((disk(0, serial="a"), disk(1, serial="b")), bus=bus), tmp_path)
    assert [line for line in devices(command) if line.startswith(bus)] == expected


def test_a_cd_is_booted_first(tmp_path: Path, disk: Callable[..., Disk]) -> None:
    iso = tmp_path / "client.iso"
    iso.touch()
    command = compose_command(MachineSpec((disk(),), cdrom=iso), tmp_path)
    assert "ide-cd,bus=ide.1,unit=1,drive=cdrom,bootindex=0" in devices(command)


def test_a_comma_in_a_path_is_doubled(tmp_path: Path, disk: Callable[..., Disk]) -> None:
    command = compose_command(MachineSpec((disk(name="a,b.raw"),)), tmp_path)
    assert devices(command, "-drive")[0].endswith("/a,,b.raw")
    assert escape("x,,y") == "x,,,,y"


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    absent = tmp_path / "absent.raw"
    disks = tuple(Disk(absent, "raw", 0, serial, snapshot=False) for serial in ("", "x" * 37))
    spec = MachineSpec(disks, forwards=(Forward("10.0.0.1", 80, 1), Forward("169.254.0.2", 80, 1)))
    with pytest.raises(MachineError) as caught:
        compose_command(spec, tmp_path)
    for fault in ("isn't there", "serial ''", "two disks share a LUN", "10.0.0.1", "169.254.0.2"):
        assert fault in str(caught.value)


def test_limits_of_buses_and_an_empty_machine(tmp_path: Path, disk: Callable[..., Disk]) -> None:
    four = tuple(disk(lun) for lun in range(4))
    with pytest.raises(MachineError, match="room for 3 disks"):
        compose_command(MachineSpec(four, bus="ide"), tmp_path)
    with pytest.raises(MachineError, match="1 to 20 characters"):
        compose_command(MachineSpec((disk(0, serial="x" * 21),), bus="nvme"), tmp_path)
    with pytest.raises(MachineError, match="neither a disk nor a CD"):
        compose_command(MachineSpec(()), tmp_path)


def test_each_machine_has_its_own_uefi_variables(tmp_path: Path) -> None:
    shared = UefiFirmware(tmp_path / "CODE.fd", tmp_path / "VARS.fd")
    shared.code.write_bytes(b"code")
    shared.variables.write_bytes(b"fresh")
    shared.variables.chmod(0o444)
    found = find_uefi((UefiFirmware(tmp_path / "no", tmp_path / "no"), shared))
    assert found == shared
    folder = tmp_path / "machine"
    folder.mkdir()
    copy = copy_variables(found, folder)
    copy.write_bytes(b"changed by the guest")
    assert copy_variables(found, folder).read_bytes() == b"changed by the guest"
    assert shared.variables.read_bytes() == b"fresh"


def test_uefi_flash_comes_in_two_parts(
    tmp_path: Path, disk: Callable[..., Disk], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = UefiFirmware(tmp_path / "CODE.fd", tmp_path / "VARS.fd")
    shared.code.touch()
    shared.variables.touch()
    monkeypatch.setattr(command_line, "find_uefi", lambda: shared)
    code, variables, *_ = devices(compose_command(MachineSpec((disk(),), firmware="uefi"), tmp_path), "-drive")
    assert code == f"if=pflash,unit=0,format=raw,readonly=on,file={shared.code}"
    assert variables == f"if=pflash,unit=1,format=raw,file={tmp_path}/uefi-variables.fd"


def test_absent_firmware_and_qemu_name_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MachineError, match=r"apt-get install .*ovmf"):
        find_uefi(())
    monkeypatch.setattr(firmware, "missing", lambda *_: (NEED_QEMU,))
    with pytest.raises(MachineError, match=r"apt-get install .*qemu-system-x86"):
        firmware.check_packages()
