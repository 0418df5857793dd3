"""An Azure machine in the terms of what runs it: its metadata service's document, and the machine for QEMU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.machines.spec import Disk, Hardware
from localcloud.machines.spec import MachineSpec as QemuSpec
from localcloud.metadata import MachineDocument, MachineIdentity

if TYPE_CHECKING:
    from localcloud.azure.driver import MachineDisk, MachineSpec
    from localcloud.machines.spec import Forward

# What AWS's client needs as memory, and what QEMU is given at most: the sizes on offer have no less.
MEMORY_MIB = 4096
# Emulated processors that share a busy host wait for each other: a boot with two of them is no quicker.
CORES = 1
OS_CONTROLLER, DATA_CONTROLLER = 0, 1
# As Hyper-V's disks call themselves (SCSI INQUIRY), and its machines (SMBIOS type 1).
_VENDOR, _PRODUCT = "Msft", "Virtual Disk"
_MAKER, _MODEL = "Microsoft Corporation", "Virtual Machine"
# NVMe's field for the serial number, the shortest of all.
_SERIAL_LENGTH = 20


def metadata_document(spec: MachineSpec) -> MachineDocument:
    """What the machine's metadata service says.

    Its own identity answers unasked, or the only assigned one; of several assigned ones each has to be asked for.
    """
    known = [MachineIdentity(each.principal_id, each.tenant, each.client_id, each.resource_id)
             for each in spec.identities]  # fmt: skip
    own = [each for each in known if each.resource_id is None]
    default = own[0] if own else known[0] if len(known) == 1 else None
    return MachineDocument(
        cloud="azure",
        vm_id=spec.vm_id,
        name=spec.name,
        location=spec.location,
        user_data=spec.user_data,
        identity=default,
        further=tuple(each for each in known if each is not default),
        tags=dict(spec.tags),
    )


def qemu_machine(spec: MachineSpec, forwards: tuple[Forward, ...]) -> QemuSpec:
    """The machine that QEMU runs, on the very disks; only the primary interface is there.

    An Azure machine has its OS disk at LUN 0 of one controller and its data disks at their LUNs on another.
    """
    disks = [_disk(spec.os_disk, lun=0, controller=OS_CONTROLLER)]
    disks += [_disk(each, lun=each.lun or 0, controller=DATA_CONTROLLER) for each in spec.data_disks]
    hardware = Hardware(_MAKER, _MODEL, spec.vm_id, spec.nics[0].mac_address if spec.nics else "")
    return QemuSpec(
        disks=tuple(disks),
        firmware=spec.firmware,
        bus="nvme" if spec.controller == "NVMe" else "virtio-scsi",
        memory_mib=min(spec.memory_mib, MEMORY_MIB),
        cpus=min(spec.cores, CORES),
        forwards=forwards,
        hardware=hardware,
        address=spec.nics[0].private_address if spec.nics else "",
    )


def disk_serial(disk: MachineDisk) -> str:
    """The serial number that a guest reads: of the disk's unique id, which its file is named by."""
    return disk.path.stem.replace("-", "")[:_SERIAL_LENGTH]


def _disk(disk: MachineDisk, *, lun: int, controller: int) -> Disk:
    return Disk(
        path=disk.path,
        format="raw",
        lun=lun,
        serial=disk_serial(disk),
        snapshot=False,
        controller=controller,
        vendor=_VENDOR,
        product=_PRODUCT,
    )
