"""What a virtual machine's document may say: sizes, generations, security, disks, interfaces.

Source: the SDK's models of Microsoft.Compute/virtualMachines 2026-04-01 and their descriptions.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from localcloud.azure.network import NICS
from localcloud.azure.refusals import (
    ArmRefusal,
    Json,
    refuse_missing,
    refuse_state,
    refuse_unemulated,
    refuse_value,
)
from localcloud.azure.schema import BodySchema, emulated
from localcloud.azure.sizes import MachineSize, size_named

if TYPE_CHECKING:
    from localcloud.azure.disks import Disks
    from localcloud.azure.state import CloudState, Resource

DISKS = "Microsoft.Compute/disks"
# Bytes of user data before base64.
LARGEST_USER_DATA = 65536
_FIELDS = emulated(
    "location", "tags", "identity", "zones", "properties.hardwareProfile.vmSize", "properties.userData",
    "properties.{licenseType,priority,evictionPolicy}", "properties.securityProfile.encryptionAtHost",
    "properties.securityProfile.securityType", "properties.securityProfile.uefiSettings",
    "properties.diagnosticsProfile.bootDiagnostics.enabled", "properties.storageProfile.diskControllerType",
    "properties.storageProfile.osDisk.{createOption,osType,name,caching,deleteOption,diskSizeGB}",
    "properties.storageProfile.osDisk.managedDisk.{id,storageAccountType}",
    "properties.storageProfile.dataDisks.{createOption,lun,name,caching,deleteOption,diskSizeGB}",
    "properties.storageProfile.dataDisks.managedDisk.{id,storageAccountType}",
    "properties.networkProfile.networkInterfaces.id",
    "properties.networkProfile.networkInterfaces.properties.{primary,deleteOption}",
)  # fmt: skip
MACHINE = BodySchema("compute", "VirtualMachine", _FIELDS)
UPDATE = BodySchema("compute", "VirtualMachineUpdate", _FIELDS)


def fill_document(state: CloudState, document: Json) -> None:
    """Judge the document and fill in what follows from the disks it names."""
    properties = document["properties"]
    storage = properties.setdefault("storageProfile", {})
    storage.setdefault("dataDisks", [])
    size = size_named(properties.get("hardwareProfile", {}).get("vmSize") or refuse_missing("vmSize"))
    if size.restricted:
        message = f"The requested VM size '{size.name}' isn't available to this subscription in this location."
        raise ArmRefusal(409, "SkuNotAvailable", message, target="vmSize")
    disk = _os_disk(state, storage)
    _check_boot(disk, size)
    _check_controller(disk, size, storage)
    _check_security(disk, size, properties)
    _check_data_disks(state, size, storage)
    _check_zones(state, document)
    _check_premium(size, storage)
    _check_nics(state, properties)
    _check_user_data(properties)


def disk_ids(document: Json) -> list[str]:
    """The ids of all its disks, the OS disk first."""
    storage = document["properties"]["storageProfile"]
    return [each["managedDisk"]["id"] for each in (storage["osDisk"], *storage["dataDisks"])]


def nic_ids(document: Json) -> list[str]:
    """The ids of its interfaces, the primary one first."""
    nics = document["properties"]["networkProfile"]["networkInterfaces"]
    return [each["id"] for each in sorted(nics, key=lambda nic: not nic.get("properties", {}).get("primary", False))]


def check_free(state: CloudState, disks: Disks, machine_id: str, document: Json) -> None:
    """Refuse disks that are uploaded to, read from, broken or another machine's, and interfaces of another machine."""
    for disk_id in disk_ids(document):
        disk = state.referred(disk_id, DISKS, "managedDisk.id")
        owner = disk.document.get("managedBy")
        if owner and owner.lower() != machine_id.lower():
            message = f"Disk {disk.id.name} is already owned by VM {owner}."
            raise ArmRefusal(409, "AttachDiskWhileAlreadyAttached", message)
        if disk.busy or disk.properties["provisioningState"] != "Succeeded":
            refuse_state(f"Disk {disk.id.name} is in provisioning state {disk.properties['provisioningState']}.")
        if disks.state_of(disk) not in {"Unattached", "Attached", "Reserved"}:
            refuse_state(f"Disk {disk.id.name} is in state {disks.state_of(disk)}: it can't be attached.")
    for nic_id in nic_ids(document):
        nic = state.referred(nic_id, NICS, "networkInterfaces.id")
        user = nic.properties.get("virtualMachine", {}).get("id")
        if user and user.lower() != machine_id.lower():
            raise ArmRefusal(400, "NicInUse", f"Network Interface {nic.id.name} is used by existing resource {user}.")


def _os_disk(state: CloudState, storage: Json) -> Resource:
    given = storage.get("osDisk") or refuse_missing("osDisk")
    disk = _attached(state, given, "osDisk")
    kind = given.get("osType") or refuse_missing("osDisk.osType")
    if disk.properties.get("osType") != kind:
        message = f"The osType {kind} isn't that of disk {disk.id.name} ({disk.properties.get('osType')})."
        refuse_value(message, "osDisk.osType")
    return disk


def _attached(state: CloudState, given: Json, path: str) -> Resource:
    if given.get("createOption") != "Attach":
        refuse_unemulated(f"createOption {given.get('createOption')} (only Attach)", f"{path}.createOption")
    disk_id = given.get("managedDisk", {}).get("id") or refuse_missing(f"{path}.managedDisk.id")
    disk = state.referred(disk_id, DISKS, f"{path}.managedDisk.id")
    if given.setdefault("name", disk.id.name) != disk.id.name:
        raise ArmRefusal(409, "PropertyChangeNotAllowed", f"Changing property '{path}.name' is not allowed.",
                         target=f"{path}.name")  # fmt: skip
    given.setdefault("caching", "None")
    given.setdefault("deleteOption", "Detach")
    given["diskSizeGB"] = disk.properties["diskSizeGB"]
    given["managedDisk"]["storageAccountType"] = disk.document["sku"]["name"]
    return disk


def _check_boot(disk: Resource, size: MachineSize) -> None:
    generation = disk.properties.get("hyperVGeneration", "V1")
    if generation not in size.generations:
        message = f"The selected VM size '{size.name}' cannot boot Hypervisor Generation '{generation[1:]}'."
        raise ArmRefusal(400, "BadRequest", message)
    architecture = disk.properties.get("supportedCapabilities", {}).get("architecture", "x64")
    if architecture != size.architecture:
        message = f"Disk {disk.id.name} is for {architecture}, the VM size '{size.name}' is {size.architecture}."
        raise ArmRefusal(400, "BadRequest", message)


def _check_controller(disk: Resource, size: MachineSize, storage: Json) -> None:
    controller = storage.setdefault("diskControllerType", size.controllers[0])
    if controller not in size.controllers:
        message = f"The VM size '{size.name}' has no disk controller of type '{controller}'."
        refuse_value(message, "storageProfile.diskControllerType")
    able = disk.properties.get("supportedCapabilities", {}).get("diskControllerTypes", "SCSI")
    if controller == "NVMe" and (disk.properties.get("hyperVGeneration") != "V2" or "NVMe" not in able):
        message = (
            f"Disk {disk.id.name} can't boot from an NVMe controller: it has to be generation V2 and support NVMe."
        )
        refuse_value(message, "storageProfile.diskControllerType")


def _check_security(disk: Resource, size: MachineSize, properties: Json) -> None:
    profile = properties.setdefault("securityProfile", {})
    kind = profile.setdefault("securityType", "Standard")
    of_disk = disk.properties.get("securityProfile", {}).get("securityType", "Standard")
    if kind not in {"Standard", "TrustedLaunch"}:
        refuse_unemulated(f"securityType {kind}", "securityProfile.securityType")
    if kind == "Standard" and "uefiSettings" in profile:
        message = "Use of UEFI settings is not supported with securityType Standard."
        raise ArmRefusal(400, "BadRequest", message, target="securityProfile.uefiSettings")
    if kind != of_disk:
        message = f"The security type {kind} isn't that of the OS disk {disk.id.name} ({of_disk})."
        raise ArmRefusal(400, "BadRequest", message, target="securityProfile.securityType")
    if kind == "TrustedLaunch":
        if not size.trusted_launch:
            message = f"The VM size '{size.name}' is not supported for Trusted Launch."
            raise ArmRefusal(400, "BadRequest", message, target="securityProfile.securityType")
        profile["uefiSettings"] = {"secureBootEnabled": False, "vTpmEnabled": True} | profile.get("uefiSettings", {})


def _check_data_disks(state: CloudState, size: MachineSize, storage: Json) -> None:
    disks, luns = storage["dataDisks"], set()
    if len(disks) > size.most_data_disks:
        message = f"The VM size '{size.name}' takes at most {size.most_data_disks} data disks."
        raise ArmRefusal(409, "OperationNotAllowed", message)
    ids = [storage["osDisk"]["managedDisk"]["id"].lower()]
    for index, each in enumerate(disks):
        path = f"dataDisks[{index}]"
        _attached(state, each, path)
        lun = each.get("lun", -1)
        if not 0 <= lun < 64 or lun in luns:
            refuse_value(f"The lun {lun} of {path} is missing, used twice or isn't from 0 to 63.", f"{path}.lun")
        luns.add(lun)
        ids.append(each["managedDisk"]["id"].lower())
    if len(set(ids)) < len(ids):
        raise ArmRefusal(409, "AttachDiskWhileAlreadyAttached", "The same disk is named twice.")


def _check_zones(state: CloudState, document: Json) -> None:
    """A zonal machine takes disks of its zone and zone-redundant ones, another one no zonal disk."""
    for disk_id in disk_ids(document):
        disk = state.referred(disk_id, DISKS, "managedDisk.id")
        redundant = disk.document["sku"]["name"].endswith("_ZRS")
        if not redundant and disk.document.get("zones") != document.get("zones"):
            message = f"Disk {disk.id.name} isn't in the zone of the VM: it can't be attached to it."
            raise ArmRefusal(400, "BadRequest", message, target="zones")


def _check_premium(size: MachineSize, storage: Json) -> None:
    for each in (storage["osDisk"], *storage["dataDisks"]):
        kind = each["managedDisk"]["storageAccountType"]
        if kind.startswith("Premium") and not size.premium:
            message = (
                f"Requested operation cannot be performed because the VM size {size.name} does not support the storage "
                f"account type {kind} of disk '{each['name']}'."
            )
            refuse_value(message, "storageAccountType")


def _check_nics(state: CloudState, properties: Json) -> None:
    nics = properties.get("networkProfile", {}).get("networkInterfaces") or refuse_missing("networkInterfaces")
    primary = [each for each in nics if each.get("properties", {}).get("primary", len(nics) == 1)]
    if len(primary) != 1:
        refuse_value("Exactly one network interface has to be primary.", "networkInterfaces.primary")
    for each in nics:
        state.referred(each.get("id") or refuse_missing("networkInterfaces.id"), NICS, "networkInterfaces.id")
        each.setdefault("properties", {}).setdefault("deleteOption", "Detach")
        each["properties"].setdefault("primary", each is primary[0])


def _check_user_data(properties: Json) -> None:
    text = properties.get("userData")
    if text is None:
        return
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        refuse_value("User data has to be base64.", "userData")
    if len(data) > LARGEST_USER_DATA:
        refuse_value(f"User data has at most {LARGEST_USER_DATA} bytes.", "userData")
