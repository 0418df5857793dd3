"""What's left to a person once a server is home, each step with its command: no run ends anything on AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.model.ending import Belonging
from failback.model.server import Ending
from failback.replication import FLOWING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from failback.model.cutover import CutoverChoice
    from failback.model.original import OriginalDisk
    from failback.model.recovery import SourceServer
    from failback.model.server import ServerPlan
    from failback.ports import Belongings

MOST_NAMED = 60
"""Snapshots, and disks, that are named with their commands: as many as a server may have."""
_HALTED = frozenset({"STOPPED", "DISCONNECTED", "PAUSED", "STALLED"})
"""States in which nothing reaches AWS (botocore's service model drs 2020-02-26, DataReplicationState)."""


def is_protected(source: SourceServer | None) -> bool | None:
    """Whether what the server writes at home reaches AWS again; None where that can't be told from DRS's word."""
    state = source.replication_state if source else ""
    if state in FLOWING:
        return True
    return False if state in _HALTED else None


def last_steps(
    plan: ServerPlan,
    cutover: CutoverChoice,
    *,
    source: SourceServer | None,
    kept: Sequence[str],
) -> Ending:
    """The ending of a server that's home; `kept` are the lines on what's still there of its originals."""
    advice = (*_protection(plan, source), *_end_on_aws(plan, cutover), *kept)
    return Ending(protected=is_protected(source), advice=advice)


def snapshots_kept(snapshots: Sequence[Belonging], at_home: Belongings, until: datetime) -> Iterator[str]:
    """A line for each snapshot of an original disk."""
    for each in snapshots[:MOST_NAMED]:
        name = each.name or each.id
        yield f"The snapshot {name} is kept until {until:%Y-%m-%d}; remove it then: {at_home.command(each)}"
    yield from _rest(len(snapshots), "snapshots")


def disks_kept(disks: Sequence[OriginalDisk], home: str, at_home: Belongings) -> Iterator[str]:
    """A line for each original disk that the server doesn't use any more."""
    for each in disks[:MOST_NAMED]:
        command = at_home.command(Belonging(cloud=home, kind="disk", id=each.id, name=each.name))
        yield f"The original disk {each.name} is detached and as it was; remove it once nobody needs it: {command}"
    yield from _rest(len(disks), "original disks")


def _rest(count: int, what: str) -> Iterator[str]:
    if count > MOST_NAMED:
        yield f"{count - MOST_NAMED} more {what} are kept."


def _protection(plan: ServerPlan, source: SourceServer | None) -> Iterator[str]:
    state, protected = source.replication_state if source else "", is_protected(source)
    if protected:
        yield f"DRS protects the server again: source server {plan.source_server} replicates to AWS ({state})."
        return
    look = f"aws drs describe-source-servers --filters sourceServerIDs={plan.source_server}"
    if protected is None:
        said = f"calls its replication {state}" if state else "doesn't say how its replication stands"
        yield f"DRS {said}, so it isn't known whether the server is protected again. Look once more: {look}"
        return
    yield (
        f"The server isn't protected: DRS calls its replication to AWS {state}. See that the AWS Replication Agent "
        "runs in it and gets to AWS; where it's gone, install it anew. A replication that was stopped is begun by 'aws "
        f"drs start-replication --source-server-id {plan.source_server}'. Look again: {look}"
    )


def _end_on_aws(plan: ServerPlan, cutover: CutoverChoice) -> Iterator[str]:
    """The fence stays as it is: a recovery instance whose server is home isn't to serve again."""
    kind = cutover.fence.kind if cutover.fence else "none"
    if kind == "none":
        yield f"Nothing was fenced: the recovery instance {plan.id} may still serve. Stop what runs on it, or end it."
    else:
        yield f"The fence of the recovery instance {plan.id} ({kind}) stays up: it isn't to serve again."
    yield (
        f"When you're sure that nothing on it is needed, end the recovery instance: 'aws drs "
        f"terminate-recovery-instances --recovery-instance-ids {plan.id}'. To keep it as a plain EC2 instance: 'aws "
        f"drs disconnect-recovery-instance --recovery-instance-id {plan.id}', and then 'aws drs "
        f"delete-recovery-instance --recovery-instance-id {plan.id}'."
    )
