"""Machines of either home as their drivers see them: the same questions, answered by the home that a machine is of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from localcloud.azure.driver import MachineDisk as AzureDisk
from localcloud.azure.driver import MachineSpec as AzureSpec
from localcloud.google.driver import MachineDisk as GoogleDisk
from localcloud.google.driver import MachineSpec as GoogleSpec
from localcloud.guests import azure_machine, google_machine
from localcloud.workload.marker import read_record

if TYPE_CHECKING:
    from localcloud.machines.spec import Forward
    from localcloud.machines.spec import MachineSpec as QemuSpec
    from localcloud.metadata import MachineDocument

MachineSpec: TypeAlias = AzureSpec | GoogleSpec
MachineDisk: TypeAlias = AzureDisk | GoogleDisk
_VIOLATION = "UEFI: Failed to load image.\nStatus: Security Violation.\nBdsDxe: No bootable option or device was found."


def cloud_of(spec: MachineSpec) -> Literal["azure", "google"]:
    """The home that a machine is of."""
    return "google" if isinstance(spec, GoogleSpec) else "azure"


def metadata_document(spec: MachineSpec) -> MachineDocument:
    """What the machine's metadata service says."""
    if isinstance(spec, GoogleSpec):
        return google_machine.metadata_document(spec)
    return azure_machine.metadata_document(spec)


def qemu_machine(spec: MachineSpec, forwards: tuple[Forward, ...]) -> QemuSpec:
    """The machine that QEMU runs, on the very disks."""
    if isinstance(spec, GoogleSpec):
        return google_machine.qemu_machine(spec, forwards)
    return azure_machine.qemu_machine(spec, forwards)


def unit_of(spec: MachineSpec, disk: MachineDisk) -> int | None:
    """The logical unit that a guest sees the disk at; None where its bus has none."""
    if spec.controller != "SCSI":
        return None
    return google_machine.LUN if isinstance(disk, GoogleDisk) else disk.lun


def name_of(disk: MachineDisk) -> str:
    """What a guest tells the disk by: on Google its device name, on Azure its serial number."""
    return disk.device_name if isinstance(disk, GoogleDisk) else azure_machine.disk_serial(disk)


def boot_refusal(spec: MachineSpec) -> str:
    """What firmware with Secure Boot says instead of booting; empty where it boots.

    Clients' disks aren't signed; a server's own is, by whoever made its system.
    """
    guarded = isinstance(spec, GoogleSpec) and spec.secure_boot and spec.firmware == "uefi"
    return _VIOLATION if guarded and read_record(spec.os_disk.path) is None else ""
