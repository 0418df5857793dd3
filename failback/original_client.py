"""Booting the client in the machine that was failed over: off, its disks copied, the client's disk and the copies in.

Level-triggered, and every step may be repeated. The machine's own disks are left as they are, unless the request says
that they're to be written to; then there's a snapshot of each before anything is.

Unconfirmed: that DRS takes the machine with clones in it for the original server, and so sends only what differs. What
it says of that (failbackToOriginalServer) is shown before anybody approves the launch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.client_access import open_way
from failback.client_settings import client_identity, client_settings
from failback.errors import OriginalChanged
from failback.model.stage import Progress, StageResult
from failback.model.way_home import ClientCursor, ClientMachine
from failback.naming import client_machine_name, run_tags
from failback.takeover_ports import Arrangement, Attachment, ClientDisk, DiskCopy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.client_machine import ClientWork
    from failback.model.original import Original
    from failback.model.run import HomeImage, RunState
    from failback.model.server import PlannedDisk, ServerPlan
    from failback.takeover_ports import HomeTakeovers

    Result = StageResult[ClientMachine, ClientCursor]

OFF_WAIT = 15
"""Seconds until a machine that's being turned off is looked at again: it takes one or two minutes."""
COPY_WAIT = 20
"""Seconds until the copies are looked at again: a snapshot takes about a minute, and a disk of it as long."""
DISK_WAIT = 10
"""Seconds until the client's disk is looked at again: it's a GiB, made within seconds."""
MACHINE_WAIT = 20
"""Seconds until the machine is looked at again: exchanging its disks and starting it takes two to four minutes."""

STEPS = 5


def find_original(plan: ServerPlan, takeovers: HomeTakeovers) -> Original | None:
    """The machine that's to be taken over, as it is before any change; None where the plan names none.

    Raises OriginalChanged where it's gone, or isn't what was planned with any more.
    """
    if not plan.original:
        return None
    original = takeovers.find(plan.original)
    if original is None:
        message = (
            f"The machine {plan.original}, which {plan.hostname} ({plan.id}) was to go back into, isn't at home any "
            "more. Usually somebody removed or renamed it since the servers were checked. Start again without it."
        )
        raise OriginalChanged(message)
    faults = list(_changes(plan, original))
    if faults:
        message = (
            f"The machine {plan.original}, which {plan.hostname} ({plan.id}) was to go back into, isn't what was "
            f"planned with: {'; '.join(faults)}. Nothing was changed. Start again: the server is planned anew."
        )
        raise OriginalChanged(message)
    return original


def boot_in_original(
    state: RunState,
    plan: ServerPlan,
    cursor: ClientCursor,
    *,
    original: Original,
    image: HomeImage,
    work: ClientWork,
) -> Result:
    """Go on until the client runs in `original`, which is the machine as it was; `pending` until then."""
    tags, home = run_tags(state.run.id, state.run.started, server=plan.id), work.takeovers
    # Never again once the client may have run: a snapshot of what it wrote is no way back.
    if not cursor.building:
        if not home.power_off(plan.original):
            return _pending(cursor, 1, f"turning {plan.original} off", OFF_WAIT)
        if not home.copy([_copy(disk, state.run.id, plan, tags) for disk in plan.disks]):
            return _pending(cursor, 2, f"making {_copies(plan)} of {len(plan.disks)} disks", COPY_WAIT)
        if not home.client_disk(_client_disk(state, plan, original, image)):
            return _pending(cursor, 3, "making the client's disk", DISK_WAIT)
        rule = open_way(state, plan, original.address, hosts=work.hosts, tags=tags)
        cursor = cursor.model_copy(update={"address": original.address, "rule": rule, "building": True})
    if not home.arrange(_arrangement(state, plan, original, tags, work)):
        note = f"putting the client's disk into {plan.original}, with the {len(plan.disks)} that it writes to"
        return _pending(cursor, 4, note, MACHINE_WAIT)
    facts = ClientMachine(machine=plan.machine, address=cursor.address, rule=cursor.rule)
    progress = Progress(done=STEPS, total=STEPS, unit="steps")
    return StageResult(status="done", progress=progress, cursor=cursor, facts=facts)


def client_disk_name(run: str, server: str) -> str:
    """The disk that a machine which is taken over boots the client from."""
    return f"{client_machine_name(run, server)}-disk"


def snapshot_name(run: str, server: str, lun: int) -> str:
    """The snapshot of the original disk whose volume's disk is at `lun` while the client runs."""
    return f"{client_machine_name(run, server)}-snapshot-{lun}"


def _changes(plan: ServerPlan, original: Original) -> Sequence[str]:
    """What's different about it since it was planned with."""
    # A home may write the same id in other letters another time.
    there = {disk.id.casefold(): disk for disk in original.disks}
    faults = list(original.barriers)
    for disk in plan.disks if plan.way == "original" else ():
        found = there.get(disk.original.casefold())
        if found is None:
            faults.append(f"its disk {disk.original.rpartition('/')[2]}, which takes {disk.device}, isn't in it")
        elif found.size_gib != disk.size_gib:
            faults.append(f"its disk {found.name} has {found.size_gib} GiB, not {disk.size_gib}")
    return [*faults, *original.obstacles] if plan.way == "original" else faults


def _copy(disk: PlannedDisk, run: str, plan: ServerPlan, tags: dict[str, str]) -> DiskCopy:
    """A clone by way of a snapshot; of a disk that's written to itself, the snapshot only."""
    name = "" if plan.overwrite else disk.name
    return DiskCopy(disk.original, name, snapshot_name(run, plan.id, disk.lun), tags, sku=disk.sku)


def _copies(plan: ServerPlan) -> str:
    return "snapshots" if plan.overwrite else "copies"


def _client_disk(state: RunState, plan: ServerPlan, original: Original, image: HomeImage) -> ClientDisk:
    return ClientDisk(
        name=client_disk_name(state.run.id, plan.id),
        image=image,
        os=plan.os,
        firmware=plan.client_firmware,
        tags=run_tags(state.run.id, state.run.started, server=plan.id),
        like=original,
    )


def _arrangement(
    state: RunState, plan: ServerPlan, original: Original, tags: dict[str, str], work: ClientWork
) -> Arrangement:
    return Arrangement(
        machine=plan.original,
        boot=client_disk_name(state.run.id, plan.id),
        os=plan.os,
        firmware=plan.client_firmware,
        running=True,
        tags=tags,
        # Without a cache, what the client has written is on the disk.
        data=tuple(Attachment(disk.name, disk.lun) for disk in plan.disks),
        user_data=client_settings(state, plan, settings=work.settings).to_text(),
        identity=client_identity(state),
        like=original,
    )


def _pending(cursor: ClientCursor, done: int, note: str, wait: int) -> Result:
    progress = Progress(done=done, total=STEPS, unit="steps", note=note)
    return StageResult(status="pending", wait_seconds=wait, progress=progress, cursor=cursor)
