"""What will be made at home for a server, as lines of plain text: machines, and which disk takes which volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.units import aligned
from failback.model.request import FIRST_WAVE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.model.server import PlannedDisk, ServerPlan

GIB = 1024**3
FIRMWARE = {"bios": "BIOS", "uefi": "UEFI"}


def plan_lines(plan: ServerPlan) -> list[str]:
    """What will be made at home for a server, and which disk takes which volume."""
    firmware = FIRMWARE[plan.firmware]
    client = "" if plan.client_firmware == plan.firmware else f", its client by {FIRMWARE[plan.client_firmware]}"
    named = f"{plan.hostname or plan.source_server} ({plan.os}, {firmware}{client})"
    wave = f", wave {plan.wave}" if plan.wave != FIRST_WAVE else ""
    lines = [f"{plan.id}  {named}: way {plan.way}, machine {plan.machine}, {plan.size}{wave}", *_own_machine(plan)]
    lines += _disks(plan)
    route = "private" if plan.private_ip else "public"
    bound = f", at most {plan.bandwidth_mbps} Mbit/s" if plan.bandwidth_mbps else ""
    lines.append(f"  {plan.to_copy / GIB:.1f} GiB at most to be copied by the {route} address{bound}")
    return [*lines, *(f"  note: {hint}" for hint in plan.hints)]


def _own_machine(plan: ServerPlan) -> list[str]:
    """Which machine the server is at the end, where that's another one than a new one that boots the client."""
    own = plan.own_machine
    if plan.way == "original":
        disks = "are written to, once there are snapshots of them" if plan.overwrite else "stay as they are"
        return [f"  own machine: {own}, the one that was failed over, is taken over; its own disks {disks}"]
    if own == plan.machine:
        return []
    size = f", {plan.home_size}" if plan.home_size else ""
    kind = "the one that was failed over, is taken over" if plan.original else f"a new one{size}"
    return [f"  own machine: {own}, {kind}; it takes the disks at the end"]


def _disks(plan: ServerPlan) -> Sequence[str]:
    """The columns that say something of this plan."""
    cloned = any(disk.original for disk in plan.disks)
    moved = any(_moves(disk) for disk in plan.disks)
    heading = ["  volume", "size", "", "disk at home", "size", *(["which is"] if cloned else []), "unit"]
    heading += [*(["unit at the end"] if moved else []), "kind"]
    rows = [_row(disk, plan, cloned=cloned, moved=moved) for disk in plan.disks]
    rows += [[f"  {device}", "", "->", "left out", *[""] * (len(heading) - 4)] for device in plan.excluded]
    return aligned([heading, *rows])


def _row(disk: PlannedDisk, plan: ServerPlan, *, cloned: bool, moved: bool) -> list[str]:
    size = f"{disk.bytes / GIB:.2f} GiB".replace(".00", "")
    row = [f"  {disk.device}", size, "->", f"{disk.name}{' (boots)' if disk.boot else ''}", f"{disk.size_gib} GiB"]
    row += [_origin(disk, plan)] if cloned else []
    row += [str(disk.lun)]
    # What a machine boots from has no unit.
    row += [("boots" if disk.boot else str(_at_the_end(disk)))] if moved else []
    return [*row, disk.sku or "the target's kind"]


def _origin(disk: PlannedDisk, plan: ServerPlan) -> str:
    if not disk.original:
        return "new"
    return "the original" if plan.overwrite else f"a clone of {disk.original.rpartition('/')[2]}"


def _moves(disk: PlannedDisk) -> bool:
    return not disk.boot and _at_the_end(disk) != disk.lun


def _at_the_end(disk: PlannedDisk) -> int:
    return disk.lun if disk.home_lun is None else disk.home_lun
