"""A Google instance in the terms of what runs it: its metadata server's document, and the machine for QEMU."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from localcloud.machines.spec import SERIAL_LIMITS, Disk, Hardware
from localcloud.machines.spec import MachineSpec as QemuSpec
from localcloud.metadata import MachineDocument, MachineIdentity

if TYPE_CHECKING:
    from localcloud.google.driver import MachineDisk, MachineSpec
    from localcloud.machines.spec import Bus, Forward

# What AWS's client needs as memory, and what QEMU is given at most: the machine types that it's for have no less.
MEMORY_MIB = 4096
# Emulated processors that share a busy host wait for each other: a boot with two of them is no quicker.
CORES = 1
# As persistent disks call themselves (SCSI INQUIRY), and the machines that they're in (SMBIOS type 1).
_VENDOR, _PRODUCT = "Google", "PersistentDisk"
_MAKER, _MODEL = "Google", "Google Compute Engine"
LUN = 0
"""Every disk is a target of its own on one controller: the first is target 1, and its only unit is this."""


def metadata_document(spec: MachineSpec) -> MachineDocument:
    """What the machine's metadata server says."""
    identity = MachineIdentity(spec.identity.unique_id, email=spec.identity.email) if spec.identity else None
    return MachineDocument(
        cloud="google",
        vm_id=spec.vm_id,
        name=spec.name,
        location=spec.location,
        project=spec.project,
        attributes=dict(spec.attributes),
        identity=identity,
    )


def qemu_machine(spec: MachineSpec, forwards: tuple[Forward, ...]) -> QemuSpec:
    """The machine that QEMU runs, on the very disks."""
    bus: Bus = "nvme" if spec.controller == "NVMe" else "virtio-scsi"
    hardware = Hardware(_MAKER, _MODEL, str(uuid.uuid5(uuid.NAMESPACE_URL, spec.resource_id)), spec.nics[0].mac_address)
    return QemuSpec(
        disks=tuple(_disk(each, bus) for each in (spec.os_disk, *spec.data_disks)),
        firmware=spec.firmware,
        bus=bus,
        memory_mib=min(spec.memory_mib, MEMORY_MIB),
        cpus=min(spec.cores, CORES),
        forwards=forwards,
        hardware=hardware,
        address=spec.nics[0].private_address,
    )


def _disk(disk: MachineDisk, bus: Bus) -> Disk:
    """A guest's udev names the disk by its device name: page 83h has it whole, page 80h as far as there's room."""
    return Disk(
        path=disk.path,
        format="raw",
        lun=LUN,
        serial=disk.device_name[: SERIAL_LIMITS[bus]],
        snapshot=False,
        vendor=_VENDOR,
        product=_PRODUCT,
        target=disk.index + 1,
        device_id=disk.device_name,
    )
