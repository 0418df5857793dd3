"""Machines in Compute Engine as wholes: taken over, disks copied and exchanged, made anew, restored, handed over."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from failback.clouds.google.addresses import private_address
from failback.clouds.google.arranging import reach, turn_off, went
from failback.clouds.google.copies import make_copies
from failback.clouds.google.disks import READY, begin_client_disk, features_of
from failback.clouds.google.handing_over import take_labels_off
from failback.clouds.google.labels import RUN_LABEL, label_value
from failback.clouds.google.machine_body import NewMachine, begin_machine
from failback.clouds.google.machine_look import look_at, path_of
from failback.clouds.google.operations import SETTLE_SECONDS
from failback.clouds.google.originals import read_original
from failback.clouds.google.owners import TAKEN_LABEL, check_maker
from failback.clouds.google.sizes import Sizes
from failback.clouds.google.stands import slots_wanted, stand_before, stand_wanted
from failback.errors import CloudRefused, OriginalChanged
from failback.home_ports import MachineNeeds
from failback.naming import RUN_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.cloud import compute_v1 as compute

    from failback.clouds.google.machine_look import Machine
    from failback.clouds.google.place import GooglePlace
    from failback.model.original import Original
    from failback.takeover_ports import Arrangement, ClientDisk, DiskCopy

UEFI = "UEFI_COMPATIBLE"


@dataclass(frozen=True, slots=True)
class GoogleTakeovers:
    """A HomeTakeovers."""

    place: GooglePlace

    def find(self, name: str) -> Original | None:
        return read_original(self.place, name)

    def power_off(self, name: str) -> bool:
        return turn_off(self.place, name)

    def copy(self, copies: Sequence[DiskCopy]) -> bool:
        return make_copies(self.place, copies)

    def client_disk(self, disk: ClientDisk) -> bool:
        found = self.place.disk(disk.name)
        if found is not None:
            check_maker("disk", disk.name, found.labels, disk.tags)
            return found.status == READY
        begin = partial(
            begin_client_disk,
            self.place,
            disk.image,
            name=disk.name,
            os=disk.os,
            firmware=disk.firmware,
            tags=disk.tags,
        )
        return went(self.place, begin, SETTLE_SECONDS)

    def arrange(self, wanted: Arrangement) -> bool:
        machine = look_at(self.place, wanted.machine)
        if machine is None:
            if wanted.like is not None:
                raise OriginalChanged(_gone(self.place, wanted.machine))
            self._make(wanted, self._disks(wanted))
            return False
        _check_machine(machine, wanted)
        paths = self._disks(wanted)
        run = wanted.tags[RUN_TAG]
        return reach(self.place, wanted.machine, lambda present: stand_wanted(wanted, present, paths), run=run)

    def restore(self, before: Original) -> bool:
        machine = look_at(self.place, before.name)
        if machine is None:
            raise OriginalChanged(_gone(self.place, before.name))
        _check_same(machine, before)
        run = machine.labels.get(TAKEN_LABEL, "")
        return reach(self.place, before.name, lambda present: stand_before(before, present), run=run)

    def hand_over(self, name: str, *, run: str) -> bool:
        return take_labels_off(self.place, name, run=run)

    def _disks(self, wanted: Arrangement) -> dict[str, str]:
        """The paths of the disks that are wanted, by name."""
        paths = {}
        for name in (wanted.boot, *(each.disk for each in wanted.data)):
            disk = self.place.disk(name)
            if disk is None:
                message = f"There's no disk {name} to be put into {wanted.machine}. Somebody has removed or renamed it."
                raise CloudRefused(message)
            if RUN_LABEL in disk.labels:
                check_maker("disk", name, disk.labels, wanted.tags)
            if name == wanted.boot:
                _check_firmware(disk, wanted)
            paths[name] = path_of(disk.self_link)
        return paths

    def _make(self, wanted: Arrangement, paths: Mapping[str, str]) -> None:
        """Begin to make the machine, its address before it."""
        size = Sizes(self.place).pick(MachineNeeds(wanted.firmware, len(wanted.data), size=wanted.size))
        address = private_address(self.place, wanted.machine, wanted.tags)
        if not address:
            return
        machine = NewMachine(
            size=size,
            slots=slots_wanted(wanted, paths),
            address=address,
            tags=wanted.tags,
            user_data=wanted.user_data,
            identity=wanted.identity,
        )
        went(self.place, partial(begin_machine, self.place, wanted.machine, machine), SETTLE_SECONDS)


def _check_firmware(disk: compute.Disk, wanted: Arrangement) -> None:
    """Raise CloudRefused where the disk's features say another firmware: Compute would boot it by that."""
    has = UEFI in {each.type_ for each in disk.guest_os_features}
    if has != (UEFI in features_of(wanted.os, wanted.firmware)):
        names = {True: "UEFI", False: "a BIOS"}
        message = (
            f"The disk {disk.name} boots by {names[has]} as its guest OS features say, and {wanted.machine} is to boot "
            f"by {names[not has]}: features can't be changed later. Say the server's firmware in the request."
        )
        raise CloudRefused(message)


def _check_machine(machine: Machine, wanted: Arrangement) -> None:
    """Raise CloudRefused where another run has made or taken it, OriginalChanged where it's another one by now."""
    run, name = label_value(wanted.tags[RUN_TAG]), wanted.machine
    if wanted.like is None:
        check_maker("machine", name, machine.labels, wanted.tags)
        return
    _check_same(machine, wanted.like)
    taker = machine.labels.get(TAKEN_LABEL) or machine.labels.get(RUN_LABEL) or run
    if taker != run:
        message = (
            f"The machine {name} is the run {taker}'s by its labels, so it stays as it is. Wait until that run has "
            f"given it back; if it never will, take the label {TAKEN_LABEL} off the machine, and start again."
        )
        raise CloudRefused(message)


def _check_same(machine: Machine, before: Original) -> None:
    there, is_one = before.document.get("id"), machine.document.get("id")
    if there != is_one:
        message = (
            f"The machine {before.name} isn't the one that was there before: its id is {is_one}, not {there}. Somebody "
            "has made it anew; it stays as it is."
        )
        raise OriginalChanged(message)


def _gone(place: GooglePlace, name: str) -> str:
    return (
        f"The machine {name} isn't in {place.zone} of {place.project} any more. Somebody has removed it; its disks may "
        "be there still, and can be attached to a new one."
    )
