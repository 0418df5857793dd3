"""The disks of an instance: those that it begins with, and attaching and detaching.

Source: the description of AttachedDisk in the SDK's messages, and users' reports of the refusals. What a real machine
takes while it runs and this emulator's can't (hot-plugged disks) is refused by name.

Unconfirmed: which name a device gets that nobody names, and the refusal of a second boot disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.google.disk_build import Words, discard, features_of, new_disk
from localcloud.google.disks import check_unused
from localcloud.google.refusals import (
    GoogleRefusal,
    Json,
    refuse_missing,
    refuse_unemulated,
    refuse_usage,
    refuse_value,
)
from localcloud.google.schema import BodySchema, checked_name, emulated
from localcloud.google.state import ResourceId, check_ready

if TYPE_CHECKING:
    from localcloud.google.catalog import MachineType
    from localcloud.google.places import Quotas
    from localcloud.google.state import CloudState, Resource

ATTACHED = BodySchema(
    "AttachedDisk", emulated("boot", "autoDelete", "deviceName", "mode", "interface", "type", "source", "diskSizeGb")
)
_DEVICE_NAME_MOST = 63


@dataclass(slots=True)
class DiskRack:
    """Builds and judges the lists of attached disks."""

    state: CloudState
    quotas: Quotas

    def first(self, disks: list[Json], place: ResourceId, kind: MachineType) -> tuple[list[Json], list[Resource]]:
        """The disks of an instance that's being made, and those of them that are made with it and aren't known yet."""
        if not disks:
            refuse_value("resource.disks", "", "At least one disk, to boot from, has to be given.")
        entries: list[Json] = []
        made: list[Resource] = []
        try:
            for index, given in enumerate(disks):
                field = f"resource.disks[{index}]"
                disk = self._first(given, place, index, made)
                entries.append(self.entry(given, disk, entries, kind, field))
            self.check_limits(entries, kind)
        except GoogleRefusal:
            for disk in made:
                discard(self.state, disk)
            raise
        return entries, made

    def add(self, instance: Resource, given: Json, kind: MachineType) -> Json:
        """One more disk of an instance: its entry; refuses what can't be attached."""
        if not given.get("source"):
            refuse_missing("resource.source")
        disk = self._existing(given, instance.id.scope, "resource")
        entries = instance.document["disks"]
        if given.get("boot") and any(each["boot"] for each in entries):
            refuse_usage(f"The instance '{instance.id.name}' already has a boot disk; detach it first.")
        entry = self.entry(given, disk, entries, kind, "resource")
        self.check_limits([*entries, entry], kind)
        return entry

    def entry(self, given: Json, disk: Resource, others: list[Json], kind: MachineType, field: str) -> Json:
        """An attached disk as an instance shows it."""
        if given.get("type", "PERSISTENT") != "PERSISTENT":
            refuse_unemulated(f"{field}.type", "scratch disks")
        if given.get("mode", "READ_WRITE") != "READ_WRITE":
            refuse_unemulated(f"{field}.mode", "disks that are only read")
        bus = given.get("interface", kind.series.bus)
        if bus != kind.series.bus:
            refuse_value(f"{field}.interface", bus, f"Persistent disks of {kind.name} are {kind.series.bus}.")
        name = disk.document["type"].rpartition("/")[2]
        if name not in kind.series.disk_types:
            refuse_value(f"{field}.source", disk.link, f"{name} disk type cannot be used by {kind.name} machine type.")
        if int(given.get("diskSizeGb") or disk.document["sizeGb"]) != int(disk.document["sizeGb"]):
            refuse_value(f"{field}.diskSizeGb", given["diskSizeGb"], f"The disk has {disk.document['sizeGb']} GB.")
        boot = bool(given.get("boot", False))
        taken = {each["index"] for each in others}
        index = 0 if boot else next(number for number in range(1, len(taken) + 2) if number not in taken)
        device = given.get("deviceName") or f"persistent-disk-{index}"
        if len(device) > _DEVICE_NAME_MOST or device in [each["deviceName"] for each in others]:
            refuse_value(f"{field}.deviceName", device, "It's too long, or another disk's.")
        features = [{"type": each} for each in sorted(features_of(disk))]
        result: Json = {"kind": "compute#attachedDisk", "type": "PERSISTENT", "mode": "READ_WRITE", "interface": bus,
                        "source": disk.link, "deviceName": device, "index": index, "boot": boot,
                        "autoDelete": bool(given.get("autoDelete", False)),
                        "diskSizeGb": disk.document["sizeGb"]}  # fmt: skip
        result |= {"guestOsFeatures": features} if features else {}
        return result | {key: disk.document[key] for key in ("architecture", "licenses") if key in disk.document}

    def check_limits(self, entries: list[Json], kind: MachineType) -> None:
        """Refuse more disks, or more gigabytes, than the machine type takes, and a disk that's named twice."""
        if len({each["source"] for each in entries}) < len(entries):
            refuse_value("resource.disks", len(entries), "The same disk is named twice.")
        if len(entries) > kind.most_disks:
            refuse_value("resource.disks", len(entries), f"{kind.name} takes at most {kind.most_disks} disks.")
        total = sum(int(each["diskSizeGb"]) for each in entries)
        if total > kind.most_gigabytes:
            refuse_value("resource.disks", f"{total} GB", f"{kind.name} takes at most {kind.most_gigabytes} GB.")

    def _first(self, given: Json, place: ResourceId, index: int, made: list[Resource]) -> Resource:
        field = f"resource.disks[{index}]"
        if given.get("boot", False) != (index == 0):
            refuse_value(field, given, "Boot disk must be the first disk attached to the instance.")
        if bool(given.get("source")) == bool(given.get("initializeParams")):
            refuse_value(field, given, "Exactly one of source and initializeParams has to be given.")
        if given.get("source"):
            return self._existing(given, place.scope, field)
        made.append(self._new(given, place, index, field))
        return made[-1]

    def _existing(self, given: Json, scope: str, field: str) -> Resource:
        disk = self.state.referred(given["source"], "disks", f"{field}.source", scope=scope)
        check_unused(self.state, disk)
        if "guestOsFeatures" in given:
            refuse_value(f"{field}.guestOsFeatures", "", "They're a disk's from when it's made.")
        return check_ready(disk)

    def _new(self, given: Json, place: ResourceId, index: int, field: str) -> Resource:
        params = given["initializeParams"]
        usual = place.name if index == 0 else f"{place.name}-{index}"
        name = checked_name(params.get("diskName") or usual, f"{field}.initializeParams.diskName")
        body = {key: value for key, value in params.items() if key not in ("diskName", "diskSizeGb", "diskType")}
        body |= {"guestOsFeatures": given.get("guestOsFeatures", [])}
        size = params.get("diskSizeGb") or given.get("diskSizeGb")
        body |= ({"sizeGb": size} if size else {}) | ({"type": params["diskType"]} if params.get("diskType") else {})
        words = Words(f"{field}.initializeParams", "diskSizeGb", "diskType")
        return new_disk(
            self.state, self.quotas, ResourceId(place.project, place.scope, "disks", name), body, words=words
        )


def attached_named(instance: Resource, device: str) -> Json:
    """The instance's disk of this device name."""
    for each in instance.document["disks"]:
        if each["deviceName"] == device:
            found: Json = each
            return found
    return refuse_value("deviceName", device, "No attached disk found with device name.")
