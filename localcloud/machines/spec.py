"""What a local virtual machine is made of, independent of how it is run."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Literal

from failback.errors import MachineError

if TYPE_CHECKING:
    from pathlib import Path

Firmware = Literal["bios", "uefi"]
Bus = Literal["virtio-scsi", "nvme", "ide"]
DiskFormat = Literal["raw", "vpc"]

# The link-local net, in which every cloud has its metadata service.
GUEST_NET = IPv4Network("169.254.0.0/16")
# Addresses in it that the machine's network itself uses: gateway, name server, first lease.
GUEST_GATEWAY = IPv4Address("169.254.0.2")
GUEST_DNS = IPv4Address("169.254.0.3")
GUEST_FIRST_LEASE = IPv4Address("169.254.10.15")

# What a serial number may be long: INQUIRY page 80h as QEMU emulates it, NVMe's SN field, ATA IDENTIFY words 10 to 19.
SERIAL_LIMITS: dict[Bus, int] = {"virtio-scsi": 36, "nvme": 20, "ide": 20}
# Two channels with two units each; the last one is the CD's.
IDE_UNITS = 4
# More logical units than any cloud machine has disks.
LAST_LUN = 255


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk file; the first of a machine is the one it boots from.

    `lun` counts within `controller` and `target` (virtio-scsi only), `serial` is what the guest reads as the disk's
    serial number, `snapshot` keeps the file as it is and throws away what the guest writes. `vendor` and `product` are
    SCSI's INQUIRY, `device_id` what its page 83h says (empty: the serial number).
    """

    path: Path
    format: DiskFormat
    lun: int
    serial: str
    snapshot: bool
    controller: int = 0
    vendor: str = ""
    product: str = ""
    target: int = 0
    device_id: str = ""


@dataclass(frozen=True, slots=True)
class Forward:
    """Connections of the guest to `address`:`port` end at 127.0.0.1:`to_port`.

    With `announced` each begins with a line that says whose it is and where it was meant to go, as a proxy of version 1
    of HAProxy's PROXY protocol sends it: what listens there for many addresses tells them apart by that.
    """

    address: str
    port: int
    to_port: int
    announced: bool = False


@dataclass(frozen=True, slots=True)
class Hardware:
    """Whom the firmware names (SMBIOS type 1), the machine's UUID, its interface's MAC address; empty: QEMU's own."""

    maker: str = ""
    product: str = ""
    unique_id: str = ""
    mac_address: str = ""


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """A machine to start: it reaches nothing but the forwards. With a `cdrom` it boots that first.

    `address` is the machine's own, as announced forwards name it. One processor: a second one makes an emulated boot no
    cheaper, and they wait for each other on a busy host.
    """

    disks: tuple[Disk, ...]
    firmware: Firmware = "bios"
    bus: Bus = "virtio-scsi"
    memory_mib: int = 4096
    cpus: int = 1
    forwards: tuple[Forward, ...] = ()
    cdrom: Path | None = None
    hardware: Hardware = Hardware()
    address: str = ""


def check_spec(spec: MachineSpec) -> None:
    """Raise MachineError with every fault of the specification."""
    faults = [*_disk_faults(spec), *_forward_faults(spec)]
    if not spec.disks and spec.cdrom is None:
        faults.append("it has neither a disk nor a CD to boot from")
    if faults:
        message = "the machine can't be started as specified: " + "; ".join(faults)
        raise MachineError(message)


def _disk_faults(spec: MachineSpec) -> list[str]:
    limit = SERIAL_LIMITS[spec.bus]
    files = [disk.path for disk in spec.disks] + ([spec.cdrom] if spec.cdrom else [])
    faults = [f"{path} isn't there" for path in files if not path.exists()]
    faults += [
        f"serial {disk.serial!r} isn't 1 to {limit} characters"
        for disk in spec.disks
        if not 0 < len(disk.serial) <= limit
    ]
    places = [(disk.controller, disk.target, disk.lun) for disk in spec.disks]
    if spec.bus == "virtio-scsi" and len(set(places)) < len(places):
        faults.append("two disks share a LUN")
    if any(not 0 <= place <= LAST_LUN for disk in spec.disks for place in (disk.lun, disk.target)):
        faults.append(f"a LUN or target isn't between 0 and {LAST_LUN}")
    if spec.bus == "ide" and len(spec.disks) > IDE_UNITS - 1:
        faults.append(f"IDE has room for {IDE_UNITS - 1} disks beside the CD, not for {len(spec.disks)}")
    return faults


def _forward_faults(spec: MachineSpec) -> list[str]:
    reserved = (GUEST_GATEWAY, GUEST_DNS)
    places = [(forward.address, forward.port) for forward in spec.forwards]
    faults = [
        f"{address}:{port} leads to two places"
        for address, port in sorted(set(places))
        if places.count((address, port)) > 1
    ]
    if not spec.address and any(forward.announced for forward in spec.forwards):
        faults.append("it has no address of its own that a forward could announce")
    return faults + [
        f"{forward.address} isn't a free address of {GUEST_NET}"
        for forward in spec.forwards
        if IPv4Address(forward.address) not in GUEST_NET or IPv4Address(forward.address) in reserved
    ]
