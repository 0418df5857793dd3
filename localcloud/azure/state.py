"""What the embedded Azure holds: every resource's document, kept in one file so that a restart finds it again."""

from __future__ import annotations

import copy
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localcloud.azure.refusals import ArmRefusal, Json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from localcloud.azure.clock import Clock

STATE_FILE = "resources.json"


@dataclass(frozen=True, slots=True)
class ResourceId:
    """A resource's place: subscription, group, type (`Microsoft.Compute/disks`) and name."""

    subscription: str
    group: str
    type: str
    name: str

    def __str__(self) -> str:
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.group}/providers/{self.type}/{self.name}"


@dataclass(slots=True)
class Resource:
    """One resource: the document that GET answers, and what only the emulator knows of it (`hidden`)."""

    id: ResourceId
    document: Json
    hidden: Json = field(default_factory=dict)
    busy: bool = False

    @property
    def properties(self) -> Json:
        """The document's properties, to read and to change."""
        properties: Json = self.document["properties"]
        return properties


class CloudState:
    """All resources of one cloud by their ids; ids are compared without case, as ARM does."""

    def __init__(self, folder: Path, clock: Clock, groups: Iterable[str]) -> None:
        self.folder, self.clock = folder, clock
        self.lock = threading.RLock()
        self._groups = {group.lower() for group in groups}
        self._resources: dict[str, Resource] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._load()

    def check_group(self, group: str) -> None:
        """Refuse a resource group that isn't one of those given at start."""
        if group.lower() not in self._groups:
            raise ArmRefusal(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")

    def find(self, resource_id: str | ResourceId) -> Resource | None:
        """The resource of this id, if there is one."""
        return self._resources.get(str(resource_id).lower())

    def get(self, resource_id: ResourceId) -> Resource:
        """The resource of this id; refuses with ARM's ResourceNotFound."""
        self.check_group(resource_id.group)
        resource = self.find(resource_id)
        if resource is None:
            what = f"'{resource_id.type}/{resource_id.name}' under resource group '{resource_id.group}'"
            raise ArmRefusal(404, "ResourceNotFound", f"The Resource {what} was not found.")
        return resource

    def referred(self, resource_id: str, kind: str, target: str) -> Resource:
        """The resource that a body's field `target` points to; it has to be of type `kind`."""
        resource = self.find(resource_id)
        if resource is None or resource.id.type.lower() != kind.lower():
            message = f"Resource {resource_id} referenced by '{target}' was not found or isn't a {kind}."
            raise ArmRefusal(404 if resource is None else 400, "NotFound" if resource is None else "InvalidParameter",
                             message, target=target)  # fmt: skip
        return resource

    def add(self, resource: Resource) -> None:
        """Make a resource known."""
        self._resources[str(resource.id).lower()] = resource

    def remove(self, resource: Resource) -> None:
        """Forget a resource; one that's gone already is fine."""
        self._resources.pop(str(resource.id).lower(), None)

    def of_type(self, kind: str, group: str | None = None) -> list[Resource]:
        """The resources of one type, by id; those of one group only, if it's given."""
        return [
            each
            for _, each in sorted(self._resources.items())
            if each.id.type.lower() == kind.lower() and (group is None or each.id.group.lower() == group.lower())
        ]

    def everything(self) -> dict[str, Json]:
        """A copy of every resource's document by its id: what a comparison of before and after takes."""
        with self.lock:
            return {str(each.id): copy.deepcopy(each.document) for _, each in sorted(self._resources.items())}

    def save(self) -> None:
        """Write all of it to the state file, whole or not at all."""
        records = [
            {"id": [each.id.subscription, each.id.group, each.id.type, each.id.name],
             "document": each.document, "hidden": each.hidden}
            for each in self._resources.values()
        ]  # fmt: skip
        draft = self.folder / (STATE_FILE + ".draft")
        draft.write_text(json.dumps(records, indent=1), encoding="utf-8")
        draft.replace(self.folder / STATE_FILE)

    def _load(self) -> None:
        path = self.folder / STATE_FILE
        for record in json.loads(path.read_text(encoding="utf-8")) if path.exists() else []:
            resource = Resource(ResourceId(*record["id"]), record["document"], record["hidden"])
            # An operation that was under way when the cloud ended never comes to its end.
            if resource.properties.get("provisioningState") in {"Creating", "Updating"}:
                resource.properties["provisioningState"] = "Failed"
            self.add(resource)
