"""The parts of a machine, which have to be there before it: its disks and its interface.

All that are missing are begun before any is waited for: a machine of eight disks takes as long as one of one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from failback.clouds.azure.disks import begin_blank_disk, begin_boot_disk, boot_disk_name
from failback.clouds.azure.interfaces import begin_interface, interface_name
from failback.clouds.azure.owners import check_maker
from failback.clouds.azure.place import SETTLE_SECONDS, settled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from failback.clouds.azure.place import AzurePlace
    from failback.home_ports import MachineToBuild


@dataclass(frozen=True, slots=True)
class Parts:
    """The ids of a machine's parts; `data` in the order of its disks."""

    boot: str
    data: tuple[str, ...]
    interface: str


@dataclass(frozen=True, slots=True)
class _Part:
    kind: str
    name: str
    find: Callable[[str], Any]
    begin: Callable[[], Any]


def make_parts(place: AzurePlace, machine: MachineToBuild) -> Parts | None:
    """Begin what isn't there yet; None until all of it is. Raises CloudRefused for what somebody else has made."""
    wanted = _wanted(place, machine)
    found = [each.find(each.name) for each in wanted]
    for each, thing in zip(wanted, found, strict=True):
        if thing is not None:
            check_maker(each.kind, each.name, thing.tags, machine.tags)
    pairs = zip(wanted, found, strict=True)
    begun = [each.begin() for each, thing in pairs if thing is None or thing.provisioning_state == "Failed"]
    if begun:
        if not _settled(begun):
            return None
        found = [each.find(each.name) for each in wanted]
    if any(thing is None or thing.provisioning_state != "Succeeded" for thing in found):
        return None
    boot, *data, interface = (str(thing.id) for thing in found)
    return Parts(boot, tuple(data), interface)


def _wanted(place: AzurePlace, machine: MachineToBuild) -> list[_Part]:
    name = machine.name
    return [
        _Part("disk", boot_disk_name(name), place.disk, partial(begin_boot_disk, place, machine)),
        *(_Part("disk", disk.name, place.disk, partial(begin_blank_disk, place, machine, disk))
          for disk in machine.disks),
        _Part("interface", interface_name(name), place.interface, partial(begin_interface, place, name, machine.tags)),
    ]  # fmt: skip


def _settled(pollers: Sequence[Any]) -> bool:
    """Whether all of them end within the time of one; raises what the first failed one failed with."""
    end = time.monotonic() + SETTLE_SECONDS
    return all([settled(each, max(0.0, end - time.monotonic())) for each in pollers])
