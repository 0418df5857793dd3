"""Persistent disks of a zone; each one's truth is a sparse raw file that a machine can boot.

Source: the description of Disk in the SDK's messages, and users' reports of the refusals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.google.disk_build import DISK, GIB, LARGEST_GB, discard, new_disk
from localcloud.google.front import Method
from localcloud.google.labels import set_labels
from localcloud.google.refusals import Json, refuse_in_use, refuse_missing, refuse_value
from localcloud.google.schema import BodySchema, emulated, take_name
from localcloud.google.state import ResourceId, check_ready

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from localcloud.google.front import Call
    from localcloud.google.operations import Operation, OperationBoard
    from localcloud.google.places import Quotas
    from localcloud.google.snapshots import Snapshots
    from localcloud.google.state import CloudState, Resource

_RESIZE = BodySchema("DisksResizeRequest", emulated("sizeGb"))


@dataclass(slots=True)
class Disks:
    """The disks of one project."""

    state: CloudState
    board: OperationBoard
    quotas: Quotas
    snapshots: Snapshots
    collection: str = "disks"
    scope: str = "zones"
    kind: str = "disk"

    @property
    def methods(self) -> Mapping[str, Method]:
        """insert, delete, setLabels, createSnapshot, resize."""
        return {
            "insert": Method(self.insert),
            "delete": Method(self.delete),
            "setLabels": Method(lambda call: set_labels(self.state, self.board, call)),
            "createSnapshot": Method(
                lambda call: self.snapshots.of_disk(call, self.state.get(call.id)), frozenset({"guestFlush"})
            ),
            "resize": Method(self.resize),
        }

    def one(self, resource_id: ResourceId) -> Json:
        """The document with the instances that use the disk."""
        return self._shown(self.state.get(resource_id))

    def every(self, scope: str) -> Iterable[Json]:
        """A zone's disks."""
        return [self._shown(each) for each in self.state.of(self.collection, scope)]

    def insert(self, call: Call) -> Operation:
        """Make a disk, empty or as a copy."""
        body = DISK.clean(call.body)
        place = ResourceId(call.id.project, call.id.scope, self.collection, take_name(body))
        disk = new_disk(self.state, self.quotas, place, body)
        self.state.add(disk)
        return self.board.begin(
            "disks.insert", disk, lambda: made(disk), holds=(disk,), undo=lambda: discard(self.state, disk)
        )

    def delete(self, call: Call) -> Operation:
        """Remove a disk that nothing uses, and its file."""
        disk = self.state.get(call.id)
        check_unused(self.state, disk)
        busy = [each for each in self.state.of("snapshots") if each.held and each.document["sourceDisk"] == disk.link]
        if busy:
            refuse_in_use("disk", str(disk), str(busy[0]))
        if disk.document["status"] != "FAILED":
            check_ready(disk)
        return self.board.begin("disks.delete", disk, lambda: discard(self.state, disk), holds=(disk,))

    def resize(self, call: Call) -> Operation:
        """Make a disk larger, attached or not."""
        body, disk = _RESIZE.clean(call.body, ""), self.state.get(call.id)
        size, present = int(body.get("sizeGb") or refuse_missing("sizeGb")), int(disk.document["sizeGb"])
        if size <= present:
            why = f"New disk size '{size}' GB must be larger than existing size '{present}' GB."
            refuse_value("sizeGb", size, why)
        if size > LARGEST_GB:
            refuse_value("sizeGb", size, f"A disk has at most {LARGEST_GB} GB.")
        check_ready(disk)

        def finish() -> None:
            with (self.state.folder / disk.hidden["file"]).open("r+b") as file:
                file.truncate(size * GIB)
            disk.document["sizeGb"] = str(size)

        return self.board.begin("disks.resize", disk, finish, holds=(disk,))

    def _shown(self, disk: Resource) -> Json:
        disk.document.pop("users", None)
        users = disk_users(self.state, disk)
        if users:
            disk.document["users"] = [each.link for each in users]
        return disk.document


def made(disk: Resource) -> None:
    """The disk is whole."""
    disk.document["status"] = "READY"


def disk_users(state: CloudState, disk: Resource) -> list[Resource]:
    """The instances that the disk is attached to."""
    return [
        each
        for each in state.of("instances", disk.id.scope)
        if any(attached["source"] == disk.link for attached in each.document["disks"])
    ]


def check_unused(state: CloudState, disk: Resource) -> None:
    """Refuse a disk that's attached to an instance."""
    users = disk_users(state, disk)
    if users:
        refuse_in_use("disk", str(disk), str(users[0]))
