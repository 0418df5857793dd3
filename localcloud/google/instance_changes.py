"""Changes of an instance: its disks, metadata, labels, tags, service account, machine type and shielded options.

Source: the methods of InstancesClient in the SDK, and users' reports of the refusals; cloud.google.com, "Detach and
reattach boot disks".

Unconfirmed: the words of the refusals of what needs a terminated machine, but for detaching the boot disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.google.attached import ATTACHED, attached_named
from localcloud.google.catalog import MACHINE_TYPES, machine_type_of
from localcloud.google.front import Method
from localcloud.google.instance_rules import checked_accounts, filled_metadata, filled_shield, filled_tags
from localcloud.google.labels import set_labels
from localcloud.google.power import TERMINATED
from localcloud.google.refusals import (
    Json,
    refuse_condition,
    refuse_missing,
    refuse_unemulated,
    refuse_unready,
    refuse_usage,
    refuse_value,
)
from localcloud.google.schema import BodySchema, emulated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localcloud.google.attached import DiskRack
    from localcloud.google.front import Call
    from localcloud.google.operations import Operation, OperationBoard
    from localcloud.google.power import PowerRoom
    from localcloud.google.state import CloudState, Resource

_METADATA = BodySchema("Metadata", emulated("fingerprint", "items.{key,value}"))
_TAGS = BodySchema("Tags", emulated("fingerprint", "items"))
_ACCOUNT = BodySchema("InstancesSetServiceAccountRequest", emulated("email", "scopes"))
_TYPE = BodySchema("InstancesSetMachineTypeRequest", emulated("machineType"))
_SHIELD = BodySchema("ShieldedInstanceConfig", emulated("enableSecureBoot", "enableVtpm", "enableIntegrityMonitoring"))


@dataclass(slots=True)
class InstanceChanges:
    """The methods that change an instance of one project."""

    state: CloudState
    board: OperationBoard
    rack: DiskRack
    room: PowerRoom
    default_account: str

    @property
    def methods(self) -> Mapping[str, Method]:
        """By their names in the API."""
        return {
            "attachDisk": Method(self.attach_disk),
            "detachDisk": Method(self.detach_disk, frozenset({"deviceName"})),
            "setDiskAutoDelete": Method(self.set_auto_delete, frozenset({"autoDelete", "deviceName"})),
            "setMetadata": Method(self.set_metadata),
            "setLabels": Method(lambda call: set_labels(self.state, self.board, call)),
            "setTags": Method(self.set_tags),
            "setServiceAccount": Method(self.set_account),
            "setMachineType": Method(self.set_type),
            "updateShieldedInstanceConfig": Method(self.set_shield, verb="PATCH"),
        }

    def free(self, call: Call) -> Resource:
        """The instance; refuses one that an operation under way makes, starts, stops or changes."""
        instance = self.state.get(call.id)
        if instance.held:
            refuse_unready(str(instance))
        return instance

    def attach_disk(self, call: Call) -> Operation:
        """Attach a disk of the zone; only to a machine that's off."""
        body, instance = ATTACHED.clean(call.body), self.free(call)
        off = self.room.status_of(instance) == TERMINATED
        if body.get("boot") and not off:
            refuse_usage("To attach a boot disk, the instance must be in TERMINATED state.")
        entry = self.rack.add(instance, body, MACHINE_TYPES[instance.document["machineType"].rpartition("/")[2]])
        if not off:
            refuse_unemulated("resource.source", "attaching disks to a machine that runs")
        disk = self.state.find(entry["source"])
        assert disk is not None, "it has just been found"

        def finish() -> None:
            entries = [*instance.document["disks"], entry]
            instance.document["disks"] = sorted(entries, key=lambda each: int(each["index"]))

        return self.board.begin("instances.attachDisk", instance, finish, holds=(instance, disk))

    def detach_disk(self, call: Call) -> Operation:
        """Detach a disk by its device name; only from a machine that's off."""
        instance = self.free(call)
        entry = attached_named(instance, call.query.get("deviceName") or refuse_missing("deviceName"))
        if self.room.status_of(instance) != TERMINATED:
            if entry["boot"]:
                refuse_usage("To detach the boot disk, the instance must be in TERMINATED state.")
            refuse_unemulated("deviceName", "detaching disks from a machine that runs")
        return self._change("instances.detachDisk", instance, lambda: instance.document["disks"].remove(entry))

    def set_auto_delete(self, call: Call) -> Operation:
        """Say whether a disk goes with the instance."""
        instance = self.free(call)
        entry = attached_named(instance, call.query.get("deviceName") or refuse_missing("deviceName"))
        wish = call.query.get("autoDelete") or refuse_missing("autoDelete")
        if wish not in ("true", "false"):
            refuse_value("autoDelete", wish, "It isn't a boolean.")
        return self._change("instances.setDiskAutoDelete", instance, lambda: entry.update(autoDelete=wish == "true"))

    def set_metadata(self, call: Call) -> Operation:
        """Replace all metadata; a running guest sees it at once."""
        body, instance = _METADATA.clean(call.body), self.state.get(call.id)
        new = filled_metadata(body)
        if body.get("fingerprint") != instance.document["metadata"]["fingerprint"]:
            refuse_condition("Supplied fingerprint does not match current metadata fingerprint.")

        def finish() -> None:
            instance.document["metadata"] = new
            self.room.refresh(instance)

        return self.board.begin("instances.setMetadata", instance, finish)

    def set_tags(self, call: Call) -> Operation:
        """Replace all network tags."""
        body, instance = _TAGS.clean(call.body), self.state.get(call.id)
        new = filled_tags(body)
        if body.get("fingerprint") != instance.document["tags"]["fingerprint"]:
            refuse_condition("Supplied fingerprint does not match current tags fingerprint.")
        return self.board.begin("instances.setTags", instance, lambda: instance.document.update(tags=new))

    def set_account(self, call: Call) -> Operation:
        """Give a machine that's off another service account; one without an e-mail address is none."""
        body, instance = _ACCOUNT.clean(call.body), self._terminated(call, "change the service account")
        given = [body] if body.get("email") else []
        accounts = checked_accounts(given, self.room.accounts, self.default_account)

        def finish() -> None:
            instance.document.pop("serviceAccounts", None)
            instance.document.update({"serviceAccounts": accounts} if accounts else {})

        return self._change("instances.setServiceAccount", instance, finish)

    def set_type(self, call: Call) -> Operation:
        """Give a machine that's off another machine type."""
        body, instance = _TYPE.clean(call.body), self._terminated(call, "change the machine type")
        scope = instance.id.scope
        kind = machine_type_of(
            body.get("machineType") or refuse_missing("machineType"), self.state, scope, "machineType"
        )
        self.rack.check_limits(instance.document["disks"], kind)
        for entry in instance.document["disks"]:
            if entry["interface"] != kind.series.bus:
                refuse_value("machineType", kind.name, f"The disk '{entry['deviceName']}' is attached by another bus.")
        link = f"{instance.link.partition('/instances/')[0]}/machineTypes/{kind.name}"
        return self._change("instances.setMachineType", instance, lambda: instance.document.update(machineType=link))

    def set_shield(self, call: Call) -> Operation:
        """Change the shielded options that the body names, of a machine that's off."""
        body = _SHIELD.clean(call.body)
        instance = self._terminated(call, "change shielded options")
        boot = [self.state.find(each["source"]) for each in instance.document["disks"] if each["boot"]]
        present = instance.document["shieldedInstanceConfig"]
        new: Json = filled_shield(present | body, boot[0]) if boot and boot[0] else present | body
        return self._change(
            "instances.updateShieldedInstanceConfig",
            instance,
            lambda: instance.document.update(shieldedInstanceConfig=new),
        )

    def _terminated(self, call: Call, what: str) -> Resource:
        instance = self.free(call)
        if self.room.status_of(instance) != TERMINATED:
            refuse_usage(f"To {what}, the instance must be in TERMINATED state.")
        return instance

    def _change(self, name: str, instance: Resource, finish: Callable[[], object]) -> Operation:
        return self.board.begin(name, instance, finish, holds=(instance,))
