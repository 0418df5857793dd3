"""How each kind of fence is raised and lifted: security groups, an SSM document, a function of the customer's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from failback.errors import CloudRefused, FenceFailed, NotGivenBack
from failback.model.way_home import FenceCursor, Fenced
from failback.naming import short_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from failback.model.cutover import DocumentFence, FunctionFence, GroupFence
    from failback.model.server import ServerRecord
    from failback.ports import Clock
    from failback.recovery_ports import Documents, RecoveryHosts
    from failback.takeover_ports import Hooks

LIFT_TRIES = 3
"""Commands that are sent to lift a fence, each after the one before has failed."""
LIFT_MINUTES = 15
"""A command that lifts reaches its instance within so many minutes, or fails."""
LONGEST_COMMAND = timedelta(hours=1)
"""The fence's own command may go on for so long beyond its minutes; until then it isn't lifted against it."""
HISTORY = timedelta(days=28)
"""Systems Manager knows commands for 30 days: until then, one that it doesn't know was never begun."""
LONGEST_ANSWER = 300
"""Characters of a function's answer that are told."""
# SSM's comments have 100 characters, a run's name up to 80.
_LONGEST_RUN = 60
_HOLD_ADVICE = "Put that right and have the stage tried again, or give the server back: it isn't launched"


@dataclass(frozen=True, slots=True)
class FenceDesk:
    """What fences take of AWS."""

    hosts: RecoveryHosts
    documents: Documents
    hooks: Hooks
    clock: Clock


@dataclass(frozen=True, slots=True)
class FenceOrder:
    """A fence that's wanted by a run; `open_way` lets the client in to port 1500 by another security group.

    `again` is when a person had it tried again: what had come of it before doesn't count then.
    """

    run: str
    open_way: Callable[[str], object]
    again: datetime | None = None

    def cursor(self, cursor: FenceCursor | None) -> FenceCursor:
        """Where this try goes on."""
        if cursor is None or (self.again and cursor.asked and cursor.asked < self.again):
            return FenceCursor()
        return cursor


def exchange_groups(fence: GroupFence, record: ServerRecord, order: FenceOrder, desk: FenceDesk) -> Fenced:
    """The way to port 1500 first, so that replication never stands still."""
    before = record.before.groups if record.before else ()
    if not before:
        _fail(record, "its security groups weren't written down before, so they couldn't be given back")
    host = desk.hosts.describe([record.id]).get(record.id)
    now = host.groups if host else ()
    if set(now) not in ({fence.group}, set(before)):
        since = f"its security groups are {', '.join(now) or 'none'}, and were {', '.join(before)} when the run began"
        _fail(record, f"{since}; what they are now couldn't be given back. Give it those that it had")
    order.open_way(fence.group)
    desk.hosts.exchange_groups(record.id, [fence.group])
    # EC2 user guide, "Security group connection tracking".
    said = f"its security group is {fence.group}; connections that were open may go on until they end"
    return Fenced(kind=fence.kind, said=said)


def give_groups_back(fence: GroupFence, record: ServerRecord, desk: FenceDesk) -> bool:
    """Only where the fence's group is: without groups written down, none were exchanged."""
    if record.before is not None and record.before.groups:
        desk.hosts.exchange_groups(record.id, record.before.groups, holding=fence.group)
    return True


def run_document(
    fence: DocumentFence, record: ServerRecord, order: FenceOrder, cursor: FenceCursor | None, desk: FenceDesk
) -> Fenced | FenceCursor:
    """One command for each try."""
    here, now = order.cursor(cursor), desk.clock.now()
    token = fence_token(order.run, record.id) + (f"-{order.again.timestamp():.0f}" if order.again else "")
    command = here.command or desk.documents.run(
        record.id, fence.document, fence.parameters, token=token, minutes=fence.minutes
    )
    status, said = desk.documents.outcome(record.id, command)
    if status == "done":
        return Fenced(kind=fence.kind, said=said or f"{fence.document} succeeded")
    asked = here.asked or now
    if status == "failed" or _is_over(asked, now, fence.minutes):
        what = "failed" if status == "failed" else f"hasn't ended within {fence.minutes} minutes"
        _fail(record, f"the SSM document {fence.document} {what} (command {command}): {said or 'it said nothing'}")
    return FenceCursor(command=command, asked=asked)


def run_lift_document(fence: DocumentFence, record: ServerRecord, run: str, desk: FenceDesk) -> bool:
    """Never while the fence's own command may still run: it would stop again what was started."""
    age = desk.clock.now() - (record.milestones.fenced or desk.clock.now())
    begun = desk.documents.begun(record.id, token=fence_token(run, record.id))
    if not begun and age < HISTORY:
        return True
    under_way = [each for each in begun if desk.documents.outcome(record.id, each)[0] == "pending"]
    if under_way and age < timedelta(minutes=fence.minutes) + LONGEST_COMMAND:
        return False
    if fence.lift_document is None:
        message = (
            f"{_name(record)}: the SSM document {fence.document} has stopped the workload, and the run knows none that "
            "starts it. Start it by hand."
        )
        raise NotGivenBack(message)
    said = ""
    for number in range(1, LIFT_TRIES + 1):
        token = _token(run, record.id, "lift" if number == 1 else f"lift-{number}")
        command = desk.documents.run(
            record.id, fence.lift_document, fence.lift_parameters, token=token, minutes=LIFT_MINUTES
        )
        status, said = desk.documents.outcome(record.id, command)
        if status != "failed":
            return status == "done"
    message = (
        f"{_name(record)}: the SSM document {fence.lift_document} has failed {LIFT_TRIES} times: "
        f"{said or 'it said nothing'}. The workload may be stopped still: look at its commands, and start it by hand."
    )
    raise NotGivenBack(message)


def ask_function(
    fence: FunctionFence, record: ServerRecord, order: FenceOrder, cursor: FenceCursor | None, desk: FenceDesk
) -> Fenced | FenceCursor:
    """Called at each look until it says that it's done."""
    now = desk.clock.now()
    asked = order.cursor(cursor).asked or now
    try:
        answer = desk.hooks.call(fence.function, function_event("fence", record, order.run))
    except CloudRefused as error:
        _fail(record, f"the function {fence.function} failed: {error}", error)
    if answer.get("status") == "done":
        return Fenced(kind=fence.kind, said=_told(answer))
    if answer.get("status") != "pending":
        _fail(record, f"the function {fence.function} gave neither done nor pending, but {_told(answer)}")
    if _is_over(asked, now, fence.minutes):
        _fail(record, f"the function {fence.function} isn't done within {fence.minutes} minutes: {_told(answer)}")
    return FenceCursor(asked=asked)


def have_function_lift(fence: FunctionFence, record: ServerRecord, run: str, desk: FenceDesk) -> bool:
    """Called at each look, too."""
    answer = desk.hooks.call(fence.function, function_event("lift", record, run))
    if answer.get("status") not in {"done", "pending"}:
        message = (
            f"{_name(record)}: the function {fence.function} was to lift the fence and gave {_told(answer)}. The "
            "workload may be stopped still: start it by hand."
        )
        raise NotGivenBack(message)
    return answer["status"] == "done"


def function_event(action: str, record: ServerRecord, run: str) -> Mapping[str, str]:
    """What a customer's function is called with."""
    return {"action": action, "run": run, "server": record.id, "instance": record.id}


def fence_token(run: str, server: str) -> str:
    """What all commands that raise a server's fence begin with."""
    return _token(run, server, "fence")


def _token(run: str, server: str, what: str) -> str:
    short = run if len(run) <= _LONGEST_RUN else f"{run[: _LONGEST_RUN - 11]}-{short_hash(run)}"
    return f"{short}-{server}-{what}"


def _is_over(asked: datetime, now: datetime, minutes: int) -> bool:
    return now - asked >= timedelta(minutes=minutes)


def _told(answer: Mapping[str, object]) -> str:
    return str(dict(answer))[:LONGEST_ANSWER]


def _name(record: ServerRecord) -> str:
    return f"{record.plan.hostname} ({record.id})" if record.plan else record.id


def _fail(record: ServerRecord, why: str, error: Exception | None = None) -> NoReturn:
    message = f"The workload on {_name(record)} isn't stopped: {why.rstrip('.')}. {_HOLD_ADVICE}."
    raise FenceFailed(message) from error
