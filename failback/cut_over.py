"""The change from the client to the server itself: the client off, its disks into the server's own machine, started.

Level-triggered, and every step may be repeated. No disk is moved before DRS has launched the server. All disks are in
their places before it's started, and that it may serve at home from now on is written down just before that: what fails
earlier can be undone without a loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.client_machine import server_record
from failback.console_marks import mark_of, tail
from failback.errors import CutOverFailed
from failback.model.stage import Progress, StageResult, cursor_of, facts_of
from failback.model.way_home import CutOver, CutOverCursor
from failback.naming import run_tags
from failback.takeover_ports import Arrangement, Attachment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from failback.home_ports import HomeMachines
    from failback.model.original import Original
    from failback.model.run import RunState
    from failback.model.server import PlannedDisk, ServerPlan, ServerRecord
    from failback.model.stage import Status
    from failback.ports import Clock
    from failback.recovery_ports import ServerBook
    from failback.takeover_ports import HomeTakeovers

    Result = StageResult[CutOver, CutOverCursor]

LOOK_AGAIN = 10
"""Seconds between two looks: the server is down meanwhile, and each step takes half a minute to two. A look is three
transitions of the state machine: in the stage's 90 minutes some 6,000 of the 25,000 events it may have."""

LONGEST_SHUTDOWN = 15 * 60
"""Seconds that a client may go on running once DRS calls its launch completed: by then it has converted the disks, and
what's left is to shut down, a minute or two."""

STEPS = 4


@dataclass(frozen=True, slots=True)
class ChangeDesk:
    """What the change takes of AWS and of the home."""

    servers: ServerBook
    machines: HomeMachines
    takeovers: HomeTakeovers
    clock: Clock


def cut_over(state: RunState, desk: ChangeDesk) -> Result:
    """Begin or go on with the change; `pending` until the server's own machine runs from the replicated disks.

    Raises CutOverFailed where the server isn't launched, or its client machine doesn't turn itself off.
    """
    record = server_record(state, desk.servers)
    plan = state.needed(record.plan, "a plan of the server")
    _check_launched(state, record, plan)
    cursor = cursor_of(state.cut_over) or CutOverCursor()
    started = record.milestones.started
    if started is None:
        if not cursor.off:
            return _wait_for_the_client(state, plan, cursor, desk)
        if not cursor.released:
            if not _released(state, plan, desk):
                return _result("pending", cursor, 1, f"taking the replicated disks out of {plan.machine}")
            cursor = cursor.model_copy(update={"released": True})
        if not _put_together(state, plan, record, desk):
            return _result("pending", cursor, 2, f"putting the replicated disks into {_own_name(plan)}")
        if _wrote_before(plan) and not cursor.console:
            # Kept by the state before it's started: what it says afterwards proves that it came up.
            marked = mark_of(desk.machines.console(_own_name(plan)))
            return _result("more", cursor.model_copy(update={"console": marked}), 2, "its console is noted")
        # Before the note, which keeps what may serve; and after it, since the end may be said in between.
        _check_wanted(state, plan, desk)
        # Noted before anything is started: from then on the server may serve at home.
        started = desk.servers.reach(state.run.id, plan.id, "started", desk.clock.now()).started
    _check_wanted(state, plan, desk)
    cursor = cursor.model_copy(update={"off": True, "released": True, "started": True})
    if not desk.takeovers.arrange(_own_machine(state, plan, record, running=True)):
        return _result("pending", cursor, 3, f"starting {_own_name(plan)}")
    noted = state.needed(started, "a time of its start")
    facts = CutOver(machine=_own_name(plan), started=noted, console=cursor.console)
    return _result("done", cursor, STEPS, "").model_copy(update={"facts": facts})


def _wrote_before(plan: ServerPlan) -> bool:
    """Whether its console may hold words of the server's own from before: it ran, and didn't boot the client since."""
    return plan.way == "helper" and bool(plan.original)


def _check_launched(state: RunState, record: ServerRecord, plan: ServerPlan) -> None:
    """Replication ends with the launch: disks that are moved before it are worth nothing."""
    if record.milestones.launched is not None and facts_of(state.await_launch) is not None:
        return
    message = (
        f"{plan.hostname} ({plan.id}) isn't launched as far as this run knows, so its disks stay in the client "
        "machine, and nothing was changed. Usually a stage before this one was skipped. Give the server back, and "
        "start again."
    )
    raise CutOverFailed(message)


def _check_wanted(state: RunState, plan: ServerPlan, desk: ChangeDesk) -> None:
    """A call may outlive its execution: whoever gives the server back says so first, and looks for its start then."""
    record = desk.servers.find(state.run.id, plan.id)
    if record is None or record.outcome is None:
        return
    message = (
        f"{plan.hostname} ({plan.id}) isn't started at home: its part of the run has ended already "
        f"({record.outcome.outcome}). Usually the run's execution was stopped, and is cleaned up after. Take the "
        "server home in a new run."
    )
    raise CutOverFailed(message)


def _wait_for_the_client(state: RunState, plan: ServerPlan, cursor: CutOverCursor, desk: ChangeDesk) -> Result:
    """Look whether it has turned itself off."""
    now, how = desk.clock.now(), desk.machines.state(plan.machine)
    if how == "stopped":
        # Kept by the state before a disk is moved: later on it's the server itself that runs in this machine.
        return _result("more", cursor.model_copy(update={"off": True}), 1, "the client machine is off")
    if how in {"failed", "absent"}:
        raise CutOverFailed(_lost(plan, how))
    since = _since(state, cursor) or now
    if (now - since).total_seconds() >= LONGEST_SHUTDOWN:
        raise CutOverFailed(_still_on(plan, desk.machines.console(plan.machine)))
    cursor = cursor.model_copy(update={"since_off": since})
    return _result("pending", cursor, 0, f"waiting until {plan.machine} turns itself off")


def _since(state: RunState, cursor: CutOverCursor) -> datetime | None:
    """Since when the client has been waited for; None to begin anew, where a person has had it tried again."""
    tried_again = facts_of(state.hold_server)
    if cursor.since_off and tried_again and tried_again.at > cursor.since_off:
        return None
    return cursor.since_off


def _released(state: RunState, plan: ServerPlan, desk: ChangeDesk) -> bool:
    """Leave a helping machine with the disk that it booted the client from; True once it has no other."""
    helper = desk.takeovers.find(plan.machine) if plan.way == "helper" else None
    if helper is None:
        return True
    boot = state.needed(next((disk for disk in helper.disks if disk.lun is None), None), "a disk of the client's")
    wanted = Arrangement(
        machine=plan.machine,
        boot=boot.name,
        os=plan.os,
        firmware=plan.client_firmware,
        running=False,
        tags=run_tags(state.run.id, state.run.started, server=plan.id),
    )
    return desk.takeovers.arrange(wanted)


def _put_together(state: RunState, plan: ServerPlan, record: ServerRecord, desk: ChangeDesk) -> bool:
    """Have the disks in the server's own machine, which stays off; True once they are.

    A machine that's yet to be made waits: a home starts it with making it.
    """
    if plan.way == "helper" and not plan.original:
        return True
    return desk.takeovers.arrange(_own_machine(state, plan, record, running=False))


def _own_machine(state: RunState, plan: ServerPlan, record: ServerRecord, *, running: bool) -> Arrangement:
    """The server's own machine with the replicated disks, told nothing of the run's; else as its original was."""
    before = record.before.original if record.before else None
    original = state.needed(before, "an image of the original machine") if plan.original else None
    boot = state.needed(next((disk for disk in plan.disks if disk.boot), None), "a disk that the server boots from")
    data = [Attachment(disk.name, _home_lun(disk), disk.caching) for disk in plan.disks if not disk.boot]
    if original is not None and plan.way == "original":
        data += _left_alone(original, plan, {each.lun for each in data})
    return Arrangement(
        machine=_own_name(plan),
        boot=boot.name,
        os=plan.os,
        firmware=plan.firmware,
        running=running,
        tags=run_tags(state.run.id, state.run.started, server=plan.id),
        data=tuple(data),
        size="" if original else plan.home_size,
        like=original,
    )


def _left_alone(original: Original, plan: ServerPlan, taken: set[int]) -> Iterator[Attachment]:
    """The disks of the original that take no volume: they come back to where they were."""
    replaced = {disk.original.casefold() for disk in plan.disks}
    for disk in original.disks:
        if disk.lun is not None and disk.lun not in taken and disk.id.casefold() not in replaced:
            yield Attachment(disk.name, disk.lun, disk.caching)


def _own_name(plan: ServerPlan) -> str:
    return plan.original or plan.own_machine


def _home_lun(disk: PlannedDisk) -> int:
    return disk.lun if disk.home_lun is None else disk.home_lun


def _lost(plan: ServerPlan, how: str) -> str:
    found = "isn't at home any more" if how == "absent" else "has failed, as the home says"
    return (
        f"DRS has launched {plan.hostname} ({plan.id}), but its client machine {plan.machine} {found}. Usually "
        "somebody removed or changed it; the home's activity log says who. Its disks may be there still: look at them "
        "before you decide what becomes of the server."
    )


def _still_on(plan: ServerPlan, console: str) -> str:
    return (
        f"DRS has launched {plan.hostname} ({plan.id}), but its client machine {plan.machine} still runs after "
        f"{LONGEST_SHUTDOWN // 60} minutes. Usually it hangs in shutting down, or has booted the client again. Look at "
        "its console; when the client has nothing left to do, turn the machine off and have this stage tried again. "
        f"The end of its console:\n{tail(console) or '(nothing)'}"
    )


def _result(status: Status, cursor: CutOverCursor, done: int, note: str) -> Result:
    progress = Progress(done=done, total=STEPS, unit="steps", note=note)
    wait = LOOK_AGAIN if status == "pending" else 0
    return StageResult(status=status, wait_seconds=wait, progress=progress, cursor=cursor)
