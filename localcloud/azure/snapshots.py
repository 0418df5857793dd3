"""Snapshots of managed disks: a copy of that moment, as long as the source lives or not.

Source: the SDK's models of Microsoft.Compute/snapshots 2026-03-02. An incremental one is billed differently, not read
differently: both are whole copies here.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.azure.arm import Answer
from localcloud.azure.disk_access import grant_access, revoke_access
from localcloud.azure.disk_build import copy_source, inherit, new_resource, set_size
from localcloud.azure.refusals import ArmRefusal, Json, refuse_change, refuse_state, refuse_unemulated
from localcloud.azure.schema import BodySchema, emulated
from localcloud.sparse_files import copy_sparse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.azure.access import AccessDesk
    from localcloud.azure.arm import Call
    from localcloud.azure.operations import OperationBoard
    from localcloud.azure.state import CloudState, Resource

TYPE = "Microsoft.Compute/snapshots"
_SNAPSHOT = BodySchema(
    "compute",
    "Snapshot",
    emulated(
        "location", "tags", "sku.name", "properties.creationData.{createOption,sourceResourceId}",
        "properties.encryption.type",
        "properties.{incremental,networkAccessPolicy,publicNetworkAccess}",
    ),
)  # fmt: skip
_UPDATE = BodySchema("compute", "SnapshotUpdate", emulated("tags"))
# A full snapshot's SKUs; an incremental one lies on standard storage.
_SKUS = ("Standard_LRS", "Premium_LRS", "Standard_ZRS")


@dataclass(slots=True)
class Snapshots:
    """The snapshots of one cloud."""

    state: CloudState
    board: OperationBoard
    desk: AccessDesk
    type: str = TYPE
    api_version: str = "2026-03-02"
    queries: frozenset[str] = frozenset()

    def put(self, call: Call) -> Answer:
        """Take a snapshot; for one that's there, only tags change."""
        body = _SNAPSHOT.clean(call.body)
        snapshot = self.state.find(call.id)
        if snapshot is None:
            snapshot = self._new(call, body)
            self.state.add(snapshot)
        else:
            for name in ("creationData", "incremental"):
                if body["properties"].get(name, False) != snapshot.properties.get(name, False):
                    refuse_change(name)
            snapshot.document["tags"] = body.get("tags", {})
        return self._written(snapshot)

    def patch(self, call: Call) -> Answer:
        """Change tags."""
        snapshot = self.state.get(call.id)
        snapshot.document["tags"] = _UPDATE.clean(call.body).get("tags", snapshot.document["tags"])
        return self._written(snapshot)

    def delete(self, call: Call) -> Answer:
        """Remove a snapshot that nobody reads, and its file."""
        snapshot = self.state.find(call.id)
        if snapshot is None:
            return Answer(204)
        if self.desk.active(str(snapshot.id)):
            refuse_state(f"Snapshot {snapshot.id.name} has an active shared access signature; revoke it first.")

        def finish() -> None:
            self.state.remove(snapshot)
            (self.state.folder / snapshot.hidden["file"]).unlink(missing_ok=True)

        return Answer(202, operation=self.board.begin("snapshots/delete", snapshot, finish))

    def show(self, resource: Resource, query: Mapping[str, str]) -> Json:
        """The document with the snapshot's present state."""
        resource.properties["diskState"] = "ActiveSAS" if self.desk.active(str(resource.id)) else "Unattached"
        return resource.document

    def act(self, call: Call, action: str) -> Answer:
        """beginGetAccess (for reading) and endGetAccess."""
        snapshot, name = self.state.get(call.id), f"snapshots/{action}"
        if action == "beginGetAccess":
            operation = grant_access(self.board, self.desk, snapshot, call.body, name=name, upload=False)
        elif action == "endGetAccess":
            operation = revoke_access(self.board, self.desk, snapshot, name=name, after=lambda: None)
        else:
            raise ArmRefusal(405, "MethodNotAllowed", f"'{action}' isn't known for {TYPE}.")
        return Answer(202, operation=operation)

    def _new(self, call: Call, body: Json) -> Resource:
        creation = body.get("properties", {}).get("creationData", {})
        if creation.get("createOption") != "Copy":
            refuse_unemulated(f"createOption {creation.get('createOption')}", "creationData.createOption")
        sku = body.get("sku", {}).get("name", "Standard_LRS")
        if sku not in _SKUS:
            refuse_unemulated(f"SKU {sku}", "sku.name")
        snapshot = new_resource(self.state, call.id, body, folder="snapshots")
        source = copy_source(self.state, creation, body["location"], ("microsoft.compute/disks",))
        inherit(snapshot.properties, source.properties, strict=True)
        snapshot.hidden["upload"] = None
        if snapshot.properties.setdefault("incremental", False):
            family = uuid.uuid5(uuid.NAMESPACE_URL, source.properties["uniqueId"])
            snapshot.properties["incrementalSnapshotFamilyId"] = str(family)
        set_size(snapshot, source.hidden["size"])
        path = self.state.folder / snapshot.hidden["file"]
        copy_sparse(self.state.folder / source.hidden["file"], path, size=source.hidden["size"])
        return snapshot

    def _written(self, snapshot: Resource) -> Answer:
        snapshot.properties["provisioningState"] = "Updating"

        def finish() -> Json:
            snapshot.properties.update({"provisioningState": "Succeeded", "completionPercent": 100.0})
            return self.show(snapshot, {})

        operation = self.board.begin("snapshots/write", snapshot, finish)
        return Answer(202, self.show(snapshot, {}), operation)
