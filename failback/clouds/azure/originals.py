"""Reads a machine that's to be taken over: its disks, its address, and what's in the way of exchanging them.

Why Trusted Launch, encryption by the guest and ephemeral disks are barriers: "Swap the OS disk" of Azure's
documentation of disks, and the error OSDiskSwapNotSupportedForVMsUsingDiskEncryption.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from failback.clouds.azure.machine_look import look_at, word_of
from failback.clouds.azure.variants import GENERATIONS, OS_TYPES
from failback.model.original import Original, OriginalDisk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azure.mgmt.compute.models import Disk

    from failback.clouds.azure.machine_look import Machine
    from failback.clouds.azure.place import AzurePlace
    from failback.model.guest import GuestOs
    from failback.model.recovery import Firmware

_ENCRYPTING = frozenset({"azurediskencryption", "azurediskencryptionforlinux"})
_FIRMWARES: dict[str, Firmware] = {word: firmware for firmware, word in GENERATIONS.items()}
_SYSTEMS: dict[str, GuestOs] = {word: os for os, word in OS_TYPES.items()}


def read_original(place: AzurePlace, name: str) -> Original | None:
    """The machine as it stands now."""
    machine = look_at(place, name)
    if machine is None:
        return None
    storage = machine.properties.get("storageProfile") or {}
    attached = [storage.get("osDisk") or {}, *(storage.get("dataDisks") or [])]
    disks = [place.disk_by_id(_disk_id(each)) if _disk_id(each) else None for each in attached]
    boot = disks[0]
    generation = (word_of(boot.hyper_v_generation) if boot else "") or machine.generation
    barriers = [*barriers_of(machine, disks), *unmanaged_of(attached)]
    return Original(
        name=str(machine.document["name"]),
        id=str(machine.document["id"]),
        os=_SYSTEMS.get(str(attached[0].get("osType") or ""), "linux"),
        firmware=_FIRMWARES.get(generation, "bios"),
        running=machine.runs,
        address=address_of(place, machine),
        size=str((machine.properties.get("hardwareProfile") or {}).get("vmSize") or ""),
        zone=next(iter(machine.document.get("zones") or []), ""),
        disks=tuple(_original_disk(each, disk) for each, disk in zip(attached, disks, strict=True)),
        obstacles=tuple([*obstacles_of(machine), *barriers]),
        barriers=tuple(barriers),
        document=dict(machine.document),
    )


def address_of(place: AzurePlace, machine: Machine) -> str:
    """The private address of its primary interface."""
    held = (machine.properties.get("networkProfile") or {}).get("networkInterfaces") or []
    primary = [each for each in held if (each.get("properties") or {}).get("primary")] or held
    interface = place.interface_by_id(str(primary[0]["id"])) if primary else None
    configurations = (interface.ip_configurations or []) if interface else []
    return next((each.private_ip_address for each in configurations if each.private_ip_address), "")


def _original_disk(attached: Mapping[str, Any], disk: Disk | None) -> OriginalDisk:
    return OriginalDisk(
        name=str(disk.name if disk else attached.get("name") or ""),
        id=str(disk.id if disk else _disk_id(attached)),
        size_gib=int((disk.disk_size_gb if disk else attached.get("diskSizeGB")) or 0),
        lun=attached.get("lun"),
        sku=word_of(disk.sku.name) if disk and disk.sku else "",
        caching=str(attached.get("caching") or ""),
    )


def _disk_id(attached: Mapping[str, Any]) -> str:
    return str((attached.get("managedDisk") or {}).get("id") or "")


def obstacles_of(machine: Machine) -> Iterator[str]:
    storage = machine.properties.get("storageProfile") or {}
    if storage.get("diskControllerType") == "NVMe":
        yield "its disks are at an NVMe controller, and the client is started from a SCSI disk"


def barriers_of(machine: Machine, disks: list[Disk | None]) -> Iterator[str]:
    properties = machine.properties
    security = (properties.get("securityProfile") or {}).get("securityType") or "Standard"
    if security != "Standard":
        yield f"its security type is {security}, and Azure takes no disk of another type into it"
    boot = (properties.get("storageProfile") or {}).get("osDisk") or {}
    if boot.get("diffDiskSettings"):
        yield "its OS disk is ephemeral: it's on the host itself, and can't be exchanged or copied"
    if _is_encrypted(machine, boot, disks):
        yield (
            "its disks are encrypted by the guest (Azure Disk Encryption), so Azure exchanges no OS disk in it; "
            "decrypt them there, or take a new machine"
        )
    if properties.get("virtualMachineScaleSet"):
        yield "it belongs to a scale set, which may replace it while it's off"


def _is_encrypted(machine: Machine, boot: Mapping[str, Any], disks: list[Disk | None]) -> bool:
    extensions = [(each.get("properties") or {}).get("type") for each in machine.document.get("resources") or []]
    if any(str(each).lower() in _ENCRYPTING for each in extensions):
        return True
    settings = [disk.encryption_settings_collection for disk in disks if disk]
    return bool((boot.get("encryptionSettings") or {}).get("enabled")) or any(
        each and each.enabled for each in settings
    )


def unmanaged_of(attached: list[Mapping[str, Any]]) -> Iterator[str]:
    names = [str(each.get("name")) for each in attached if not _disk_id(each) and not each.get("diffDiskSettings")]
    if names:
        yield f"not all of its disks are managed ones ({', '.join(names)}); convert them (az vm convert) before"
