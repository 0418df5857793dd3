"""Brings a machine to how it's to stand, by the next step that its document asks for, until none is left.

Off while its disks are exchanged, its service account or its type; nothing waits longer than a short operation takes,
and what takes longer is looked at by the next call. So a call that was lost costs a look.

Requests have no ids: what's already so isn't asked for again, fingerprints keep two changes apart, and under an id that
was used before Compute would give an earlier attachment's operation, or a failed one's, as the answer.

Unconfirmed: that a machine whose disks have all been detached takes another boot disk (as index 0), and boots by the
firmware that the disk's features name.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from failback.clouds.google.labels import label_value
from failback.clouds.google.machine_body import attached, items
from failback.clouds.google.machine_look import Slot, look_at, path_of
from failback.clouds.google.operations import SETTLE_SECONDS, reason_of, settled
from failback.clouds.google.owners import runs_in
from failback.clouds.google.place import last_part
from failback.errors import CloudRefused, OriginalChanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from google.cloud import compute_v1 as compute

    from failback.clouds.google.machine_look import Machine
    from failback.clouds.google.place import GooglePlace
    from failback.clouds.google.stands import Stand

    Begin = Callable[[], compute.Operation]

UNDER_WAY = frozenset({"resourceNotReady", "conditionNotMet", "alreadyExists"})
"""Refusals that end by themselves: an operation that an earlier call has begun still changes the thing, or has just
made or changed it."""


def reach(place: GooglePlace, name: str, stand: Callable[[Machine], Stand], *, run: str) -> bool:
    """Take the steps that are left, as many as end soon; True once the machine stands (and runs) so.

    `stand` says how, by how it stands now; `run` is a run's id, or its label's value. Raises OriginalChanged where the
    machine is gone, CloudRefused where a disk is another machine's that isn't off or isn't the run's.
    """
    end = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() <= end:
        machine = look_at(place, name)
        if machine is None:
            message = f"The machine {name} isn't in {place.zone} of {place.project} any more. Somebody has removed it."
            raise OriginalChanged(message)
        if machine.changing:
            return False
        begin = next(steps(place, machine, stand(machine), run=run), None)
        if begin is None:
            return True
        if not went(place, begin, end - time.monotonic()):
            return False
    return False


def turn_off(place: GooglePlace, name: str) -> bool:
    """Turn a machine off: only then its disks can be exchanged. One that isn't there is off."""
    machine = look_at(place, name)
    if machine is None or machine.is_off:
        return True
    return not machine.changing and went(place, _Changes(place, name).stop, SETTLE_SECONDS) and turn_off(place, name)


def steps(place: GooglePlace, machine: Machine, stand: Stand, *, run: str) -> Iterator[Begin]:
    """What's left to do, each begun by a call; only the first counts, since it changes what the others were seen by."""
    change = _Changes(place, machine.name)
    if stand.taken and machine.labels != stand.labels:
        # Said first, so that two runs don't change one machine.
        yield partial(change.labels, machine, stand)
    for exchange in _exchanges(place, machine, stand, run=run):
        yield exchange if machine.is_off else change.stop
    kept = {each.place: each.auto_delete for each in stand.slots}
    for slot in machine.slots:
        if slot.auto_delete != kept.get(slot.place):
            yield partial(change.auto_delete, slot.device, is_so=not slot.auto_delete)
    if machine.metadata != stand.metadata:
        yield partial(change.metadata, machine, stand)
    if machine.labels != stand.labels:
        yield partial(change.labels, machine, stand)
    if stand.running and not machine.runs:
        yield change.start
    if not stand.running and not machine.is_off:
        yield change.stop


def went(place: GooglePlace, begin: Begin, seconds: float) -> bool:
    """Whether an operation ends within the time; not where an earlier one is still under way."""
    return _ended(place, _begun(begin), seconds)


def all_went(place: GooglePlace, begins: Sequence[Begin]) -> bool:
    """Whether operations end within the time of one; all are begun before any is waited for."""
    begun = [_begun(each) for each in begins]
    end = time.monotonic() + SETTLE_SECONDS
    return all([_ended(place, each, end - time.monotonic()) for each in begun])


def _begun(begin: Begin) -> compute.Operation | None:
    from google.api_core.exceptions import ClientError

    try:
        return begin()
    except ClientError as error:
        if reason_of(error) not in UNDER_WAY:
            raise
        return None


def _ended(place: GooglePlace, operation: compute.Operation | None, seconds: float) -> bool:
    from google.api_core.exceptions import ClientError

    try:
        return operation is not None and settled(place, operation, max(0.0, seconds))
    except ClientError as error:
        if reason_of(error) not in UNDER_WAY:
            raise
        return False


def _exchanges(place: GooglePlace, machine: Machine, stand: Stand, *, run: str) -> Iterator[Begin]:
    """What can be done to a machine that's off only."""
    change = _Changes(place, machine.name)
    for slot in spare(machine.slots, stand.slots):
        yield partial(change.detach, slot.device)
    there = {each.place for each in machine.slots}
    for slot in stand.slots:
        if slot.place not in there:
            yield _freeing(place, machine, slot, run=run) or partial(change.attach, slot)
    if machine.account != stand.account:
        yield partial(change.account, stand)
    if stand.machine_type and path_of(str(machine.document.get("machineType"))) != stand.machine_type:
        yield partial(change.machine_type, stand)


def spare(found: Sequence[Slot], wanted: Sequence[Slot]) -> list[Slot]:
    """The disks that have to go, in order: those that aren't wanted, and those behind a place that's another's.

    Indexes are given in the order of attaching; what's all there stays, whatever its indexes are.
    """
    if {each.place for each in found} == {each.place for each in wanted}:
        return []
    data, goal = ([each for each in slots if not each.boot] for slots in (found, wanted))
    kept = 0
    while kept < min(len(data), len(goal)) and data[kept].place == goal[kept].place:
        kept += 1
    boots = {each.place for each in wanted if each.boot}
    return [*reversed(data[kept:]), *(each for each in found if each.boot and each.place not in boots)]


def _freeing(place: GooglePlace, machine: Machine, slot: Slot, *, run: str) -> Begin | None:
    """What takes a wanted disk out of another machine, where one has it: of the same run, and off."""
    disk = place.disk(last_part(slot.disk))
    if disk is None:
        message = f"The disk {slot.disk} isn't there any more. Somebody has removed it."
        raise OriginalChanged(message)
    users = [last_part(user) for user in disk.users if last_part(user) != machine.name]
    return _out_of(place, users[0], slot.disk, run=run) if users else None


def _out_of(place: GooglePlace, user: str, disk: str, *, run: str) -> Begin:
    machine = look_at(place, user)
    slot = next((each for each in machine.slots if each.disk == disk), None) if machine else None
    is_ours = machine is not None and label_value(run) in runs_in(machine.labels)
    if machine is None or slot is None or slot.boot or not is_ours or not machine.is_off:
        message = (
            f"The disk {last_part(disk)} is attached to the machine {user}, which isn't off, boots from it, or isn't "
            "this run's, so it stays there. Detach it, and have this tried again."
        )
        raise CloudRefused(message)
    return partial(_Changes(place, user).detach, slot.device)


@dataclass(frozen=True, slots=True)
class _Changes:
    """What can be done to a machine: each begins an operation."""

    place: GooglePlace
    name: str

    @property
    def at(self) -> dict[str, Any]:
        return {"project": self.place.project, "zone": self.place.zone, "instance": self.name}

    @property
    def instances(self) -> compute.InstancesClient:
        return self.place.clients.instances

    def start(self) -> compute.Operation:
        return self.instances.start_unary(**self.at)

    def stop(self) -> compute.Operation:
        return self.instances.stop_unary(**self.at)

    def detach(self, device: str) -> compute.Operation:
        return self.instances.detach_disk_unary(**self.at, device_name=device)

    def attach(self, slot: Slot) -> compute.Operation:
        return self.instances.attach_disk_unary(**self.at, attached_disk_resource=attached(slot))

    def auto_delete(self, device: str, *, is_so: bool) -> compute.Operation:
        return self.instances.set_disk_auto_delete_unary(**self.at, auto_delete=is_so, device_name=device)

    def account(self, stand: Stand) -> compute.Operation:
        from google.cloud import compute_v1 as compute

        held = stand.account
        body = compute.InstancesSetServiceAccountRequest(email=held.email, scopes=sorted(held.scopes))
        return self.instances.set_service_account_unary(
            **self.at, instances_set_service_account_request_resource=body
        )  # fmt: skip

    def machine_type(self, stand: Stand) -> compute.Operation:
        from google.cloud import compute_v1 as compute

        body = compute.InstancesSetMachineTypeRequest(machine_type=stand.machine_type)
        return self.instances.set_machine_type_unary(**self.at, instances_set_machine_type_request_resource=body)

    def metadata(self, machine: Machine, stand: Stand) -> compute.Operation:
        return begin_metadata(self.place, machine, stand.metadata)

    def labels(self, machine: Machine, stand: Stand) -> compute.Operation:
        return begin_labels(self.place, machine, stand.labels)


def begin_metadata(place: GooglePlace, machine: Machine, metadata: Mapping[str, str]) -> compute.Operation:
    """Begin to give a machine other metadata, unless somebody has changed it since it was looked at."""
    from google.cloud import compute_v1 as compute

    fingerprint = (machine.document.get("metadata") or {}).get("fingerprint")
    body = compute.Metadata(fingerprint=fingerprint, items=items(metadata))
    return place.clients.instances.set_metadata_unary(
        project=place.project, zone=place.zone, instance=machine.name, metadata_resource=body
    )


def begin_labels(place: GooglePlace, machine: Machine, labels: Mapping[str, str]) -> compute.Operation:
    """Begin to give a machine other labels, unless somebody has changed them since it was looked at."""
    from google.cloud import compute_v1 as compute

    fingerprint = machine.document.get("labelFingerprint")
    body = compute.InstancesSetLabelsRequest(label_fingerprint=fingerprint, labels=dict(labels))
    return place.clients.instances.set_labels_unary(
        project=place.project, zone=place.zone, instance=machine.name, instances_set_labels_request_resource=body
    )
