"""Brings a machine to how it's to stand, by the next step that its document asks for, until none is left.

Off while its disks are changed, and nothing waits longer than a short operation takes; what takes longer is looked at
by the next call. So a call that was lost costs a look.

Unconfirmed: that Azure takes another OS disk, as well as an empty user data that stands for none, by a PATCH.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from failback.clouds.azure.machine_look import DEALLOCATED, identity, look_at, slot
from failback.clouds.azure.place import SETTLE_SECONDS, group_and_name, settled
from failback.clouds.azure.stands import boots_so, data_of, kept_data, same_data, without_disk
from failback.errors import CloudRefused, OriginalChanged
from failback.naming import RUN_TAG, TAKEN_TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from failback.clouds.azure.machine_look import Machine
    from failback.clouds.azure.place import AzurePlace
    from failback.clouds.azure.stands import Stand

    Begin = Callable[[], Any]

UNDER_WAY = frozenset({"Conflict", "AttachDiskWhileBeingDetached"})
"""Refusals that end by themselves: an operation that an earlier call has begun still changes the machine."""


def reach(place: AzurePlace, name: str, stand: Callable[[Machine], Stand], *, run: str) -> bool:
    """Take the steps that are left, as many as end soon; True once the machine stands (and runs) so.

    `stand` says how, by how it stands now. Raises OriginalChanged where the machine is gone, CloudRefused where a disk
    is another machine's that isn't off or isn't the run's.
    """
    end = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() <= end:
        machine = look_at(place, name)
        if machine is None:
            message = f"The machine {name} isn't in the resource group {place.group} any more. Somebody has removed it."
            raise OriginalChanged(message)
        if machine.changing:
            return False
        begin = next_step(place, machine, stand(machine), run=run)
        if begin is None:
            return True
        if not went(begin, end - time.monotonic()):
            return False
    return False


def turn_off(place: AzurePlace, name: str) -> bool:
    """Deallocate a machine: only then its disks can be exchanged. One that isn't there is off."""
    machine = look_at(place, name)
    if machine is None or machine.power == DEALLOCATED:
        return True
    begin = partial(place.compute.virtual_machines.begin_deallocate, place.group, name)
    return not machine.changing and went(begin, SETTLE_SECONDS) and turn_off(place, name)


def next_step(place: AzurePlace, machine: Machine, stand: Stand, *, run: str) -> Begin | None:
    """What begins the next step; None where nothing is left to do."""
    name, machines = str(machine.document["name"]), place.compute.virtual_machines
    change = partial(_change, place, name)
    if TAKEN_TAG in stand.tags and machine.tags != stand.tags:
        # Said first, so that two runs don't change one machine.
        return partial(change, {"tags": dict(stand.tags)})
    if not (boots_so(machine, stand) and same_data(data_of(machine), stand.data)):
        if machine.power != DEALLOCATED:
            return partial(machines.begin_deallocate, place.group, name)
        return _freeing(place, machine, stand, run=run) or partial(change, _disks(machine, stand))
    told = _told(machine, stand)
    if told:
        return partial(change, told)
    if stand.running and not machine.runs:
        return partial(machines.begin_start, place.group, name)
    if not stand.running and machine.power != DEALLOCATED:
        return partial(machines.begin_deallocate, place.group, name)
    return None


def went(begin: Begin, seconds: float) -> bool:
    """Whether an operation ends within the time; not where an earlier one is still under way."""
    from azure.core.exceptions import HttpResponseError

    try:
        return settled(begin(), max(0.0, seconds))
    except HttpResponseError as error:
        if error.error is None or error.error.code not in UNDER_WAY:
            raise
        return False


def _disks(machine: Machine, stand: Stand) -> dict[str, Any]:
    """The next change of disks: what isn't wanted away, another boot disk in, then all the data disks."""
    kept = kept_data(machine, stand)
    if not same_data(data_of(machine), kept):
        storage: dict[str, Any] = {"dataDisks": kept}
    elif not boots_so(machine, stand):
        storage = {"osDisk": dict(stand.boot)}
    else:
        storage = {"dataDisks": [dict(each) for each in stand.data]}
    return {"properties": {"storageProfile": storage}}


def _told(machine: Machine, stand: Stand) -> dict[str, Any]:
    """What else isn't as it's to be: user data, identities, tags."""
    change: dict[str, Any] = {}
    if (machine.properties.get("userData") or "") != stand.user_data:
        change["properties"] = {"userData": stand.user_data}
    if identity(machine.document) != stand.identity:
        change["identity"] = _identity(machine, stand.identity)
    return change | ({"tags": dict(stand.tags)} if dict(machine.tags) != dict(stand.tags) else {})


def _identity(machine: Machine, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """A change of identities: what's assigned and isn't wanted is said as null."""
    kinds = [kind for kind, is_so in (("SystemAssigned", wanted["own"]), ("UserAssigned", wanted["assigned"])) if is_so]
    if "UserAssigned" not in kinds:
        return {"type": kinds[0] if kinds else "None"}
    there = (machine.document.get("identity") or {}).get("userAssignedIdentities") or {}
    away = {each: None for each in there if each.lower() not in wanted["assigned"]}
    held = {each.lower() for each in there}
    return {
        "type": ", ".join(kinds),
        "userAssignedIdentities": away | {each: {} for each in wanted["assigned"] if each not in held},
    }


def _freeing(place: AzurePlace, machine: Machine, stand: Stand, *, run: str) -> Begin | None:
    """What takes a wanted disk out of another machine, where one has it: of the same run, and off."""
    own = str(machine.document["id"]).lower()
    for disk_id in stand.disks:
        disk = place.disk_by_id(disk_id)
        if disk is None:
            message = f"The disk {disk_id} isn't there any more. Somebody has removed it."
            raise OriginalChanged(message)
        user = str(disk.managed_by or "")
        if user.lower() not in {"", own}:
            return _out_of(place, user, disk_id, run=run)
    return None


def _out_of(place: AzurePlace, user: str, disk_id: str, *, run: str) -> Begin:
    group, name = group_and_name(user)
    machine = look_at(place, name, group=group)
    is_ours = machine is not None and run in {machine.tags.get(RUN_TAG), machine.tags.get(TAKEN_TAG)}
    boots = machine is not None and slot(machine.properties["storageProfile"]["osDisk"])["id"] == disk_id.lower()
    if machine is None or not is_ours or boots or machine.power != DEALLOCATED:
        message = (
            f"The disk {disk_id.rpartition('/')[2]} is attached to the machine {name}, which isn't off, boots from it, "
            "or isn't this run's, so it stays there. Detach it, and have this tried again."
        )
        raise CloudRefused(message)
    storage = {"dataDisks": without_disk(machine, disk_id)}
    return partial(_change, place, name, {"properties": {"storageProfile": storage}}, group=group)


def _change(place: AzurePlace, name: str, body: Any, *, group: str = "") -> Any:  # noqa: ANN401 - the SDK's poller
    return place.compute.virtual_machines.begin_update(group or place.group, name, body)
