"""A machine in Compute Engine as a whole: its document as REST gives it, and what of it is compared.

Source: the SDK's message Instance (google-cloud-compute 1.57, compute_v1).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.cloud import compute_v1 as compute

    from failback.clouds.google.place import GooglePlace

OFF = "TERMINATED"
UP = frozenset({"PROVISIONING", "STAGING", "RUNNING"})
STEADY = frozenset({"RUNNING", OFF, "SUSPENDED"})
"""In any other status something is being done to it."""
OF_THE_MOMENT = frozenset({"status", "statusMessage", "fingerprint", "labelFingerprint", "lastStartTimestamp",
                           "lastStopTimestamp", "lastSuspendedTimestamp", "cpuPlatform", "resourceStatus",
                           "startRestricted", "satisfiesPzi", "satisfiesPzs", "kind", "selfLink"})  # fmt: skip
"""Members of a document that tell of the moment, not of the machine."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A disk in a machine: the path of it, the name that the guest finds it by, and what becomes of it.

    Order is what's left of a disk's index: only its place among the others can be chosen.
    """

    disk: str
    device: str
    boot: bool = False
    auto_delete: bool = False
    mode: str = "READ_WRITE"

    @property
    def place(self) -> tuple[str, str, bool, str]:
        """What the guest finds; what becomes of the disk with the machine can be changed while it's there."""
        return self.disk, self.device, self.boot, self.mode


@dataclass(frozen=True, slots=True)
class Account:
    """The service account that a machine acts as; a machine has one or none (an empty address)."""

    email: str = ""
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine's document, in the words of REST."""

    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.document["name"])

    @property
    def status(self) -> str:
        return str(self.document.get("status") or "")

    @property
    def changing(self) -> bool:
        """Whether something is being done to it."""
        return self.status not in STEADY

    @property
    def runs(self) -> bool:
        return self.status in UP

    @property
    def is_off(self) -> bool:
        return self.status == OFF

    @property
    def labels(self) -> Mapping[str, str]:
        labels: Mapping[str, str] = self.document.get("labels") or {}
        return labels

    @property
    def metadata(self) -> dict[str, str]:
        return metadata_of(self.document)

    @property
    def account(self) -> Account:
        return account_of(self.document)

    @property
    def slots(self) -> list[Slot]:
        return slots_of(self.document)


def look_at(place: GooglePlace, name: str) -> Machine | None:
    """The machine; None if there's none in the target's zone."""
    instance = place.machine(name)
    return Machine(document_of(instance)) if instance is not None else None


def document_of(message: compute.Instance) -> dict[str, Any]:
    """A message of the SDK's as REST has it: with its names, and 64-bit numbers as text."""
    text = type(message).to_json(message, indent=None, always_print_fields_with_no_presence=False)
    document: dict[str, Any] = json.loads(text)
    return document


def slots_of(document: Mapping[str, Any]) -> list[Slot]:
    """Its disks that last: what it boots from first, the others by their index."""
    held = sorted(document.get("disks") or [], key=lambda each: (not each.get("boot"), int(each.get("index") or 0)))
    return [
        Slot(
            disk=path_of(str(each.get("source") or "")),
            device=str(each.get("deviceName") or ""),
            boot=bool(each.get("boot")),
            auto_delete=bool(each.get("autoDelete")),
            mode=str(each.get("mode") or "READ_WRITE"),
        )
        for each in held
        if each.get("type", "PERSISTENT") == "PERSISTENT"
    ]


def metadata_of(document: Mapping[str, Any]) -> dict[str, str]:
    """The metadata's items by key."""
    items = (document.get("metadata") or {}).get("items") or []
    return {str(each["key"]): str(each.get("value") or "") for each in items}


def account_of(document: Mapping[str, Any]) -> Account:
    """The service account that it acts as."""
    held: Mapping[str, Any] = next(iter(document.get("serviceAccounts") or []), {})
    return Account(str(held.get("email") or ""), frozenset(held.get("scopes") or []))


def path_of(url: str) -> str:
    """A resource's path, `projects/P/zones/Z/disks/NAME`, from any of its URLs."""
    _, found, rest = url.partition("projects/")
    return found + rest


def standing(document: Mapping[str, Any]) -> dict[str, Any]:
    """What of a document is the same before a machine is taken over and after it's restored.

    Left out: power, times, fingerprints, and public addresses that are only lent: Compute takes them back when a
    machine is turned off.
    """
    same = {name: value for name, value in document.items() if name not in OF_THE_MOMENT}
    interfaces = [_interface(each) for each in document.get("networkInterfaces") or []]
    return {
        **same,
        "disks": [(each.disk, each.device, each.boot, each.auto_delete, each.mode) for each in slots_of(document)],
        "metadata": metadata_of(document),
        "labels": dict(document.get("labels") or {}),
        "tags": sorted((document.get("tags") or {}).get("items") or []),
        "serviceAccounts": account_of(document),
        "networkInterfaces": interfaces,
    }


def _interface(held: Mapping[str, Any]) -> dict[str, Any]:
    configurations = [{name: value for name, value in each.items() if name != "natIP"}
                      for each in held.get("accessConfigs") or []]  # fmt: skip
    plain = {name: value for name, value in held.items() if name not in {"fingerprint", "accessConfigs"}}
    return {**plain, "accessConfigs": configurations}
