"""Closing a server that was accepted: its machine is handed over, what its way home took is removed, AWS put back.

Level-triggered and repeatable. Nothing is removed at home before the server's own machine, its disks and its interface
carry no tag of the run any more. What can't be removed is told with its command, and the server is home all the same.
The fence stays up, and so does the recovery instance.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from failback.clearing import Clearing
from failback.client_machine import server_record
from failback.errors import CloudBusy, FailbackError
from failback.home_return import SNAPSHOT
from failback.last_steps import disks_kept, last_steps, snapshots_kept
from failback.model.ending import Belonging, Returned
from failback.model.server import ServerOutcome
from failback.model.stage import Progress, StageResult, cursor_of, facts_of
from failback.naming import RUN_TAG, TAKEN_TAG, TARGET_TAG, server_lock
from failback.server_return import LOCK_TIME, Standing, configure_command, rules_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic import JsonValue

    from failback.clearing import Cloud, Guard
    from failback.home_ports import Home
    from failback.model.original import OriginalDisk
    from failback.model.run import RunState
    from failback.model.server import ServerPlan, ServerRecord
    from failback.ports import Belongings, Clock, RunLog
    from failback.recovery_ports import RecoveryService, ServerBook

    Result = StageResult[Returned, dict[str, JsonValue]]

HANDING_OVER = 10
"""Seconds until a machine is looked at again whose tags are being taken off: a home does that in seconds."""


@dataclass(frozen=True, slots=True)
class ClosingDesk:
    """What closing takes: `home` gives access to the home, which may fail by itself, `aws` is the other cloud."""

    home: Callable[[], Home]
    aws: Cloud
    recovery: RecoveryService
    servers: ServerBook
    run_log: RunLog
    guard: Guard
    clock: Clock


@dataclass(frozen=True, slots=True)
class _AllBut:
    """Belongings without those of a kind, which stay."""

    whole: Belongings
    kind: str

    def made_by(self, run: str, *, server: str = "") -> Sequence[Belonging]:
        return [each for each in self.whole.made_by(run, server=server) if each.kind != self.kind]

    def of_run(self, run: str) -> Sequence[Belonging]:
        return [each for each in self.whole.of_run(run) if each.kind != self.kind]

    def remove(self, belonging: Belonging) -> bool:
        return self.whole.remove(belonging)

    def command(self, belonging: Belonging) -> str:
        return self.whole.command(belonging)


def close_server(state: RunState, desk: ClosingDesk) -> Result:
    """Close it, or go on; `pending` while a cloud is still at it, `done` with what had to be left.

    A cloud that's busy ends the call with CloudBusy: the next one goes on.
    """
    record = server_record(state, desk.servers)
    plan = state.needed(record.plan, "a plan of the server")
    cursor = cursor_of(state.close_server)
    clearing = Clearing.resumed(state.run.id, cursor, guard=desk.guard, clock=desk.clock)
    machine = state.needed(facts_of(state.cut_over), "a machine of the server's own").machine
    handed_over = _hand_over(state, machine, clearing, desk)
    if handed_over is False:
        progress = Progress(done=0, total=1, unit="steps", note=f"handing {machine} over")
        return StageResult(status="pending", wait_seconds=HANDING_OVER, progress=progress, cursor=cursor)
    if handed_over:
        clearing.clear((state.home.name, partial(_what_goes, state, desk)), server=plan.id)
    if clearing.waiting:
        return clearing.result()
    if _holds(state, plan, desk):
        _put_back(record, plan, clearing, desk)
    _settle(state, record, plan, machine, desk)
    # Settled by then: servers that share a rule have it removed by the last of them that ends.
    for server in rules_of(record, plan.id, lambda: desk.servers.of(state.run.id)):
        clearing.clear(desk.aws, server=server)
    if not clearing.waiting:
        desk.run_log.release(server_lock(plan.id), state.run.id)
    return clearing.result()


def _hand_over(state: RunState, machine: str, clearing: Clearing, desk: ClosingDesk) -> bool | None:
    """True once nothing of the server itself has a tag of the run; None where that's refused, and then all stays."""
    thing = Belonging(cloud=state.home.name, kind="machine", id=machine, name=machine)
    tags = f"the tag {RUN_TAG} or {TAKEN_TAG} with the value {state.run.id}"
    command = f"look at home for {machine}, its disks and its interfaces, and take {tags} off them"
    handed = clearing.undo(thing, lambda: desk.home().takeovers.hand_over(machine, run=state.run.id), command)
    if handed is None:
        rest = Belonging(cloud=state.home.name, kind="everything", id=state.one)
        why = f"{machine} couldn't be handed over: what has {tags} may be the server itself, so that all of it was left"
        clearing.leave(rest, why, f"take it off the server first, then remove what has {tags}")
    return handed


def _what_goes(state: RunState, desk: ClosingDesk) -> Belongings:
    """What the way home took, without the snapshots that are kept for a while."""
    whole = desk.home().belongings
    return _AllBut(whole, SNAPSHOT) if state.cutover.snapshot_days else whole


def _holds(state: RunState, plan: ServerPlan, desk: ClosingDesk) -> bool:
    """Whether the server is still the run's: a call that's repeated late may meet another run's work."""
    now, run = desk.clock.now(), state.run.id
    return desk.run_log.lease(server_lock(plan.id), run, now=now, until=now + LOCK_TIME) == run


def _put_back(record: ServerRecord, plan: ServerPlan, clearing: Clearing, desk: ClosingDesk) -> None:
    """Put the recovery instance's configuration and tags back; one that's gone needs neither."""
    recovery, standing = desk.recovery, Standing.look([plan.id], desk.recovery, desk.guard)
    instance = standing.instances.get(plan.id)
    if instance is None and not standing.blind:
        return
    if record.before is not None:
        configure = partial(recovery.configure, plan.id, record.before.configuration)
        command = configure_command(plan.id, record.before.configuration)
        _undo(_thing("failback-configuration", plan), configure, command, clearing)
    tag, command = _thing("tag", plan), f"aws drs untag-resource --tag-keys {TARGET_TAG} --resource-arn "
    if instance is None:
        arn = f"ARN, which 'aws drs describe-recovery-instances' gives for {plan.id}"
        clearing.leave(tag, standing.blind, command + arn)
    else:
        _undo(tag, partial(recovery.unmark, instance.arn, [TARGET_TAG]), command + instance.arn, clearing)


def _thing(kind: str, plan: ServerPlan) -> Belonging:
    return Belonging(cloud="aws", kind=kind, id=plan.id, name=plan.hostname)


def _undo(thing: Belonging, call: Callable[[], None], command: str, clearing: Clearing) -> None:
    def done() -> bool:
        call()
        return True

    if clearing.undo(thing, done, command) and thing not in clearing.removed:
        clearing.removed.append(thing)


def _settle(state: RunState, record: ServerRecord, plan: ServerPlan, machine: str, desk: ClosingDesk) -> None:
    """Note that the server is home, with what's left to a person; the first time counts."""
    if record.outcome is not None and record.outcome.outcome == "home":
        return
    now = desk.clock.now()
    try:
        source = desk.guard(lambda: desk.recovery.sources([plan.source_server])).get(plan.source_server)
    except CloudBusy:
        raise
    except FailbackError:
        # The ending says that it isn't known, and how to look.
        source = None
    kept = _kept(state, record, machine, desk)
    ending = last_steps(plan, state.cutover, source=source, kept=kept)
    desk.servers.settle(state.run.id, plan.id, ServerOutcome(outcome="home", at=now, ending=ending))


def _kept(state: RunState, record: ServerRecord, machine: str, desk: ClosingDesk) -> Sequence[str]:
    """What's still there of the server's originals: snapshots for a while, and disks that it doesn't use any more."""
    try:
        return desk.guard(lambda: _listed(state, record, machine, desk))
    except CloudBusy:
        raise
    except FailbackError as error:
        return [f"What's kept of the server's original disks and snapshots can't be listed: {error}"]


def _listed(state: RunState, record: ServerRecord, machine: str, desk: ClosingDesk) -> Sequence[str]:
    home, until = desk.home(), desk.clock.now() + timedelta(days=state.cutover.snapshot_days)
    made = home.belongings.made_by(state.run.id, server=record.id) if state.cutover.snapshot_days else ()
    snapshots = [each for each in made if each.kind == SNAPSHOT]
    return [
        *snapshots_kept(snapshots, home.belongings, until),
        *disks_kept(_detached(record, machine, home), state.home.name, home.belongings),
    ]


def _detached(record: ServerRecord, machine: str, home: Home) -> Sequence[OriginalDisk]:
    """The disks that the original machine had before the run, and hasn't now."""
    original = record.before.original if record.before else None
    if original is None:
        return ()
    present = home.takeovers.find(machine)
    used = {disk.id.casefold() for disk in present.disks} if present else set()
    return [disk for disk in original.disks if disk.id.casefold() not in used]
