"""Snapshots of persistent disks: a copy of that moment, global, whether the disk lives on or not.

Source: the description of Snapshot in the SDK's messages. Incremental storage is billed differently, not read
differently: each is a whole copy here.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.google.disk_build import GIB, discard, inherited
from localcloud.google.front import Method
from localcloud.google.labels import labelled, set_labels
from localcloud.google.refusals import Json, refuse_missing, refuse_value
from localcloud.google.schema import BodySchema, emulated, take_name
from localcloud.google.state import ResourceId, check_ready
from localcloud.sparse_files import copy_sparse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from localcloud.google.front import Call
    from localcloud.google.operations import Operation, OperationBoard
    from localcloud.google.places import Quotas
    from localcloud.google.state import CloudState, Resource

_FIELDS = emulated("name", "description", "labels", "storageLocations", "snapshotType")
_OF_DISK, _SNAPSHOT = BodySchema("Snapshot", _FIELDS), BodySchema("Snapshot", _FIELDS | {"sourceDisk"})


@dataclass(slots=True)
class Snapshots:
    """The snapshots of one project."""

    state: CloudState
    board: OperationBoard
    quotas: Quotas
    collection: str = "snapshots"
    scope: str = "global"
    kind: str = "snapshot"

    @property
    def methods(self) -> Mapping[str, Method]:
        """insert, delete, setLabels."""
        return {
            "insert": Method(self.insert),
            "delete": Method(self.delete),
            "setLabels": Method(lambda call: set_labels(self.state, self.board, call)),
        }

    def one(self, resource_id: ResourceId) -> Json:
        """The document."""
        return self.state.get(resource_id).document

    def every(self, scope: str) -> Iterable[Json]:
        """All of them."""
        return [each.document for each in self.state.of(self.collection)]

    def insert(self, call: Call) -> Operation:
        """Take one of the disk that the body names."""
        body = _SNAPSHOT.clean(call.body)
        field = "resource.sourceDisk"
        place = self.state.place(body.pop("sourceDisk", None) or refuse_missing(field), "disks", field)
        return self._begin(self.state.get(place), body, "snapshots.insert", by_disk=False)

    def of_disk(self, call: Call, disk: Resource) -> Operation:
        """disks.createSnapshot: an operation of the disk's zone."""
        if call.query.get("guestFlush", "false") != "false":
            refuse_value("guestFlush", call.query["guestFlush"], "The guest's part in it isn't emulated.")
        return self._begin(disk, _OF_DISK.clean(call.body), "disks.createSnapshot", by_disk=True)

    def delete(self, call: Call) -> Operation:
        """Remove a snapshot and its file."""
        snapshot = self.state.get(call.id)
        if snapshot.document["status"] != "FAILED":
            check_ready(snapshot)
        return self.board.begin("snapshots.delete", snapshot, lambda: discard(self.state, snapshot), holds=(snapshot,))

    def _begin(self, disk: Resource, body: Json, name: str, *, by_disk: bool) -> Operation:
        place = ResourceId(disk.id.project, "global", self.collection, take_name(body))
        if body.get("snapshotType", "STANDARD") != "STANDARD":
            refuse_value("resource.snapshotType", body["snapshotType"], "Only STANDARD is emulated.")
        check_ready(disk)
        self.quotas.take("SNAPSHOTS")
        size = disk.document["sizeGb"]
        document = inherited(disk) | {key: body[key] for key in ("description", "storageLocations") if key in body}
        document |= labelled(body) | {"sourceDisk": disk.link, "sourceDiskId": disk.document["id"], "diskSizeGb": size,
                                      "snapshotType": "STANDARD", "status": "CREATING"}  # fmt: skip
        snapshot = self.state.new(place, document, kind=self.kind, hidden={"file": f"snapshots/{uuid.uuid4()}.raw"})
        path = self.state.folder / snapshot.hidden["file"]
        copy_sparse(self.state.folder / disk.hidden["file"], path, size=int(size) * GIB)
        self.state.add(snapshot)

        def finish() -> None:
            stored = path.stat().st_blocks * 512
            snapshot.document.update(
                {"status": "READY", "storageBytes": str(stored), "storageBytesStatus": "UP_TO_DATE"}
            )

        return self.board.begin(
            name,
            disk if by_disk else snapshot,
            finish,
            holds=(snapshot,),
            undo=lambda: discard(self.state, snapshot),
        )
