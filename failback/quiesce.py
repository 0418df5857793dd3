"""Stopping a server's workload on AWS before it's launched at home: the last step that leaves no trace at home.

What's written on AWS after the launch is lost there. So nothing is stopped that nobody wants launched, and that a fence
is being raised is written down first: from then on giving the server back lifts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from failback.client_access import open_way
from failback.errors import FenceFailed
from failback.fence import FenceOrder, raise_fence
from failback.model.request import NO_FENCE
from failback.model.stage import Progress, StageResult, cursor_of, facts_of
from failback.model.way_home import FenceCursor, Fenced
from failback.naming import run_tags

if TYPE_CHECKING:
    from datetime import datetime

    from failback.fence import FenceDesk
    from failback.model.run import RunState
    from failback.model.server import ServerRecord
    from failback.recovery_ports import ServerBook

    Result = StageResult[Fenced, FenceCursor]

STAGE = "quiesce"
LOOK_AGAIN = 10
"""Seconds between two looks: the longest fence of two hours takes 720 of them."""


@dataclass(frozen=True, slots=True)
class QuiesceWork:
    """What stopping a workload takes of AWS."""

    servers: ServerBook
    desk: FenceDesk


def quiesce(state: RunState, work: QuiesceWork) -> Result:
    """Raise the server's fence; `pending` while that's under way.

    Raises FenceFailed where it can't be raised, and where nobody has approved the launch.
    """
    _check(state)
    record = state.needed(work.servers.find(state.run.id, state.one), "a record of the server")
    reached = work.servers.reach(state.run.id, record.id, "fenced", work.desk.clock.now())
    record = record.model_copy(update={"milestones": reached})
    order = FenceOrder(run=state.run.id, open_way=partial(_open, state, record, work.desk), again=_again(state))
    come_to = raise_fence(state.cutover.fence, record, order, cursor_of(state.quiesce), work.desk)
    if isinstance(come_to, Fenced):
        return StageResult(status="done", progress=Progress(done=1, total=1, unit="steps"), facts=come_to)
    kind = state.cutover.fence.kind if state.cutover.fence else "none"
    progress = Progress(done=0, total=1, unit="steps", note=f"stopping the workload on AWS ({kind})")
    return StageResult(status="pending", wait_seconds=LOOK_AGAIN, progress=progress, cursor=come_to)


def _check(state: RunState) -> None:
    """The state machine's order says so too; this is what a launch must never happen without."""
    if facts_of(state.await_approval) is None:
        message = (
            f"Nobody has approved the launch of {state.one}, so its workload on AWS isn't stopped. The state machine "
            "came here without it: deploy the one that belongs to these functions, and start again."
        )
        raise FenceFailed(message)
    if state.goal == "failback" and state.cutover.fence is None:
        raise FenceFailed(NO_FENCE)


def _again(state: RunState) -> datetime | None:
    """When a person had this very stage tried again."""
    held = facts_of(state.hold_server)
    return held.at if held is not None and held.next == STAGE else None


def _open(state: RunState, record: ServerRecord, desk: FenceDesk, group: str) -> str:
    """Let the client in by another security group, as it was by the recovery instance's own."""
    plan = state.needed(record.plan, "a plan of the server")
    client = state.needed(facts_of(state.boot_client), "a client machine")
    tags = run_tags(state.run.id, state.run.started, server=record.id)
    there = plan.model_copy(update={"group": group})
    return open_way(state, there, client.address, hosts=desk.hosts, tags=tags)
