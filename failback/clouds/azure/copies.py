"""Copies of disks by way of snapshots: everything of a kind is begun before any of it is waited for.

A snapshot of a disk is whole at once for whoever makes a disk of it; of Ultra and Premium v2 disks there are only
incremental ones, which Azure fills first.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from failback.clouds.azure.owners import check_maker
from failback.clouds.azure.place import SETTLE_SECONDS, settled
from failback.errors import CloudRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.clouds.azure.place import AzurePlace
    from failback.takeover_ports import DiskCopy

INCREMENTAL_ONLY = frozenset({"UltraSSD_LRS", "PremiumV2_LRS"})
WHOLE = 100.0
"""Per cent of a snapshot that's filled."""
LASTING = ("osType", "hyperVGeneration", "securityProfile", "supportedCapabilities", "purchasePlan", "maxShares",
           "encryption", "networkAccessPolicy", "publicNetworkAccess", "diskAccessId", "dataAccessAuthMode",
           "tier")  # fmt: skip
"""What a copy says as its source has it: what can't be changed later, and who may read it."""
OF_SNAPSHOTS = ("encryption", "networkAccessPolicy", "publicNetworkAccess", "diskAccessId", "dataAccessAuthMode")


def make_copies(place: AzurePlace, copies: Sequence[DiskCopy]) -> bool:
    """Snapshots first, then disks of them; True once all are there. A copy without a name ends with its snapshot."""
    if not _begun_and_there([_Snapshot(place, copy) for copy in copies]):
        return False
    return _begun_and_there([_Clone(place, copy) for copy in copies if copy.name])


def _begun_and_there(makings: Sequence[_Making]) -> bool:
    pollers = [each.begin() for each in makings if each.is_missing]
    end = time.monotonic() + SETTLE_SECONDS
    if not all([settled(each, max(0.0, end - time.monotonic())) for each in pollers]):
        return False
    return all(each.is_whole for each in makings)


class _Making(ABC):
    """A snapshot or a disk that a copy needs; raises CloudRefused where something else has its name."""

    kind, source_path = "disk", "sourceResourceId"

    def __init__(self, place: AzurePlace, copy: DiskCopy) -> None:
        self.place, self.copy = place, copy
        self.thing = self.find()
        if self.thing is not None:
            check_maker(self.kind, str(self.thing.name), self.thing.tags, copy.tags)
            self._check_source(str(self.thing.creation_data.source_resource_id))

    @property
    def is_missing(self) -> bool:
        return self.thing is None or self.thing.provisioning_state == "Failed"

    @property
    def is_whole(self) -> bool:
        thing = self.find() if self.thing is None or self.thing.provisioning_state != "Succeeded" else self.thing
        if thing is None or thing.provisioning_state != "Succeeded":
            return False
        return thing.completion_percent is None or thing.completion_percent >= WHOLE

    @property
    @abstractmethod
    def source(self) -> str:
        """The id of what it's a copy of."""

    @abstractmethod
    def find(self) -> Any:  # noqa: ANN401 - the SDK's model
        """It as it is now."""

    @abstractmethod
    def begin(self) -> Any:  # noqa: ANN401 - the SDK's poller
        """Begin to make it."""

    def original(self) -> Mapping[str, Any]:
        """The document of the disk that's copied."""
        disk = self.place.disk_by_id(self.copy.source)
        if disk is None:
            message = f"There's no disk {self.copy.source} to copy. Somebody has removed it since the plan was made."
            raise CloudRefused(message)
        document: Mapping[str, Any] = disk.as_dict()
        return document

    def _check_source(self, found: str) -> None:
        if found.lower() != self.source.lower():
            name = str(self.thing.name)
            message = f"The {self.kind} {name} is a copy of {found}, not of {self.source}: remove it, and start again."
            raise CloudRefused(message)


class _Snapshot(_Making):
    kind = "snapshot"

    @property
    def source(self) -> str:
        return self.copy.source

    def find(self) -> Any:  # noqa: ANN401 - as above
        return self.place.snapshot(self.copy.snapshot)

    def begin(self) -> Any:  # noqa: ANN401 - as above
        source = self.original()
        kind = str((source.get("sku") or {}).get("name") or "")
        body: Any = {
            "location": source["location"],
            "tags": dict(self.copy.tags),
            "sku": {"name": "Standard_ZRS" if kind.endswith("_ZRS") else "Standard_LRS"},
            "properties": {
                **_of(source, OF_SNAPSHOTS),
                "incremental": kind in INCREMENTAL_ONLY,
                "creationData": {"createOption": "Copy", "sourceResourceId": self.copy.source},
            },
        }
        return self.place.compute.snapshots.begin_create_or_update(self.place.group, self.copy.snapshot, body)


class _Clone(_Making):
    @property
    def source(self) -> str:
        return f"{self.place.group_path}/providers/Microsoft.Compute/snapshots/{self.copy.snapshot}"

    def find(self) -> Any:  # noqa: ANN401 - as above
        return self.place.disk(self.copy.name)

    def begin(self) -> Any:  # noqa: ANN401 - as above
        source = self.original()
        body: Any = {
            "location": source["location"],
            "tags": dict(self.copy.tags),
            "sku": {"name": self.copy.sku or source["sku"]["name"]},
            "properties": {
                **_of(source, LASTING),
                "creationData": {"createOption": "Copy", "sourceResourceId": self.source},
            },
            **({"zones": source["zones"]} if source.get("zones") else {}),
        }
        return self.place.compute.disks.begin_create_or_update(self.place.group, self.copy.name, body)


def _of(source: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    properties = source["properties"]
    return {name: properties[name] for name in names if properties.get(name) is not None}
