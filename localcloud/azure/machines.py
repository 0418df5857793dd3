"""Virtual machines: made from specialised disks, changed, swapped, turned on and off.

Source: the SDK's models of Microsoft.Compute/virtualMachines 2026-04-01. What a real machine takes while it runs and
this emulator's can't (another size, hot-plugged disks) is refused with OperationNotAllowed.

Unconfirmed: that a PUT without user data or identity keeps the old ones, that an empty user data is none, that a
deallocated machine's document lacks its disks' sizes and kinds, and some errors' codes.
"""

from __future__ import annotations

import copy
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.azure.arm import Answer
from localcloud.azure.blob_content import TextContent
from localcloud.azure.clock import azure_time
from localcloud.azure.machine_power import DEALLOCATED, RUNNING, STOPPED
from localcloud.azure.machine_rules import MACHINE, UPDATE, check_free, disk_ids, fill_document, nic_ids
from localcloud.azure.refusals import ArmRefusal, Json, refuse_change, refuse_missing, refuse_state, refuse_value
from localcloud.azure.state import Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localcloud.azure.access import AccessDesk
    from localcloud.azure.arm import Call
    from localcloud.azure.disks import Disks
    from localcloud.azure.machine_power import PowerRoom
    from localcloud.azure.operations import OperationBoard
    from localcloud.azure.state import CloudState
    from localcloud.azure.user_identities import IdentityDesk

TYPE = "Microsoft.Compute/virtualMachines"
# What may change on a machine whatever it does; everything else has to wait until it's off.
_ANY_TIME = ("userData", "diagnosticsProfile")
_DEFAULT_LOG_MINUTES, _LONGEST_LOG_MINUTES = 120, 1440


@dataclass(slots=True)
class Machines:
    """The virtual machines of one cloud."""

    state: CloudState
    board: OperationBoard
    desk: AccessDesk
    disks: Disks
    room: PowerRoom
    identities: IdentityDesk
    type: str = TYPE
    api_version: str = "2026-04-01"
    queries: frozenset[str] = frozenset({"$expand", "skipShutdown", "forceDeletion", "hibernate",
                                         "sasUriExpirationTimeInMinutes"})  # fmt: skip

    def put(self, call: Call) -> Answer:
        """Create and start one; for one that's there: the same checks as a PATCH with everything in it."""
        body = MACHINE.clean(call.body)
        machine = self.state.find(call.id)
        if machine:
            if body["location"] != machine.document["location"]:
                message = f"The resource '{machine.id.name}' already exists in '{machine.document['location']}'."
                raise ArmRefusal(409, "InvalidResourceLocation", message)
            # User data isn't shown by a plain GET: a document that comes back without it doesn't mean to remove it.
            kept = {name: machine.properties[name] for name in ("userData",) if name in machine.properties}
            body = {"tags": {}} | body | {"properties": kept | body.get("properties", {})}
            if body.get("zones", machine.document.get("zones")) != machine.document.get("zones"):
                refuse_change("zones")
            return self._changed(machine, body, merge=False)
        if not body.get("location"):
            refuse_missing("location")
        document: Json = {"id": str(call.id), "name": call.id.name, "type": TYPE, "location": body["location"],
                          "tags": body.get("tags", {}), "properties": body.get("properties", {})}  # fmt: skip
        document |= {name: body[name] for name in ("zones",) if name in body}
        fill_document(self.state, document)
        check_free(self.state, self.disks, str(call.id), document)
        self.identities.assign(document, body.get("identity"))
        made = {"vmId": str(uuid.uuid4()), "timeCreated": azure_time(self.state.clock.now())}
        document["properties"].update(made | {"provisioningState": "Creating"})
        machine = Resource(call.id, document, {"power": STOPPED})
        self.state.add(machine)
        self._own(machine)
        name = "virtualMachines/write"
        operation = self.board.begin(name, machine, self._settling(machine, lambda: self.room.start(machine)))
        return Answer(201, self.show(machine, {}), operation)

    def patch(self, call: Call) -> Answer:
        """Change what the body names; lists are taken whole."""
        body, machine = UPDATE.clean(call.body), self.state.get(call.id)
        merged: Json = {"properties": _merged(_writable(machine), body.get("properties", {}))}
        given = body.get("properties", {}).get("storageProfile", {}).get("osDisk", {})
        if "managedDisk" in given and "name" not in given:
            merged["properties"]["storageProfile"]["osDisk"].pop("name", None)
        merged |= {name: body[name] for name in ("tags", "identity") if name in body}
        return self._changed(machine, merged, merge=True)

    def delete(self, call: Call) -> Answer:
        """Stop and remove it; disks and interfaces go with it only where their deleteOption says so."""
        machine = self.state.find(call.id)
        if machine is None:
            return Answer(204)
        self.room.stop(machine, STOPPED)

        def finish() -> None:
            self._disown(machine)
            self.state.remove(machine)
            self._remove_parts(machine)

        return Answer(202, operation=self.board.begin("virtualMachines/delete", machine, finish))

    def show(self, resource: Resource, query: Mapping[str, str]) -> Json:
        """The document; user data and the instance view only when they're asked for."""
        expand = query.get("$expand", "")
        if expand not in {"", "instanceView", "userData"}:
            refuse_value(f"The value '{expand}' of $expand is invalid.", "$expand")
        document = copy.deepcopy(resource.document)
        if resource.hidden["power"] == DEALLOCATED:
            _hide_disks(document)
        if expand != "userData":
            document["properties"].pop("userData", None)
        if expand == "instanceView":
            document["properties"]["instanceView"] = self._view(resource)
        return document

    def act(self, call: Call, action: str) -> Answer:
        """Power, instance view and boot diagnostics."""
        machine = self.state.get(call.id)
        if action == "GET instanceView":
            return Answer(200, self._view(machine))
        if action == "retrieveBootDiagnosticsData":
            return Answer(200, self._boot_log(machine, call.query))
        if machine.busy:
            raise ArmRefusal(409, "Conflict", f"VM '{machine.id.name}' is being changed by another operation.")
        changes: dict[str, Callable[[], None]] = {
            "start": lambda: self._start(machine),
            "powerOff": lambda: self._power_off(machine),
            "deallocate": lambda: self.room.stop(machine, DEALLOCATED),
            "restart": lambda: self._restart(machine),
        }
        if action not in changes:
            raise ArmRefusal(405, "MethodNotAllowed", f"'{action}' isn't known for {TYPE}.")
        if action == "restart" and self.room.power_of(machine) != RUNNING:
            refuse_state(f"VM '{machine.id.name}' isn't running: it can't be restarted.")
        if action == "start":
            check_free(self.state, self.disks, str(machine.id), machine.document)
        name = f"virtualMachines/{action}"
        operation = self.board.begin(name, machine, self._settling(machine, changes[action]))
        return Answer(202, operation=operation)

    def _changed(self, machine: Resource, body: Json, *, merge: bool) -> Answer:
        document = copy.deepcopy(machine.document) | {name: body[name] for name in ("tags",) if name in body}
        document["properties"] = body["properties"]
        fill_document(self.state, document)
        before, after = _writable(machine), document["properties"]
        if not after.get("userData", "none"):
            del after["userData"]
        self._check_change(machine, before, after)
        check_free(self.state, self.disks, str(machine.id), document)
        self.identities.assign(document, body.get("identity"), merge=merge)
        kept = {name: machine.properties[name] for name in ("vmId", "timeCreated", "provisioningState")}
        document["properties"] = after | kept
        self._disown(machine)
        machine.document = document
        self._own(machine)
        machine.properties["provisioningState"] = "Updating"
        refresh = self._settling(machine, lambda: self.room.refresh(machine))
        operation = self.board.begin("virtualMachines/write", machine, refresh)
        return Answer(200, self.show(machine, {}), operation)

    def _check_change(self, machine: Resource, before: Json, after: Json) -> None:
        if after["securityProfile"]["securityType"] != before["securityProfile"]["securityType"]:
            refuse_change("securityProfile.securityType")
        storage, wanted = before["storageProfile"], after["storageProfile"]
        if storage["osDisk"]["osType"] != wanted["osDisk"]["osType"]:
            refuse_change("osDisk.osType")
        if storage["osDisk"]["managedDisk"]["id"].lower() != wanted["osDisk"]["managedDisk"]["id"].lower():
            self._check_swap(machine, storage["osDisk"]["managedDisk"]["id"], wanted["osDisk"]["managedDisk"]["id"])
        changed = [name for name in after if name not in _ANY_TIME and after[name] != before.get(name)]
        if changed and self.room.power_of(machine) == RUNNING:
            refuse_state(f"VM '{machine.id.name}' is running: {', '.join(changed)} can't change. Stop it first.")

    def _check_swap(self, machine: Resource, old_id: str, new_id: str) -> None:
        if self.room.power_of(machine) != DEALLOCATED:
            power = self.room.power_of(machine)
            refuse_state(f"VM '{machine.id.name}' is {power}: its OS disk can't be swapped. Deallocate it first.")
        old, new = self.state.find(old_id), self.state.find(new_id)
        if old and new and old.properties.get("hyperVGeneration") != new.properties.get("hyperVGeneration"):
            message = f"Disk {new.id.name} isn't of the same Hypervisor Generation as the present OS disk."
            raise ArmRefusal(400, "BadRequest", message, target="osDisk.managedDisk.id")

    def _settling(self, machine: Resource, change: Callable[[], None]) -> Callable[[], Json]:
        def finish() -> Json:
            change()
            machine.properties["provisioningState"] = "Succeeded"
            return self.show(machine, {})

        return finish

    def _start(self, machine: Resource) -> None:
        self.room.start(machine)

    def _power_off(self, machine: Resource) -> None:
        if self.room.power_of(machine) == RUNNING:
            self.room.stop(machine, STOPPED)

    def _restart(self, machine: Resource) -> None:
        self.room.stop(machine, STOPPED)
        self.room.start(machine)

    def _own(self, machine: Resource) -> None:
        for disk_id in disk_ids(machine.document):
            disk = self.state.find(disk_id)
            if disk:
                disk.document["managedBy"] = str(machine.id)
                disk.hidden["reserved"] = machine.hidden["power"] == DEALLOCATED
        for nic_id in nic_ids(machine.document):
            nic = self.state.find(nic_id)
            if nic:
                nic.properties["virtualMachine"] = {"id": str(machine.id)}

    def _disown(self, machine: Resource) -> None:
        for disk_id in disk_ids(machine.document):
            disk = self.state.find(disk_id)
            if disk:
                disk.document.pop("managedBy", None)
        for nic_id in nic_ids(machine.document):
            nic = self.state.find(nic_id)
            if nic:
                nic.properties.pop("virtualMachine", None)

    def _remove_parts(self, machine: Resource) -> None:
        storage = machine.properties["storageProfile"]
        for each in (storage["osDisk"], *storage["dataDisks"]):
            disk = self.state.find(each["managedDisk"]["id"])
            if disk and each["deleteOption"] == "Delete":
                self.disks.discard(disk)
        for each in machine.properties["networkProfile"]["networkInterfaces"]:
            nic = self.state.find(each["id"])
            if nic and each["properties"]["deleteOption"] == "Delete":
                self.state.remove(nic)

    def _view(self, machine: Resource) -> Json:
        power, state = self.room.power_of(machine), machine.properties["provisioningState"]
        disk = self.state.find(disk_ids(machine.document)[0])
        statuses = [{"code": f"ProvisioningState/{state.lower()}", "level": "Info", "displayStatus": state},
                    {"code": f"PowerState/{power}", "level": "Info", "displayStatus": f"VM {power}"}]  # fmt: skip
        generation = disk.properties.get("hyperVGeneration", "V1") if disk else "V1"
        return {"hyperVGeneration": generation, "statuses": statuses, "bootDiagnostics": {}, **self._agent(machine)}

    def _agent(self, machine: Resource) -> Json:
        """What the guest's agent says; without one that's ready, Azure says that it isn't; off, nothing."""
        if self.room.power_of(machine) != RUNNING:
            return {}
        said = self.room.agent(machine)
        code, word = ("succeeded", "Ready") if said is not None else ("Unavailable", "Not Ready")
        status = {"code": f"ProvisioningState/{code}", "level": "Info", "displayStatus": word,
                  "message": said or "VM status blob is found but not yet populated.",
                  "time": azure_time(self.state.clock.now())}  # fmt: skip
        return {"vmAgent": {"vmAgentVersion": "2.0" if said is not None else "Unknown", "statuses": [status]}}

    def _boot_log(self, machine: Resource, query: Mapping[str, str]) -> Json:
        if not machine.properties.get("diagnosticsProfile", {}).get("bootDiagnostics", {}).get("enabled"):
            refuse_state(f"Boot diagnostics isn't enabled on VM '{machine.id.name}'.")
        minutes = query.get("sasUriExpirationTimeInMinutes", str(_DEFAULT_LOG_MINUTES))
        if not minutes.isdecimal() or not 1 <= int(minutes) <= _LONGEST_LOG_MINUTES:
            message = f"The expiration has to be from 1 to {_LONGEST_LOG_MINUTES} minutes."
            refuse_value(message, "sasUriExpirationTimeInMinutes")
        content = TextContent(lambda: self.room.console(machine))
        grant = self.desk.grant(f"{machine.id}/serialConsoleLog", content, "Read", int(minutes) * 60)
        return {"serialConsoleLogBlobUri": self.desk.url(grant)}


def _writable(machine: Resource) -> Json:
    made = ("vmId", "timeCreated", "provisioningState")
    return {name: copy.deepcopy(value) for name, value in machine.properties.items() if name not in made}


def _merged(old: Json, new: Json) -> Json:
    result = dict(old)
    for name, value in new.items():
        both = isinstance(value, dict) and isinstance(old.get(name), dict)
        result[name] = _merged(old[name], value) if both else value
    return result


def _hide_disks(document: Json) -> None:
    """A deallocated machine's disks show neither size nor kind."""
    storage = document["properties"]["storageProfile"]
    for each in (storage["osDisk"], *storage["dataDisks"]):
        each.pop("diskSizeGB", None)
        each["managedDisk"].pop("storageAccountType", None)
