"""How a managed disk begins: its document and its file, from nothing, for an upload, or as a copy."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from failback.sinks.vhd import FOOTER_SIZE
from localcloud.azure.clock import azure_time
from localcloud.azure.refusals import Json, refuse_missing, refuse_state, refuse_unemulated, refuse_value
from localcloud.azure.schema import BodySchema, emulated
from localcloud.azure.state import Resource, ResourceId
from localcloud.sparse_files import copy_sparse, create_sparse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from localcloud.azure.state import CloudState

MIB, GIB = 1 << 20, 1 << 30
# 20 MiB and 32 TiB, each with the footer.
SMALLEST_UPLOAD, LARGEST_UPLOAD = 20972032, 35183298347520
# 32 TiB less one GiB: the largest empty disk.
LARGEST_DISK_GB = 32767
DISK = BodySchema(
    "compute",
    "Disk",
    emulated(
        "location", "tags", "zones", "sku.name", "properties.supportedCapabilities",
        "properties.securityProfile.securityType",
        "properties.{osType,hyperVGeneration,diskSizeGB,networkAccessPolicy,publicNetworkAccess}",
        "properties.encryption.type",
        "properties.creationData.{createOption,sourceResourceId,uploadSizeBytes}",
    ),
)  # fmt: skip
SKUS = ("Standard_LRS", "Premium_LRS", "StandardSSD_LRS", "Premium_ZRS", "StandardSSD_ZRS", "Standard_ZRS")
# What a copy has from its source, unless its own body says so.
INHERITED = ("osType", "hyperVGeneration", "securityProfile", "supportedCapabilities")
_PLATFORM_KEY = {"type": "EncryptionAtRestWithPlatformKey"}
_SOURCES = ("microsoft.compute/snapshots", "microsoft.compute/disks")


def new_disk(state: CloudState, disk_id: ResourceId, body: Json, *, copy_keeps: bool = False) -> Resource:
    """The disk that the body asks for, with its file; `copy_keeps`: a copy has its source's kind and generation."""
    properties = body.get("properties", {})
    option = properties.get("creationData", {}).get("createOption")
    if option is None:
        refuse_missing("creationData.createOption")
    disk = new_resource(state, disk_id, body, folder="disks")
    disk.hidden["upload"] = "pending" if option == "Upload" else None
    path = state.folder / disk.hidden["file"]
    if option == "Empty":
        size = _size_gb(properties) * GIB
        create_sparse(path, size)
    elif option == "Upload":
        size = _upload_size(properties)
        create_sparse(path, size + FOOTER_SIZE)
    elif option == "Copy":
        source = copy_source(state, properties["creationData"], body["location"], _SOURCES)
        inherit(disk.properties, source.properties, strict=copy_keeps)
        size = _copy_size(properties, source.hidden["size"])
        check_security(disk.properties)
        copy_sparse(state.folder / source.hidden["file"], path, size=size)
    else:
        refuse_unemulated(f"createOption {option}", "creationData.createOption")
    set_size(disk, size)
    return disk


def new_resource(state: CloudState, resource_id: ResourceId, body: Json, *, folder: str) -> Resource:
    """A disk or snapshot as its body says, still without a size."""
    if not body.get("location"):
        refuse_missing("location")
    sku = body.get("sku", {}).get("name", "Standard_LRS")
    if sku not in SKUS:
        refuse_unemulated(f"SKU {sku}", "sku.name")
    properties = dict(body.get("properties", {}))
    if properties.get("networkAccessPolicy") == "AllowPrivate":
        refuse_unemulated("networkAccessPolicy AllowPrivate", "networkAccessPolicy")
    if properties.get("encryption", _PLATFORM_KEY) != _PLATFORM_KEY:
        refuse_unemulated("encryption by customers' keys", "encryption.type")
    check_security(properties)
    unique = str(uuid.uuid4())
    defaults = {"networkAccessPolicy": "AllowAll", "publicNetworkAccess": "Enabled"}
    made = {"uniqueId": unique, "timeCreated": azure_time(state.clock.now()), "provisioningState": "Creating",
            "encryption": _PLATFORM_KEY}  # fmt: skip
    document: Json = {
        "id": str(resource_id), "name": resource_id.name, "type": resource_id.type, "location": body["location"],
        "tags": body.get("tags", {}), "sku": {"name": sku, "tier": sku.partition("_")[0]},
        "properties": defaults | properties | made,
    }  # fmt: skip
    document |= {name: body[name] for name in ("zones",) if body.get(name)}
    return Resource(resource_id, document, {"file": f"{folder}/{unique}.raw"})


def set_size(resource: Resource, size: int) -> None:
    """Note the size in bytes (without a footer), and what Azure shows of it."""
    resource.hidden["size"] = size
    resource.properties.update({"diskSizeBytes": size, "diskSizeGB": -(-size // GIB)})


def copy_source(state: CloudState, creation: Json, location: str, kinds: Iterable[str]) -> Resource:
    """The disk or snapshot to copy from: there, whole, and in the same place."""
    target = "creationData.sourceResourceId"
    source_id = creation.get("sourceResourceId")
    if not source_id:
        refuse_missing(target)
    source = state.find(source_id)
    kind = source.id.type if source and source.id.type.lower() in kinds else "Microsoft.Compute/disks"
    source = state.referred(source_id, kind, target)
    if source.document["location"] != location:
        refuse_value(f"The source is in {source.document['location']}, not in {location}.", target)
    if source.busy or source.hidden["upload"] is not None or source.properties["provisioningState"] != "Succeeded":
        refuse_state(f"'{source.id.name}' isn't whole (or still awaits its upload): it can't be copied.")
    return source


def inherit(properties: Json, source: Json, *, strict: bool) -> None:
    """Fill in from the source what the copy doesn't say itself; `strict`: it can't say otherwise."""
    for name in INHERITED:
        if name in source:
            properties.setdefault(name, source[name])
    for name, what in (("hyperVGeneration", "generation"), ("osType", "kind of system")):
        if strict and name in source and properties[name] != source[name]:
            refuse_value(f"A copy has the {what} of its source.", name)


def check_security(properties: Json) -> None:
    """Trusted Launch is for disks of generation 2 that hold a system."""
    security = properties.get("securityProfile", {}).get("securityType")
    if security is None:
        return
    if security != "TrustedLaunch":
        refuse_unemulated(f"securityType {security}", "securityProfile.securityType")
    if properties.get("hyperVGeneration") != "V2" or not properties.get("osType"):
        message = "Security type TrustedLaunch needs an osType and hyperVGeneration V2."
        refuse_value(message, "securityProfile.securityType")


def _size_gb(properties: Json) -> int:
    gigabytes = properties.get("diskSizeGB")
    if gigabytes is None:
        refuse_missing("disk.diskSizeGB")
    if not 1 <= gigabytes <= LARGEST_DISK_GB:
        refuse_value(f"'diskSizeGB' has to be from 1 to {LARGEST_DISK_GB}.", "disk.diskSizeGB")
    return int(gigabytes)


def _upload_size(properties: Json) -> int:
    target = "creationData.uploadSizeBytes"
    size = properties["creationData"].get("uploadSizeBytes")
    if size is None:
        refuse_missing(target)
    if "diskSizeGB" in properties:
        refuse_value("The size of an uploaded disk follows from uploadSizeBytes.", "disk.diskSizeGB")
    if not SMALLEST_UPLOAD <= size <= LARGEST_UPLOAD:
        refuse_value(f"'{target}' has to be from {SMALLEST_UPLOAD} to {LARGEST_UPLOAD}.", target)
    if (size - FOOTER_SIZE) % MIB:
        refuse_value(f"'{target}' has to be whole MiB and the footer of {FOOTER_SIZE} bytes.", target)
    return int(size) - FOOTER_SIZE


def _copy_size(properties: Json, source: int) -> int:
    if "diskSizeGB" not in properties:
        return source
    size = _size_gb(properties) * GIB
    if size < source:
        refuse_value("'diskSizeGB' is smaller than the source.", "disk.diskSizeGB")
    return size
