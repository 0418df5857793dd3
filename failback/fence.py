"""Fences: what stops the workload on a recovery instance, so that nothing is written there that home doesn't get.

Everything may be called again: a fence that's up stays up, one that's half up goes up, one that's down stays down. The
instance itself is never stopped or changed otherwise.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from failback.fence_kinds import FenceDesk as FenceDesk
from failback.fence_kinds import FenceOrder as FenceOrder
from failback.fence_kinds import (
    ask_function,
    exchange_groups,
    function_event,
    give_groups_back,
    have_function_lift,
    run_document,
    run_lift_document,
)
from failback.model.cutover import DocumentFence, FunctionFence, GroupFence
from failback.model.way_home import Fenced

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.model.cutover import Fence
    from failback.model.server import ServerRecord
    from failback.model.way_home import FenceCursor

_GONE = frozenset({"shutting-down", "terminated"})
UNFENCED = "nothing stops the workload: what it writes after the launch stays on AWS, and both sides may serve"


def raise_fence(
    fence: Fence | None, record: ServerRecord, order: FenceOrder, cursor: FenceCursor | None, desk: FenceDesk
) -> Fenced | FenceCursor:
    """Begin or go on stopping the workload: how it was stopped, or where to go on some seconds later.

    Raises FenceFailed where it can't be stopped, or not in the fence's time.
    """
    if isinstance(fence, GroupFence):
        return exchange_groups(fence, record, order, desk)
    if isinstance(fence, DocumentFence):
        return run_document(fence, record, order, cursor, desk)
    if isinstance(fence, FunctionFence):
        return ask_function(fence, record, order, cursor, desk)
    return Fenced(kind="none", said=UNFENCED)


def lift_fence(fence: Fence | None, record: ServerRecord, run: str, desk: FenceDesk) -> bool:
    """Let the workload go on; True once it may, False to be called again some seconds later.

    A fence that was only begun is lifted all the same; one that never was isn't touched, nor one whose instance is
    gone. Raises NotGivenBack where a person has to do it.
    """
    if record.milestones.fenced is None or not isinstance(fence, GroupFence | DocumentFence | FunctionFence):
        return True
    host = desk.hosts.describe([record.id]).get(record.id)
    if host is None or host.state in _GONE:
        return True
    if isinstance(fence, GroupFence):
        return give_groups_back(fence, record, desk)
    if isinstance(fence, DocumentFence):
        return run_lift_document(fence, record, run, desk)
    return have_function_lift(fence, record, run, desk)


def lift_command(fence: Fence | None, record: ServerRecord, run: str = "") -> str:
    """How a person lifts the fence; empty where there's none."""
    if isinstance(fence, GroupFence):
        groups = " ".join(record.before.groups) if record.before else "GROUPS"
        return f"aws ec2 modify-instance-attribute --instance-id {record.id} --groups {groups}"
    if isinstance(fence, DocumentFence) and fence.lift_document is None:
        return f"start what {fence.document} has stopped on {record.id} by hand"
    if isinstance(fence, DocumentFence):
        what = f"--instance-ids {record.id} --document-name {fence.lift_document}"
        return f"aws ssm send-command {what}{_parameters(fence.lift_parameters)}"
    if isinstance(fence, FunctionFence):
        event = shlex.quote(json.dumps(function_event("lift", record, run)))
        options = "--cli-binary-format raw-in-base64-out"
        return f"aws lambda invoke --function-name {fence.function} {options} --payload {event} answer.json"
    return ""


def _parameters(given: Mapping[str, Sequence[str]]) -> str:
    return f" --parameters {shlex.quote(json.dumps(given))}" if given else ""
