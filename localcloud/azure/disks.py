"""Managed disks: empty, uploaded or copied; each one's truth is a sparse raw file that a machine can boot.

Source: the SDK's models of Microsoft.Compute/disks 2026-03-02 and their descriptions of states and limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.sinks.vhd import FOOTER_SIZE
from localcloud.azure.arm import Answer
from localcloud.azure.disk_access import grant_access, revoke_access
from localcloud.azure.disk_build import DISK, GIB, new_disk
from localcloud.azure.refusals import ArmRefusal, Json, refuse_change, refuse_state, refuse_value
from localcloud.azure.schema import BodySchema, emulated
from localcloud.azure.vhd_check import footer_fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.azure.access import AccessDesk
    from localcloud.azure.arm import Call
    from localcloud.azure.operations import OperationBoard
    from localcloud.azure.state import CloudState, Resource

TYPE = "Microsoft.Compute/disks"
_UPDATE = BodySchema(
    "compute",
    "DiskUpdate",
    emulated("tags", "sku.name", "properties.{osType,diskSizeGB,networkAccessPolicy,publicNetworkAccess}"),
)
# What a disk keeps from its creation on.
_FIXED = ("osType", "hyperVGeneration", "securityProfile", "supportedCapabilities")


@dataclass(slots=True)
class Disks:
    """The disks of one cloud."""

    state: CloudState
    board: OperationBoard
    desk: AccessDesk
    copy_keeps_generation: bool = False
    type: str = TYPE
    api_version: str = "2026-03-02"
    queries: frozenset[str] = frozenset()

    def put(self, call: Call) -> Answer:
        """Create a disk; for one that's there: take the changes that Azure allows, refuse the others."""
        body = DISK.clean(call.body)
        disk = self.state.find(call.id)
        if disk is None:
            disk = new_disk(self.state, call.id, body, copy_keeps=self.copy_keeps_generation)
            self.state.add(disk)
        else:
            _check_same(disk, body)
            self._change(disk, body, replace_tags=True)
        return self._written(disk)

    def patch(self, call: Call) -> Answer:
        """Change tags, SKU, size or network rules."""
        body, disk = _UPDATE.clean(call.body), self.state.get(call.id)
        if body.get("properties", {}).get("osType", disk.properties.get("osType")) != disk.properties.get("osType"):
            refuse_change("osType")
        self._change(disk, body, replace_tags="tags" in body)
        return self._written(disk)

    def delete(self, call: Call) -> Answer:
        """Remove a disk that nothing uses, and its file."""
        disk = self.state.find(call.id)
        if disk is None:
            return Answer(204)
        if disk.document.get("managedBy"):
            refuse_state(f"Disk {disk.id.name} is attached to VM {disk.document['managedBy']}.")
        if self.desk.active(str(disk.id)):
            refuse_state(f"Disk {disk.id.name} has an active shared access signature; revoke it first.")
        return Answer(202, operation=self.board.begin("disks/delete", disk, lambda: self.discard(disk)))

    def discard(self, disk: Resource) -> None:
        """Take a disk and its file away."""
        self.state.remove(disk)
        (self.state.folder / disk.hidden["file"]).unlink(missing_ok=True)

    def show(self, resource: Resource, query: Mapping[str, str]) -> Json:
        """The document with the disk's present state."""
        resource.properties["diskState"] = self.state_of(resource)
        return resource.document

    def act(self, call: Call, action: str) -> Answer:
        """beginGetAccess and endGetAccess."""
        disk = self.state.get(call.id)
        if action == "beginGetAccess":
            if self.state_of(disk) == "Attached":
                refuse_state(f"Disk {disk.id.name} is attached to a running VM; access to it can't be granted.")
            upload = disk.hidden["upload"] == "pending"
            name = "disks/beginGetAccess"
            operation = grant_access(self.board, self.desk, disk, call.body, name=name, upload=upload)
        elif action == "endGetAccess":
            operation = revoke_access(
                self.board, self.desk, disk, name="disks/endGetAccess", after=lambda: self._end_upload(disk)
            )
        else:
            raise ArmRefusal(405, "MethodNotAllowed", f"'{action}' isn't known for {TYPE}.")
        return Answer(202, operation=operation)

    def state_of(self, disk: Resource) -> str:
        """The disk's state by what uses it: an upload, a signature, a machine."""
        active = self.desk.active(str(disk.id))
        if disk.hidden["upload"] is not None:
            return "ActiveUpload" if active else "ReadyToUpload"
        if active:
            return "ActiveSAS"
        if disk.document.get("managedBy"):
            return "Reserved" if disk.hidden.get("reserved") else "Attached"
        return "Unattached"

    def _written(self, disk: Resource) -> Answer:
        disk.properties["provisioningState"] = "Updating"
        return Answer(202, self.show(disk, {}), self.board.begin("disks/write", disk, lambda: self._settled(disk)))

    def _settled(self, disk: Resource) -> Json:
        disk.properties["provisioningState"] = "Succeeded"
        return self.show(disk, {})

    def _change(self, disk: Resource, body: Json, *, replace_tags: bool) -> None:
        properties = body.get("properties", {})
        if "diskSizeGB" in properties:
            self._resize(disk, properties["diskSizeGB"])
        if replace_tags:
            disk.document["tags"] = body.get("tags", {})
        disk.document["sku"] |= body.get("sku", {})
        for name in ("networkAccessPolicy", "publicNetworkAccess"):
            disk.properties[name] = properties.get(name, disk.properties[name])

    def _resize(self, disk: Resource, gigabytes: int) -> None:
        if gigabytes == disk.properties["diskSizeGB"]:
            return
        if gigabytes < disk.properties["diskSizeGB"]:
            refuse_value("The new disk size has to be larger than the present one.", "diskSizeGB")
        if self.state_of(disk) not in {"Unattached", "Reserved"}:
            refuse_state(f"Disk {disk.id.name} can't be resized in state {self.state_of(disk)}.")
        size = gigabytes * GIB
        with (self.state.folder / disk.hidden["file"]).open("r+b") as file:
            file.truncate(size)
        disk.hidden["size"] = size
        disk.properties.update({"diskSizeGB": gigabytes, "diskSizeBytes": size})

    def _end_upload(self, disk: Resource) -> None:
        """Judge what was uploaded; good, it becomes a disk without the footer; bad, it can only be deleted."""
        if disk.hidden["upload"] != "pending":
            return
        path, size = self.state.folder / disk.hidden["file"], disk.hidden["size"]
        with path.open("r+b") as file:
            file.seek(size)
            fault = footer_fault(file.read(FOOTER_SIZE), size)
            if fault:
                disk.hidden["upload"] = "failed"
                raise ArmRefusal(400, "InvalidVhd", f"The upload to disk {disk.id.name} can't be used: {fault}.")
            file.truncate(size)
        disk.hidden["upload"] = None


def _check_same(disk: Resource, body: Json) -> None:
    if body["location"] != disk.document["location"]:
        message = f"The resource '{disk.id.name}' already exists in location '{disk.document['location']}'."
        raise ArmRefusal(409, "InvalidResourceLocation", message)
    properties = body.get("properties", {})
    if properties.get("creationData") != disk.properties["creationData"]:
        refuse_change("creationData")
    if body.get("zones", disk.document.get("zones")) != disk.document.get("zones"):
        refuse_change("zones")
    for name in _FIXED:
        if name in properties and properties[name] != disk.properties.get(name):
            refuse_change(name)
