"""The machine that was failed over: whether replicated disks can go into it, and which of its disks takes which volume.

Pure. DRS tells the volumes' names in the guest, the home its units: what both know is the size, and the order. Where
that leaves a doubt a person has to say it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.volumes import boot_volume, whole_gib

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from failback.model.original import Original, OriginalDisk
    from failback.model.recovery import Volume
    from failback.model.request import DiskChoice
    from failback.model.server import PlannedDisk

ORDER_HINT = "disks: DRS names volumes and the home units; those of the same size were put together in their order"


@dataclass(frozen=True, slots=True)
class Match:
    """Which disk takes which volume, by device; what's in the way (`path: how it is; what to do`), and remarks."""

    disks: Mapping[str, OriginalDisk]
    faults: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


def match_disks(volumes: Sequence[Volume], original: Original, choices: Sequence[DiskChoice]) -> Match:
    """Each volume that's taken along finds its disk: as it's said by unit, the only one of its size, or by order."""
    chosen = {choice.device: choice for choice in choices}
    taken = [each for each in volumes if not (each.device in chosen and chosen[each.device].exclude)]
    boot, units = boot_volume(volumes), {disk.lun: disk for disk in original.disks}
    found = {boot.device: units[None]} if boot and None in units else {}
    faults = []
    for volume in taken:
        choice = chosen.get(volume.device)
        if volume.device in found or choice is None or choice.lun is None:
            continue
        if choice.lun in units:
            found[volume.device] = units[choice.lun]
        else:
            known = ", ".join(str(unit) for unit in units if unit is not None) or "none"
            faults.append(f"disks: {original.name} has no disk at unit {choice.lun}; its units are {known}")
    hints = _match_rest([each for each in taken if each.device not in found], original, found) if not faults else []
    faults += _unmatched(taken, original, found)
    return Match(found, tuple(faults), tuple(hints))


def _match_rest(rest: Sequence[Volume], original: Original, found: dict[str, OriginalDisk]) -> list[str]:
    """Those of a size that nothing else has first, the others in order; what's said of that."""
    free = [disk for disk in original.disks if disk.lun is not None and disk not in found.values()]
    sizes, wanted = Counter(disk.size_gib for disk in free), Counter(whole_gib(volume.bytes) for volume in rest)
    left: list[Volume] = []
    for volume in rest:
        size = whole_gib(volume.bytes)
        if sizes[size] == wanted[size] == 1:
            found[volume.device] = next(disk for disk in free if disk.size_gib == size)
        else:
            left.append(volume)
    free = [disk for disk in free if disk not in found.values()]
    if len(left) != len(free):
        return []
    found.update({volume.device: disk for volume, disk in zip(left, free, strict=True)})
    return [ORDER_HINT] if len(left) > 1 else []


def _unmatched(taken: Sequence[Volume], original: Original, found: Mapping[str, OriginalDisk]) -> Iterator[str]:
    for volume in taken:
        disk = found.get(volume.device)
        if disk is None:
            yield (
                f"disks: none of {original.name}'s disks is to be told as that of {volume.device}; say lun for it, or "
                "exclude it"
            )
        elif disk.size_gib < whole_gib(volume.bytes):
            size = whole_gib(volume.bytes)
            yield f"disks: {disk.name} has {disk.size_gib} GiB, and {volume.device} needs {size}; enlarge it at home"
    twice = [name for name, count in Counter(disk.name for disk in found.values()).items() if count > 1]
    yield from (f"disks: {name} is asked for by two volumes; each takes its own" for name in twice)


def cloned(disks: Sequence[PlannedDisk], match: Match, *, overwrite: bool) -> tuple[PlannedDisk, ...]:
    """The planned disks as clones of the original's, or as those themselves."""
    made = []
    for disk in disks:
        own = match.disks[disk.device]
        update = {"size_gib": own.size_gib, "sku": own.sku, "original": own.id}
        update |= {"home_lun": own.lun, "caching": own.caching, **({"name": own.name} if overwrite else {})}
        made.append(disk.model_copy(update=update))
    return tuple(made)


def placed(disks: Sequence[PlannedDisk], match: Match) -> tuple[PlannedDisk, ...]:
    """New disks that take the places of the original's."""
    return tuple(
        disk.model_copy(update={"home_lun": match.disks[disk.device].lun, "caching": match.disks[disk.device].caching})
        if disk.device in match.disks
        else disk
        for disk in disks
    )
