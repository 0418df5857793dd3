"""Instances: made, started, stopped, removed, and what they say on their serial port.

Source: the methods of InstancesClient in the SDK, and the description of Instance.status.

Unconfirmed: that starting what runs and stopping what's off succeed at once, and the refusal of a start without a boot
disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.google.catalog import MACHINE_TYPES
from localcloud.google.disk_build import discard
from localcloud.google.disks import made as disk_made
from localcloud.google.front import Method
from localcloud.google.instance_rules import (
    INSTANCE,
    check_boot,
    checked_accounts,
    chosen_type,
    filled_metadata,
    filled_nics,
    filled_scheduling,
    filled_shield,
    filled_tags,
    give_public_addresses,
    instance_path,
    take_public_addresses,
)
from localcloud.google.labels import labelled
from localcloud.google.power import RUNNING, STOPPING, TERMINATED
from localcloud.google.refusals import GoogleRefusal, Json, refuse_unready, refuse_usage, refuse_value
from localcloud.google.schema import take_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from localcloud.google.attached import DiskRack
    from localcloud.google.catalog import MachineType
    from localcloud.google.front import Call
    from localcloud.google.instance_changes import InstanceChanges
    from localcloud.google.operations import Operation, OperationBoard
    from localcloud.google.places import Quotas
    from localcloud.google.power import PowerRoom
    from localcloud.google.state import CloudState, Resource, ResourceId

_SERIAL_QUERIES = frozenset({"port", "start"})
_PORTS = range(1, 5)


@dataclass(slots=True)
class Instances:
    """The instances of one project; `default_account` is whom the e-mail address `default` means."""

    state: CloudState
    board: OperationBoard
    quotas: Quotas
    rack: DiskRack
    room: PowerRoom
    changes: InstanceChanges
    region: str
    default_account: str
    collection: str = "instances"
    scope: str = "zones"
    kind: str = "instance"

    @property
    def methods(self) -> Mapping[str, Method]:
        """insert, delete, start, stop, reset, getSerialPortOutput, and those that change one."""
        own = {
            "insert": Method(self.insert),
            "delete": Method(self.delete),
            "start": Method(self.start),
            "stop": Method(self.stop, frozenset({"discardLocalSsd", "noGracefulShutdown"})),
            "reset": Method(self.reset),
            "getSerialPortOutput": Method(self.serial_output, _SERIAL_QUERIES, "GET"),
        }
        return {**own, **self.changes.methods}

    def one(self, resource_id: ResourceId) -> Json:
        """The document with the status of now."""
        return self._shown(self.state.get(resource_id))

    def every(self, scope: str) -> Iterable[Json]:
        """A zone's instances."""
        return [self._shown(each) for each in self.state.of(self.collection, scope)]

    def insert(self, call: Call) -> Operation:
        """Make an instance, with new disks or with what's there, and start it; one that doesn't start is gone."""
        body = INSTANCE.clean(call.body)
        place = instance_path(call.id.project, call.id.scope, take_name(body))
        kind = chosen_type(self.state, body, place.scope)
        document = self._document(body)
        self._take_quota(kind, instances=1)
        # A name that's taken is refused before anything is made.
        self.state.new(place, {}, kind=self.kind)
        disks, new = self.rack.first(body.get("disks", []), place, kind)
        try:
            boot = new[0] if new and new[0].link == disks[0]["source"] else self.state.find(disks[0]["source"])
            assert boot is not None
            check_boot(kind, boot, document["networkInterfaces"])
            document["shieldedInstanceConfig"] = filled_shield(body.get("shieldedInstanceConfig", {}), boot)
        except GoogleRefusal:
            self._discard(new)
            raise
        document |= {"machineType": _type_link(self.state, place, kind), "disks": disks, "status": "PROVISIONING"}
        instance = self.state.new(place, document, kind=self.kind)
        for each in (*new, instance):
            self.state.add(each)

        def finish() -> None:
            for disk in new:
                disk_made(disk)
            self._switch_on(instance)

        def undo() -> None:
            self.state.remove(instance)
            self._discard(new)

        return self.board.begin("instances.insert", instance, finish, holds=(instance, *new), undo=undo)

    def delete(self, call: Call) -> Operation:
        """Stop and remove it; the disks whose autoDelete says so go with it."""
        instance = self.state.get(call.id)
        if instance.document["deletionProtection"]:
            refuse_usage("Resource cannot be deleted if it's protected against deletion.")
        self.board.preempt(instance)
        if self.state.find(call.id) is None:
            # What was being made is gone by that alone.
            return self.board.begin("instances.delete", instance, lambda: None)
        self.room.stop(instance)
        instance.document["status"] = STOPPING

        def finish() -> None:
            self.state.remove(instance)
            attached = [self.state.find(each["source"]) for each in instance.document["disks"] if each["autoDelete"]]
            self._discard([disk for disk in attached if disk])

        return self.board.begin("instances.delete", instance, finish, holds=(instance,))

    def start(self, call: Call) -> Operation:
        """Turn it on; what's on already stays so."""
        instance = self.changes.free(call)
        if self.room.status_of(instance) == RUNNING:
            return self.board.begin("instances.start", instance, lambda: None)
        boot = [each for each in instance.document["disks"] if each["boot"]]
        if not boot:
            refuse_usage("The instance has no boot disk")
        kind = _type_of(instance)
        disk = self.state.find(boot[0]["source"])
        assert disk is not None, "an attached disk can't be deleted"
        check_boot(kind, disk, instance.document["networkInterfaces"])
        self._take_quota(kind)
        instance.document["status"] = "PROVISIONING"
        return self._power("instances.start", instance, lambda: self._switch_on(instance), otherwise=TERMINATED)

    def stop(self, call: Call) -> Operation:
        """Turn it off; it's TERMINATED when the operation is done."""
        instance = self.changes.free(call)
        if self.room.status_of(instance) == TERMINATED:
            return self.board.begin("instances.stop", instance, lambda: None)
        instance.document["status"] = STOPPING

        def finish() -> None:
            self.room.stop(instance)
            take_public_addresses(instance.document["networkInterfaces"])

        return self._power("instances.stop", instance, finish, otherwise=RUNNING)

    def reset(self, call: Call) -> Operation:
        """Off and on at once, as by a button."""
        instance = self.changes.free(call)
        if self.room.status_of(instance) != RUNNING:
            refuse_unready(str(instance))

        def finish() -> None:
            self.room.stop(instance)
            self.room.start(instance)

        return self._power("instances.reset", instance, finish, otherwise=TERMINATED)

    def serial_output(self, call: Call) -> Json:
        """What it has written to a serial port, from a byte on."""
        instance = self.state.get(call.id)
        port, start = (_number(call.query, name, default) for name, default in (("port", 1), ("start", 0)))
        if port not in _PORTS:
            refuse_value("port", port, "It has to be from 1 to 4.")
        begin, text = self.room.output(instance, start) if port == 1 else (0, b"")
        return {
            "kind": "compute#serialPortOutput",
            "contents": text.decode("utf-8", "replace"),
            "start": str(begin),
            "next": str(begin + len(text)),
            "selfLink": f"{instance.link}/serialPort",
        }

    def _document(self, body: Json) -> Json:
        document: Json = {name: body[name] for name in ("description",) if name in body} | labelled(body)
        accounts = checked_accounts(body.get("serviceAccounts", []), self.room.accounts, self.default_account)
        return (
            document
            | {"canIpForward": body.get("canIpForward", False), "cpuPlatform": "Unknown CPU Platform",
               "deletionProtection": body.get("deletionProtection", False), "startRestricted": False,
               "tags": filled_tags(body.get("tags", {})), "metadata": filled_metadata(body.get("metadata", {})),
               "scheduling": filled_scheduling(body.get("scheduling", {})),
               "networkInterfaces": filled_nics(self.state, body.get("networkInterfaces", []), self.region)}
            | ({"serviceAccounts": accounts} if accounts else {})
        )  # fmt: skip

    def _take_quota(self, kind: MachineType, instances: int = 0) -> None:
        self.quotas.take("INSTANCES", instances)
        self.quotas.take("CPUS", kind.cpus)

    def _switch_on(self, instance: Resource) -> None:
        give_public_addresses(instance.document["networkInterfaces"])
        self.room.start(instance)

    def _power(self, name: str, instance: Resource, finish: Callable[[], None], *, otherwise: str) -> Operation:
        def undo() -> None:
            instance.document["status"] = otherwise

        return self.board.begin(name, instance, finish, holds=(instance,), undo=undo)

    def _discard(self, disks: list[Resource]) -> None:
        for disk in disks:
            discard(self.state, disk)

    def _shown(self, instance: Resource) -> Json:
        self.room.status_of(instance)
        return instance.document


def _type_of(instance: Resource) -> MachineType:
    return MACHINE_TYPES[instance.document["machineType"].rpartition("/")[2]]


def _type_link(state: CloudState, place: ResourceId, kind: MachineType) -> str:
    return f"{place.link.partition('/instances/')[0]}/machineTypes/{kind.name}"


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        return refuse_value(name, text, "It isn't a whole number.")
