"""QEMU's command line for a machine: emulation only (TCG), no display, no way out of the guest's net but forwards."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.machines.firmware import copy_variables, find_uefi
from localcloud.machines.spec import GUEST_DNS, GUEST_FIRST_LEASE, GUEST_GATEWAY, GUEST_NET, check_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.machines.spec import Disk, Forward, Hardware, MachineSpec

QEMU = "qemu-system-x86_64"
FORWARDER = Path(__file__).with_name("guestfwd.py")


def compose_command(spec: MachineSpec, folder: Path) -> list[str]:
    """The words that start `spec`, with the serial console on standard output; `folder` takes its UEFI variables.

    Raises MachineError for a specification with faults or firmware that isn't installed.
    """
    check_spec(spec)
    return [
        # Nested KVM is present on many hosts and dies there: emulation is slower and always works.
        *(QEMU, "-machine", "pc", "-accel", "tcg,thread=multi", "-smp", str(spec.cpus), "-m", str(spec.memory_mib)),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-vga", "std", "-monitor", "none"),
        *("-rtc", "base=utc", "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
        *("-device", "virtio-rng-pci"),
        *_hardware(spec.hardware),
        *_firmware(spec, folder),
        *_disks(spec),
        *_cdrom(spec),
        *_network(spec),
    ]


def escape(value: str | Path) -> str:
    """A value within a comma-separated option of QEMU, where a comma is written twice."""
    return str(value).replace(",", ",,")


def _hardware(hardware: Hardware) -> Iterator[str]:
    if hardware.maker:
        product = f",product={escape(hardware.product)}" if hardware.product else ""
        yield from ("-smbios", f"type=1,manufacturer={escape(hardware.maker)}{product}")
    if hardware.unique_id:
        yield from ("-uuid", hardware.unique_id)


def _firmware(spec: MachineSpec, folder: Path) -> Iterator[str]:
    if spec.firmware == "uefi":
        firmware = find_uefi()
        variables = copy_variables(firmware, folder)
        yield from ("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={escape(firmware.code)}")
        yield from ("-drive", f"if=pflash,unit=1,format=raw,file={escape(variables)}")


def _disks(spec: MachineSpec) -> Iterator[str]:
    if spec.bus == "virtio-scsi":
        for controller in sorted({disk.controller for disk in spec.disks}):
            yield from ("-device", f"virtio-scsi-pci,id=scsi{controller}")
    for number, disk in enumerate(spec.disks):
        # cache=unsafe: what the guest wrote is in the host's page cache, which outlives the machine. discard=unmap:
        # what the guest gives back or fills with zeros becomes a hole of the file.
        snapshot = ",snapshot=on" if disk.snapshot else ""
        yield from (
            "-drive",
            f"if=none,id=disk{number},format={disk.format},cache=unsafe,discard=unmap{snapshot},file={escape(disk.path)}",
        )
        yield from (
            "-device",
            f"{_attachment(spec, disk, number)},drive=disk{number},serial={escape(disk.serial)}{_boot(number)}",
        )


def _attachment(spec: MachineSpec, disk: Disk, number: int) -> str:
    if spec.bus == "nvme":
        return "nvme"
    if spec.bus == "ide":
        return f"ide-hd,bus=ide.{number // 2},unit={number % 2}"
    vendor = f",vendor={escape(disk.vendor)}" if disk.vendor else ""
    product = f",product={escape(disk.product)}" if disk.product else ""
    device_id = f",device_id={escape(disk.device_id)}" if disk.device_id else ""
    place = f"channel=0,scsi-id={disk.target},lun={disk.lun}"
    return f"scsi-hd,bus=scsi{disk.controller}.0,{place}{vendor}{product}{device_id}"


def _boot(number: int) -> str:
    return ",bootindex=1" if number == 0 else ""


def _cdrom(spec: MachineSpec) -> Iterator[str]:
    if spec.cdrom is not None:
        yield from ("-drive", f"if=none,id=cdrom,media=cdrom,format=raw,readonly=on,file={escape(spec.cdrom)}")
        yield from ("-device", "ide-cd,bus=ide.1,unit=1,drive=cdrom,bootindex=0")


def _network(spec: MachineSpec) -> Iterator[str]:
    forwards = "".join(f",{_forward(forward, spec.address)}" for forward in spec.forwards)
    yield from (
        "-netdev",
        f"user,id=net,net={GUEST_NET},host={GUEST_GATEWAY},dns={GUEST_DNS},dhcpstart={GUEST_FIRST_LEASE},restrict=on{forwards}",
    )
    # No boot ROM: machines boot from their disks only.
    mac = f",mac={spec.hardware.mac_address}" if spec.hardware.mac_address else ""
    yield from ("-device", f"virtio-net-pci,netdev=net,romfile={mac}")


def _forward(forward: Forward, own_address: str) -> str:
    announced = (own_address, forward.address, str(forward.port)) if forward.announced else ()
    words = (sys.executable, "-S", "-E", str(FORWARDER), str(forward.to_port), *announced)
    return f"guestfwd=tcp:{forward.address}:{forward.port}-cmd:{escape(shlex.join(words))}"
