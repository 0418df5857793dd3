"""Machines in Azure as wholes: taken over, their disks copied and exchanged, made anew, restored, handed over."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from failback.clouds.azure.arranging import reach, turn_off, went
from failback.clouds.azure.copies import make_copies
from failback.clouds.azure.handing_over import take_tags_off
from failback.clouds.azure.interfaces import interface_name, private_address
from failback.clouds.azure.machine_body import NewMachine, begin_machine
from failback.clouds.azure.machine_look import look_at
from failback.clouds.azure.originals import read_original
from failback.clouds.azure.owners import check_maker
from failback.clouds.azure.place import SETTLE_SECONDS
from failback.clouds.azure.sizes import Sizes
from failback.clouds.azure.stands import stand_before, stand_wanted
from failback.clouds.azure.variants import GENERATIONS, OS_TYPES, make_disk
from failback.errors import CloudRefused, OriginalChanged
from failback.home_ports import MachineNeeds
from failback.naming import RUN_TAG, TAKEN_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azure.mgmt.compute.models import Disk

    from failback.clouds.azure.machine_look import Machine
    from failback.clouds.azure.place import AzurePlace
    from failback.model.original import Original
    from failback.takeover_ports import Arrangement, ClientDisk, DiskCopy


@dataclass(frozen=True, slots=True)
class AzureTakeovers:
    """A HomeTakeovers."""

    place: AzurePlace

    def find(self, name: str) -> Original | None:
        return read_original(self.place, name)

    def power_off(self, name: str) -> bool:
        return turn_off(self.place, name)

    def copy(self, copies: Sequence[DiskCopy]) -> bool:
        return make_copies(self.place, copies)

    def client_disk(self, disk: ClientDisk) -> bool:
        found = self.place.disk(disk.name)
        if found is not None:
            check_maker("disk", disk.name, found.tags, disk.tags)
        if found is None or found.provisioning_state == "Failed":
            begin = partial(
                make_disk,
                self.place,
                disk.image.id,
                name=disk.name,
                os_type=OS_TYPES[disk.os],
                generation=GENERATIONS[disk.firmware],
                tags=disk.tags,
                zones=_zones(disk.like),
            )
            return went(begin, SETTLE_SECONDS)
        return str(found.provisioning_state) == "Succeeded"

    def arrange(self, wanted: Arrangement) -> bool:
        run, machine = wanted.tags[RUN_TAG], look_at(self.place, wanted.machine)
        if machine is None:
            if wanted.like is not None:
                raise OriginalChanged(_gone(self.place, wanted.machine))
            self._make(wanted, self._disks(wanted))
            return False
        _check_machine(machine, wanted)
        ids = {name: str(disk.id) for name, disk in self._disks(wanted).items()}
        return reach(self.place, wanted.machine, lambda present: stand_wanted(wanted, present, ids), run=run)

    def restore(self, before: Original) -> bool:
        machine = look_at(self.place, before.name)
        if machine is None:
            raise OriginalChanged(_gone(self.place, before.name))
        _check_same(machine, before)
        run = machine.tags.get(TAKEN_TAG, "")
        return reach(self.place, before.name, lambda present: stand_before(before, present), run=run)

    def hand_over(self, name: str, *, run: str) -> bool:
        return take_tags_off(self.place, name, run=run)

    def _disks(self, wanted: Arrangement) -> dict[str, Disk]:
        """The disks that are wanted, by name: the machine's own wherever they are, others in the target's group."""
        own = {each.name: each.id for each in wanted.like.disks} if wanted.like else {}
        found = {}
        for name in (wanted.boot, *(each.disk for each in wanted.data)):
            disk = self.place.disk_by_id(own[name]) if name in own else self.place.disk(name)
            if disk is None:
                message = f"There's no disk {name} to be put into {wanted.machine}. Somebody has removed or renamed it."
                raise CloudRefused(message)
            if RUN_TAG in (disk.tags or {}):
                check_maker("disk", name, disk.tags, wanted.tags)
            found[name] = disk
        return found

    def _make(self, wanted: Arrangement, disks: Mapping[str, Disk]) -> None:
        """Begin to make the machine, its interface before it."""
        size = Sizes(self.place).pick(MachineNeeds(wanted.firmware, len(wanted.data), size=wanted.size))
        if not private_address(self.place, wanted.machine, wanted.tags):
            return
        data: list[dict[str, Any]] = [
            {"lun": each.lun, "createOption": "Attach", "caching": each.caching or "None", "deleteOption": "Detach",
             "managedDisk": {"id": str(disks[each.disk].id)}}
            for each in wanted.data
        ]  # fmt: skip
        machine = NewMachine(
            size=size,
            os=wanted.os,
            firmware=wanted.firmware,
            boot=str(disks[wanted.boot].id),
            data=data,
            interface=f"{self.place.group_path}/providers/Microsoft.Network/networkInterfaces/"
            f"{interface_name(wanted.machine)}",
            tags=wanted.tags,
            user_data=wanted.user_data,
            identity=wanted.identity,
            zones=disks[wanted.boot].zones or (),
        )
        begin_machine(self.place, wanted.machine, machine)


def _check_machine(machine: Machine, wanted: Arrangement) -> None:
    """Raise CloudRefused where another run has made or taken it, OriginalChanged where it's another one by now."""
    run, name = wanted.tags[RUN_TAG], wanted.machine
    if wanted.like is None:
        check_maker("machine", name, machine.tags, wanted.tags)
        return
    _check_same(machine, wanted.like)
    taker = machine.tags.get(TAKEN_TAG) or machine.tags.get(RUN_TAG) or run
    if taker != run:
        message = (
            f"The machine {name} is the run {taker}'s by its tags, so it stays as it is. Wait until that run has given "
            f"it back; if it never will, take the tag {TAKEN_TAG} off the machine, and start again."
        )
        raise CloudRefused(message)


def _check_same(machine: Machine, before: Original) -> None:
    there: Any = before.document.get("properties") or {}
    if machine.properties.get("vmId") != there.get("vmId"):
        message = (
            f"The machine {before.name} isn't the one that was there before: its vmId is "
            f"{machine.properties.get('vmId')}, not {there.get('vmId')}. Somebody has made it anew; it stays as it is."
        )
        raise OriginalChanged(message)


def _gone(place: AzurePlace, name: str) -> str:
    return (
        f"The machine {name} isn't in the resource group {place.group} any more. Somebody has removed it; its disks "
        "may be there still, and can be attached to a new one."
    )


def _zones(like: Original | None) -> tuple[str, ...]:
    zones: Any = (like.document.get("zones") if like else None) or ()
    return tuple(str(each) for each in zones)
