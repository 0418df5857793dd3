"""What an instance's document may say of machine type, network, metadata, service account, security and scheduling.

Source: the description of Instance in the SDK's messages and users' reports of the refusals.

Unconfirmed: that a machine which boots by BIOS may name shielded options that are off.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

from localcloud.google.addresses import check_address, free_address
from localcloud.google.catalog import machine_type_of
from localcloud.google.disk_build import features_of
from localcloud.google.labels import fingerprint
from localcloud.google.refusals import (
    GoogleRefusal,
    Json,
    refuse_missing,
    refuse_unemulated,
    refuse_value,
)
from localcloud.google.schema import BodySchema, emulated
from localcloud.google.state import ResourceId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.google.catalog import MachineType
    from localcloud.google.state import CloudState, Resource

INSTANCE = BodySchema(
    "Instance",
    emulated(
        "name", "description", "machineType", "labels", "canIpForward", "deletionProtection", "tags.items",
        "metadata.items.{key,value}", "serviceAccounts.{email,scopes}",
        "scheduling.{onHostMaintenance,automaticRestart,preemptible,provisioningModel}",
        "shieldedInstanceConfig.{enableSecureBoot,enableVtpm,enableIntegrityMonitoring}",
        "networkInterfaces.{network,subnetwork,networkIP,nicType,stackType}",
        "networkInterfaces.accessConfigs.{type,name,networkTier}",
        "disks.{boot,autoDelete,deviceName,mode,interface,type,source,diskSizeGb}", "disks.guestOsFeatures.type",
        "disks.initializeParams.{diskName,diskSizeGb,diskType,sourceImage,sourceSnapshot,labels,description}",
        "disks.initializeParams.{architecture,licenses}",
    ),
)  # fmt: skip
SHIELDED = ("enableSecureBoot", "enableVtpm", "enableIntegrityMonitoring")
LARGEST_VALUE, LARGEST_METADATA = 256 << 10, 512 << 10
"""Bytes of one metadata value, and of all of an instance's together."""
_KEY = re.compile(r"[a-zA-Z0-9-_]{1,128}")
_TAG = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_SCHEDULING: Json = {"onHostMaintenance": "MIGRATE", "automaticRestart": True, "preemptible": False,
                     "provisioningModel": "STANDARD"}  # fmt: skip


def filled_metadata(metadata: Json, field: str = "resource.metadata") -> Json:
    """Metadata as an instance shows it, with its fingerprint."""
    items = [{"key": each.get("key", ""), "value": each.get("value", "")} for each in metadata.get("items", ())]
    keys = [each["key"] for each in items]
    for index, each in enumerate(items):
        if _KEY.fullmatch(each["key"]) is None:
            refuse_value(f"{field}.items[{index}].key", each["key"], f"Must be a match of regex '{_KEY.pattern}'")
        if len(each["value"].encode()) > LARGEST_VALUE:
            refuse_value(f"{field}.items[{index}].value", "...", f"It has more than {LARGEST_VALUE} bytes.")
    if len(set(keys)) < len(keys):
        refuse_value(f"{field}.items", ", ".join(keys), "Metadata has duplicate keys.")
    if sum(len(text.encode()) for each in items for text in each.values()) > LARGEST_METADATA:
        refuse_value(f"{field}.items", "...", f"Metadata has more than {LARGEST_METADATA} bytes.")
    return {"kind": "compute#metadata", "fingerprint": fingerprint(items)} | ({"items": items} if items else {})


def filled_tags(tags: Json, field: str = "resource.tags") -> Json:
    """Network tags as an instance shows them, with their fingerprint."""
    items = list(tags.get("items", ()))
    for index, each in enumerate(items):
        if _TAG.fullmatch(each) is None:
            refuse_value(f"{field}.items[{index}]", each, f"Must be a match of regex '{_TAG.pattern}'")
    return {"fingerprint": fingerprint(items)} | ({"items": items} if items else {})


def filled_scheduling(scheduling: Json) -> Json:
    """Scheduling with its defaults."""
    if scheduling.get("preemptible") or scheduling.get("provisioningModel", "STANDARD") != "STANDARD":
        refuse_unemulated("resource.scheduling.provisioningModel", "machines that may be taken away")
    return _SCHEDULING | scheduling


def checked_accounts(accounts: list[Json], known: Mapping[str, str], default: str) -> list[Json]:
    """The service account of an instance, at most one; `default` is whom the e-mail address `default` means."""
    field = "resource.serviceAccounts"
    if len(accounts) > 1:
        refuse_value(field, len(accounts), "At most one service account may be given.")
    result = []
    for each in accounts:
        email = each.get("email") or refuse_missing(f"{field}[0].email")
        email = default if email == "default" else email
        if email not in known:
            raise GoogleRefusal(404, "notFound", f"The resource '{email}' of type 'serviceAccount' was not found.")
        result.append({"email": email, "scopes": list(each.get("scopes", ()))})
    return result


def filled_shield(config: Json, boot: Resource, field: str = "resource.shieldedInstanceConfig") -> Json:
    """The shielded options with their defaults, which only a machine that boots by UEFI has."""
    uefi = "UEFI_COMPATIBLE" in features_of(boot)
    if not uefi and any(config.get(name) for name in SHIELDED):
        refuse_value(field, config, "Shielded VM Config can only be set when using a UEFI-compatible disk.")
    result = {"enableSecureBoot": False, "enableVtpm": uefi, "enableIntegrityMonitoring": uefi} | config
    if result["enableIntegrityMonitoring"] and not result["enableVtpm"]:
        refuse_value(f"{field}.enableIntegrityMonitoring", True, "Integrity monitoring needs a virtual TPM.")
    return result


def chosen_type(state: CloudState, body: Json, scope: str, field: str = "resource.machineType") -> MachineType:
    """The machine type that a body names."""
    return machine_type_of(body.get("machineType") or refuse_missing(field), state, scope, field)


def check_boot(kind: MachineType, boot: Resource, nics: list[Json]) -> None:
    """Refuse a boot disk that this type of machine can't start, or that lacks what its interfaces need."""
    series, features = kind.series, features_of(boot)
    architecture = boot.document.get("architecture", "X86_64")
    if architecture != series.architecture:
        why = f"The machine type has architecture {series.architecture}, the disk '{boot.id.name}' {architecture}."
        refuse_value("resource.machineType", kind.name, why)
    if series.uefi_only and "UEFI_COMPATIBLE" not in features:
        why = f"It needs a boot disk with UEFI_COMPATIBLE; '{boot.id.name}' isn't one."
        refuse_value("resource.machineType", kind.name, why)
    for index, nic in enumerate(nics):
        wanted = nic.get("nicType", series.nic_types[0])
        if wanted not in series.nic_types:
            refuse_value(f"resource.networkInterfaces[{index}].nicType", wanted, f"{kind.name} hasn't such interfaces.")
        if wanted == "GVNIC" and "GVNIC" not in features:
            why = "NetworkInterface NicType can only be set to GVNIC on instances with GVNIC GuestOsFeature."
            refuse_value(f"resource.networkInterfaces[{index}].nicType", wanted, why)


def filled_nics(state: CloudState, nics: list[Json], region: str) -> list[Json]:
    """The interfaces with their networks and addresses."""
    if not nics:
        refuse_value("resource.networkInterfaces", "", "At least one network interface is required.")
    if len(nics) > 1:
        refuse_unemulated("resource.networkInterfaces[1]", "several network interfaces")
    return [_filled_nic(state, nic, index, region) for index, nic in enumerate(nics)]


def give_public_addresses(nics: list[Json]) -> None:
    """Ephemeral external addresses: new ones with every start. They're of a net for documentation (RFC 5737)."""
    for nic in nics:
        for each in nic.get("accessConfigs", ()):
            each["natIP"] = f"203.0.113.{random.randint(1, 254)}"


def take_public_addresses(nics: list[Json]) -> None:
    """A machine that's off has none."""
    for nic in nics:
        for each in nic.get("accessConfigs", ()):
            each.pop("natIP", None)


def _filled_nic(state: CloudState, nic: Json, index: int, region: str) -> Json:
    field = f"resource.networkInterfaces[{index}]"
    url = nic.get("subnetwork") or refuse_missing(f"{field}.subnetwork")
    subnetwork = state.referred(url, "subnetworks", f"{field}.subnetwork", scope=f"regions/{region}")
    network = subnetwork.document["network"]
    if nic.get("network") and state.place(nic["network"], "networks", f"{field}.network").link != network:
        refuse_value(f"{field}.network", nic["network"], f"The subnetwork '{subnetwork}' isn't in it.")
    if nic.get("stackType", "IPV4_ONLY") != "IPV4_ONLY":
        refuse_unemulated(f"{field}.stackType", "IPv6")
    asked = nic.get("networkIP")
    address = (
        check_address(state, subnetwork, asked, f"{field}.networkIP", reserved_fits=True)
        if asked
        else free_address(state, subnetwork)
    )
    result: Json = {"kind": "compute#networkInterface", "name": f"nic{index}", "network": network,
                    "subnetwork": subnetwork.link, "networkIP": address, "stackType": "IPV4_ONLY",
                    "fingerprint": fingerprint([address, subnetwork.link])}  # fmt: skip
    result |= {"nicType": nic["nicType"]} if "nicType" in nic else {}
    configs = [_access(each, f"{field}.accessConfigs[{at}]") for at, each in enumerate(nic.get("accessConfigs", ()))]
    if len(configs) > 1:
        refuse_value(f"{field}.accessConfigs", len(configs), "At most one access config is supported.")
    return result | ({"accessConfigs": configs} if configs else {})


def _access(config: Json, field: str) -> Json:
    if config.get("type", "ONE_TO_ONE_NAT") != "ONE_TO_ONE_NAT":
        refuse_value(f"{field}.type", config["type"], "For IPv4 it's ONE_TO_ONE_NAT.")
    return {"kind": "compute#accessConfig", "type": "ONE_TO_ONE_NAT", "name": "External NAT",
            "networkTier": "PREMIUM"} | config  # fmt: skip


def instance_path(project: str, scope: str, name: str) -> ResourceId:
    """An instance's place."""
    return ResourceId(project, scope, "instances", name)
