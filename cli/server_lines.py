"""A run's servers as lines of plain text: what's planned for each, how each goes on, how each has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.units import aligned, clock, mebibytes, mib

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.model.server import PlannedDisk, ServerPlan
    from failback.progress import RunProgress
    from failback.server_progress import ServerProgress

GIB = 1024**3
FIRMWARE = {"bios": "BIOS", "uefi": "UEFI"}


def server_changes(before: RunProgress | None, after: RunProgress) -> list[str]:
    """A line for each server that another look has found changed; one that's only planned has none."""
    known = {row.server: _shown(row) for row in before.servers} if before else {}
    rows = [row for row in after.servers if row.status != "planned" and _shown(row) != known.get(row.server)]
    return [server_line(row) for row in rows]


def _shown(row: ServerProgress) -> tuple[object, ...]:
    """What makes a new line: not the time."""
    return row.status, row.stage, row.copied, row.total, row.backlog, row.lag, row.note


def server_line(row: ServerProgress) -> str:
    """One server."""
    status = row.stage if row.status == "running" else row.status
    parts = (copied(row), lag(row), remaining(row), row.note)
    return f"{named(row)}  {status:<17}  {', '.join(part for part in parts if part)}".rstrip()


def named(row: ServerProgress) -> str:
    """Its id, and what it's called where that's known."""
    return f"{row.server} {row.name}".rstrip()


def copied(row: ServerProgress) -> str:
    """How much of it is at home, in per cent and bytes."""
    if row.share is None:
        return ""
    behind = f", {mib(row.backlog)} to catch up" if row.backlog else ""
    return f"{row.share:.0%} ({mebibytes(row.copied)} of {mib(row.total)}{behind})"


def lag(row: ServerProgress) -> str:
    """How far behind it is, where that's known."""
    return f"lag {clock(row.lag)}" if row.lag is not None else ""


def remaining(row: ServerProgress) -> str:
    """How much longer, where that's known."""
    return f"{clock(row.left)} left" if row.left is not None else ""


def ready_lines(servers: Sequence[ServerProgress]) -> list[str]:
    """What's to be said of servers that wait for their launch."""
    return [f"  {named(row)}  ready for launch; its client machine goes on replicating" for row in servers
            if row.status == "ready"]  # fmt: skip


def failed_lines(servers: Sequence[ServerProgress]) -> list[str]:
    """How each server of a run that failed has ended."""
    return [f"  {named(row)}  {row.status}{': ' if row.note else ''}{row.note}" for row in servers]


def plan_lines(plan: ServerPlan) -> list[str]:
    """What will be made at home for a server, and which disk takes which volume."""
    firmware = FIRMWARE[plan.firmware]
    client = "" if plan.client_firmware == plan.firmware else f", its client by {FIRMWARE[plan.client_firmware]}"
    named = f"{plan.hostname or plan.source_server} ({plan.os}, {firmware}{client})"
    lines = [f"{plan.id}  {named}: way {plan.way}, machine {plan.machine}, {plan.size}"]
    rows = [("  volume", "size", "", "disk at home", "size", "LUN", "kind"), *(_disk_row(disk) for disk in plan.disks)]
    lines += aligned([*rows, *((f"  {device}", "", "->", "left out", "", "", "") for device in plan.excluded)])
    route = "private" if plan.private_ip else "public"
    bound = f", at most {plan.bandwidth_mbps} Mbit/s" if plan.bandwidth_mbps else ""
    lines.append(f"  {plan.to_copy / GIB:.1f} GiB at most to be copied by the {route} address{bound}")
    return [*lines, *(f"  note: {hint}" for hint in plan.hints)]


def _disk_row(disk: PlannedDisk) -> tuple[str, ...]:
    kind = disk.sku or "the target's kind"
    size = f"{disk.bytes / GIB:.2f} GiB".replace(".00", "")
    name = f"{disk.name}{' (boots)' if disk.boot else ''}"
    return f"  {disk.device}", size, "->", name, f"{disk.size_gib} GiB", str(disk.lun), kind
