"""Which disk at home takes which volume of a recovery instance: sizes, units, names, and what's left out. Pure.

DRS wants each disk to be as large as its volume or larger ("Performing a failback", prerequisites), and every volume
mapped or left out on purpose.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from failback.model.agent import RecoveryDevice
from failback.model.request import MOST_DISKS, DiskChoice
from failback.model.server import PlannedDisk
from failback.naming import data_disk_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from failback.model.recovery import Volume
    from failback.model.target import HomeName

GIB = 1 << 30
LAST_LUN = 63

_BOOT_NAMES = re.compile(r"/dev/(xvda|sda)\d*|/dev/nvme0n1(p\d+)?|c:0", re.IGNORECASE)
_DEVICE = TypeAdapter[str](RecoveryDevice)


@dataclass(frozen=True, slots=True)
class DiskSizes:
    """The GiB of the smallest and of the largest disk that a home makes."""

    smallest: int
    largest: int


DISK_SIZES: dict[HomeName, DiskSizes] = {
    # Managed disks, uploads and blank ones alike.
    "azure": DiskSizes(1, 32767),
    # Persistent disks of each kind that a target may name: up to 64 TiB.
    "google": DiskSizes(10, 65536),
}
"""An EBS volume may be larger than a home's largest disk."""


@dataclass(frozen=True, slots=True)
class VolumePlan:
    """The disks to be made, the devices left out, and what's in the way (`path: what it is; what to do`)."""

    disks: tuple[PlannedDisk, ...]
    excluded: tuple[str, ...]
    faults: tuple[str, ...]


def plan_disks(volumes: Sequence[Volume], choices: Sequence[DiskChoice], *, machine: str, home: HomeName) -> VolumePlan:
    """Every volume mapped or left out; the disks are called after `machine`, and of a size that `home` makes."""
    chosen = {choice.device: choice for choice in choices}
    excluded = tuple(volume.device for volume in volumes if _choice(volume, chosen).exclude)
    taken = [volume for volume in volumes if not _choice(volume, chosen).exclude]
    free = _free_units({choice.lun for choice in choices if not choice.exclude})
    boot = boot_volume(volumes)
    sizes = DISK_SIZES[home]
    disks = tuple(
        _disk(volume, _choice(volume, chosen), free, machine=machine, smallest=sizes.smallest, boot=volume == boot)
        for volume in taken
    )
    faults = (*choice_faults(choices), *_choices_against(volumes, choices, boot))
    faults += tuple(_volume_faults(volumes, disks, sizes.largest))
    return VolumePlan(disks, excluded, faults)


def boot_volume(volumes: Sequence[Volume]) -> Volume | None:
    """The volume that the recovery instance boots from: the first that's named as one, or else the first.

    Unconfirmed: DRS doesn't say which it is, and lists the one that's booted from first as far as is known.
    """
    named = (volume for volume in volumes if _BOOT_NAMES.fullmatch(volume.device))
    return next(named, volumes[0] if volumes else None)


def whole_gib(size: int) -> int:
    """Bytes rounded up to GiB."""
    return -(-size // GIB)


def choice_faults(choices: Sequence[DiskChoice]) -> list[str]:
    """What's wrong with choices among themselves, whatever the volumes are; paths begin with `disks`."""
    faults = []
    devices = Counter(choice.device for choice in choices)
    units = Counter(choice.lun for choice in choices if choice.lun is not None and not choice.exclude)
    for number, choice in enumerate(choices):
        path = f"disks.{number}"
        if devices[choice.device] > 1:
            faults.append(f"{path}.device: {choice.device} stands there {devices[choice.device]} times; say it once")
        if choice.exclude and (choice.lun, choice.size_gib, choice.sku) != (None, None, None):
            faults.append(f"{path}.exclude: what's left out takes no lun, size_gib or sku; drop either")
        elif choice.lun is not None and units[choice.lun] > 1:
            faults.append(f"{path}.lun: {choice.lun} is asked for {units[choice.lun]} times; each disk takes its own")
    return faults


def _choice(volume: Volume, chosen: Mapping[str, DiskChoice]) -> DiskChoice:
    return chosen.get(volume.device) or DiskChoice.model_construct(device=volume.device)


def _free_units(asked: set[int | None]) -> Iterator[int]:
    return (unit for unit in itertools.count() if unit not in asked)


def _disk(
    volume: Volume, choice: DiskChoice, free: Iterator[int], *, machine: str, smallest: int, boot: bool
) -> PlannedDisk:
    unit = next(free) if choice.lun is None else choice.lun
    return PlannedDisk(
        device=volume.device,
        bytes=volume.bytes,
        size_gib=max(smallest, choice.size_gib or whole_gib(volume.bytes)),
        lun=unit,
        name=data_disk_name(machine, unit),
        sku=choice.sku or "",
        boot=boot,
    )


def _choices_against(volumes: Sequence[Volume], choices: Sequence[DiskChoice], boot: Volume | None) -> list[str]:
    """What's wrong with choices for these volumes."""
    faults = []
    there = {volume.device: volume for volume in volumes}
    for number, choice in enumerate(choices):
        path, volume = f"disks.{number}", there.get(choice.device)
        if volume is None:
            known = ", ".join(there) or "none"
            faults.append(f"{path}.device: the recovery instance has no {choice.device}; its volumes are {known}")
        elif choice.exclude and volume == boot:
            faults.append(f"{path}.exclude: {choice.device} is what the server boots from; it has to come along")
        elif choice.size_gib is not None and not choice.exclude and choice.size_gib < whole_gib(volume.bytes):
            least = whole_gib(volume.bytes)
            faults.append(f"{path}.size_gib: {choice.size_gib} is too small for {choice.device}; say {least} or more")
    return faults


def _volume_faults(volumes: Sequence[Volume], disks: Sequence[PlannedDisk], largest: int) -> list[str]:
    """What's wrong with the volumes, and with what became of them."""
    if not volumes:
        return ["volumes: DRS knows none of it; look whether its agent runs and reports, then start again"]
    faults = [_name_fault(device) for device in dict.fromkeys(volume.device for volume in volumes)]
    counts = Counter(volume.device for volume in volumes)
    faults += [f"volumes: DRS lists {name} {count} times, so that they can't be told apart; reinstall its agent"
               for name, count in counts.items() if count > 1]  # fmt: skip
    faults += [f"volumes: DRS knows no size of {volume.device}; look whether its agent reports, then start again"
               for volume in volumes if volume.bytes <= 0]  # fmt: skip
    faults += [f"volumes: {disk.device} takes {disk.size_gib} GiB, and no disk is larger than {largest} at home; "
               "leave it out and copy it by other means" for disk in disks if disk.size_gib > largest]  # fmt: skip
    if len(disks) > MOST_DISKS:
        faults.append(f"volumes: there are {len(disks)}, and DRS replicates {MOST_DISKS} at most; leave some out")
    elif any(disk.lun > LAST_LUN for disk in disks):
        faults.append(f"disks: a machine's units go up to {LAST_LUN}; leave disks out, or their lun unsaid")
    return [fault for fault in faults if fault]


def _name_fault(device: str) -> str:
    try:
        _DEVICE.validate_python(device)
    except ValidationError:
        return f"volumes: the name {device!r} is none that a client can be told; rename it there, or leave it out"
    return ""
