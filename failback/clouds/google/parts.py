"""The parts of a machine, which have to be there before it: its disks and its address.

All that are missing are begun before any is waited for: a machine of eight disks takes as long as one of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from failback.clouds.google.addresses import THERE, begin_address
from failback.clouds.google.arranging import all_went
from failback.clouds.google.disks import FAILED, READY, begin_blank_disk, begin_boot_disk, boot_disk_name
from failback.clouds.google.labels import labels_in
from failback.clouds.google.machine_look import Slot, path_of
from failback.clouds.google.owners import check_maker
from failback.errors import CloudRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.cloud import compute_v1 as compute

    from failback.clouds.google.place import GooglePlace
    from failback.home_ports import MachineToBuild

MOST_DISKS = 128
"""Of a machine of any series whose disks the client has a driver for, what it boots from included."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A machine's disks as they're attached, what it boots from first, and its address."""

    slots: tuple[Slot, ...]
    address: str


@dataclass(frozen=True, slots=True)
class _Part:
    kind: str
    name: str
    find: Callable[[str], Any]
    begin: Callable[[], compute.Operation]


def make_parts(place: GooglePlace, machine: MachineToBuild) -> Parts | None:
    """Begin what isn't there yet; None until all of it is. Raises CloudRefused for what somebody else has made."""
    wanted = _wanted(place, machine)
    found = [each.find(each.name) for each in wanted]
    for each, thing in zip(wanted, found, strict=True):
        if thing is not None:
            check_maker(each.kind, each.name, _labels(each, thing), machine.tags)
            _check_whole(each, thing)
    begins = [each.begin for each, thing in zip(wanted, found, strict=True) if thing is None]
    if begins:
        if not all_went(place, begins):
            return None
        found = [each.find(each.name) for each in wanted]
    if any(thing is None or thing.status not in {READY, *THERE} for thing in found):
        return None
    *disks, address = found
    return Parts(_slots([path_of(disk.self_link) for disk in disks]), str(address.address))


def check_disks(machine: MachineToBuild) -> None:
    """Raise CloudRefused where its disks can't all be attached, before any is made."""
    for what, values in (
        ("LUN", [disk.lun for disk in machine.disks]),
        ("name", [disk.name for disk in machine.disks]),
    ):
        if len(set(values)) < len(values):
            message = f"Two disks of {machine.name} have the same {what}: say other ones, or none."
            raise CloudRefused(message)
    wrong = [disk.lun for disk in machine.disks if not 0 <= disk.lun < MOST_DISKS - 1]
    if wrong:
        message = f"{machine.name} can't have a disk at LUN {wrong[0]}: there are {MOST_DISKS - 1}, from 0 on."
        raise CloudRefused(message)


def _wanted(place: GooglePlace, machine: MachineToBuild) -> list[_Part]:
    name = machine.name
    return [
        _Part("disk", boot_disk_name(name), place.disk, partial(begin_boot_disk, place, machine)),
        *(_Part("disk", disk.name, place.disk, partial(begin_blank_disk, place, machine, disk))
          for disk in sorted(machine.disks, key=lambda each: each.lun)),
        _Part("address", name, place.address, partial(begin_address, place, name, machine.tags)),
    ]  # fmt: skip


def _labels(part: _Part, thing: Any) -> Any:  # noqa: ANN401 - the SDK's messages, and their maps
    return labels_in(thing.description) if part.kind == "address" else thing.labels


def _check_whole(part: _Part, thing: Any) -> None:  # noqa: ANN401 - as above
    if thing.status == FAILED:
        message = (
            f"Compute couldn't make the {part.kind} {part.name}. Look at its operation in the console, remove it, and "
            "have this tried again."
        )
        raise CloudRefused(message)


def _slots(disks: list[str]) -> tuple[Slot, ...]:
    return tuple(Slot(disk, disk.rpartition("/")[2], boot=number == 0) for number, disk in enumerate(disks))
