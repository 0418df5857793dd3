"""A machine in Azure as a whole: its document as ARM gives it, whether it runs, and what of it is compared.

Source: the SDK's models of Microsoft.Compute/virtualMachines 2026-04-01. User data is only shown when it's asked for.

Unconfirmed: that a deallocated machine's document has neither its disks' sizes nor their kinds, so both are left out of
what's compared, like all that the service alone writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from failback.clouds.azure.place import found

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.clouds.azure.place import AzurePlace

CHANGING = frozenset({"Creating", "Updating", "Deleting", "Migrating"})
DEALLOCATED = "PowerState/deallocated"
UP = frozenset({"PowerState/running", "PowerState/starting"})
MADE_BY_AZURE = frozenset({"provisioningState", "timeCreated", "instanceView"})
"""Members of a document's properties that tell of the moment, not of the machine."""
PARTS = ("id", "name", "location", "zones", "plan", "extendedLocation")
"""Members beside the properties that are compared as they are; tags and identity are too."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine's document with its user data, its power state (empty where the service says none), its generation.

    `agent` is the SDK's model of what its guest's agent says.
    """

    document: Mapping[str, Any]
    power: str
    generation: str = ""
    agent: Any = None

    @property
    def properties(self) -> Mapping[str, Any]:
        properties: Mapping[str, Any] = self.document.get("properties") or {}
        return properties

    @property
    def changing(self) -> bool:
        """Whether something is being done to it."""
        return self.properties.get("provisioningState") in CHANGING

    @property
    def runs(self) -> bool:
        return self.power in UP

    @property
    def tags(self) -> Mapping[str, str]:
        tags: Mapping[str, str] = self.document.get("tags") or {}
        return tags


def word_of(value: object) -> str:
    """One of the SDK's words: a member of an enumeration, whose own text isn't the word, or the word itself."""
    return str(getattr(value, "value", value) or "")


def look_at(place: AzurePlace, name: str, *, group: str = "") -> Machine | None:
    """The machine, in the target's group if no other is named; None if there's none."""
    machines, group = place.compute.virtual_machines, group or place.group
    machine = found(lambda: machines.get(group, name, expand="userData"))
    view = found(lambda: machines.instance_view(group, name)) if machine else None
    if machine is None or view is None:
        return None
    codes = [str(status.code) for status in view.statuses or []]
    power = next((code for code in codes if code.startswith("PowerState/")), "")
    return Machine(machine.as_dict(), power, word_of(view.hyper_v_generation), view.vm_agent)


def standing(document: Mapping[str, Any]) -> dict[str, Any]:
    """What of a document is the same before a machine is taken over and after it's restored.

    Left out: power and provisioning, times, extensions' states, and how a data disk came to be attached.
    """
    properties = {name: value for name, value in (document.get("properties") or {}).items()
                  if name not in MADE_BY_AZURE}  # fmt: skip
    storage = dict(properties.get("storageProfile") or {})
    storage["osDisk"] = slot(storage.get("osDisk") or {})
    storage["dataDisks"] = {each["lun"]: slot(each) for each in storage.get("dataDisks") or []}
    properties |= {"storageProfile": storage, "userData": properties.get("userData") or ""}
    same = {name: document[name] for name in PARTS if document.get(name)}
    return {**same, "properties": properties, "tags": dict(document.get("tags") or {}), "identity": identity(document)}


def slot(attached: Mapping[str, Any]) -> dict[str, Any]:
    """A disk's place in a machine: which disk, and all that's said of it there."""
    dropped = {"createOption", "diskSizeGB", "toBeDetached", "managedDisk", "caching", "deleteOption",
               "writeAcceleratorEnabled", "lun"}  # fmt: skip
    return {
        **{name: value for name, value in attached.items() if name not in dropped and value is not None},
        "id": str((attached.get("managedDisk") or {}).get("id") or "").lower(),
        "caching": attached.get("caching") or "None",
        "deleteOption": attached.get("deleteOption") or "Detach",
        "writeAcceleratorEnabled": bool(attached.get("writeAcceleratorEnabled")),
    }


def identity(document: Mapping[str, Any]) -> dict[str, Any]:
    """Its identities: whether it has one of its own, and those assigned to it, in lower case."""
    held = document.get("identity") or {}
    own = "SystemAssigned" in str(held.get("type") or "")
    return {"own": own, "assigned": sorted(each.lower() for each in held.get("userAssignedIdentities") or {})}
