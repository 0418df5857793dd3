"""What keeps a recovery instance from going home, and what a person should know: judged by what AWS says of it. Pure.

Each line is `what: how it is; what to do`. A fault keeps the whole run from beginning, a hint only stands in its plan.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from failback.model.recovery import Host, RecoveryInstance, SourceServer
    from failback.model.request import Goal
    from failback.model.run import RunState

AGENT_LATE = timedelta(minutes=10)
"""An agent reports every minute or so: after this it's worth a look."""
AGENT_GONE = timedelta(days=1)
"""After this it's broken or cut off, and its client would wait for it in vain."""

_UNDER_WAY = "end it in the DRS console or by `aws drs stop-failback --recovery-instance-id {id}`, and start again"
_FAILBACK_ADVICE = {
    "FAILBACK_IN_PROGRESS": "a failback is under way; wait for its end or " + _UNDER_WAY,
    "FAILBACK_READY_FOR_LAUNCH": "a failback has replicated all and waits for its launch; launch it, or " + _UNDER_WAY,
    "FAILBACK_NOT_READY_FOR_LAUNCH": "a failback is under way and was interrupted; " + _UNDER_WAY,
    "FAILBACK_COMPLETED": "it has gone home already, and doing so again brings older data over newer; leave it out, or "
    "if what came home is lost, " + _UNDER_WAY,
    "FAILBACK_ERROR": "an earlier failback failed and is still there; read its cause in the DRS console, then "
    + _UNDER_WAY,
}
_FAILBACK_UNKNOWN = "DRS doesn't say that no failback is under way; look at it in the DRS console, and if there's one, "


def instance_faults(instance: RecoveryInstance, source: SourceServer | None, *, goal: Goal) -> Iterator[str]:
    """By DRS's record of the recovery instance and of its original."""
    if not instance.is_drill and goal == "rehearse":
        yield (
            "drill: it's the production's recovery instance, and a rehearsal takes none home; start a drill in DRS and "
            "name its instance"
        )
    if instance.is_drill and goal == "failback":
        yield (
            "drill: it's a drill's instance, not the production's; name the recovery instance that serves, or let "
            "goal check say how it would go"
        )
    if instance.origin != "ON_PREMISES":
        yield (
            f"origin: it comes from {instance.origin}, where DRS reverses the replication by itself; use reverse "
            "replication in the DRS console"
        )
    if source is not None and source.architecture not in {"", "x86_64"}:
        yield (
            f"architecture: it's {source.architecture}, and AWS's failback client runs on x86_64 only; move its "
            "data by other means"
        )
    if instance.failback_state != "FAILBACK_NOT_STARTED":
        advice = _FAILBACK_ADVICE.get(instance.failback_state, _FAILBACK_UNKNOWN + _UNDER_WAY)
        yield f"failback: {instance.failback_state}: {advice.format(id=instance.id)}"


def host_faults(host: Host | None, *, private_ip: bool) -> Iterator[str]:
    """By the EC2 instance itself."""
    if host is None:
        yield "ec2: there's no such instance (any more); if it was terminated, recover the server first"
        return
    if host.state.lower() != "running":
        yield f"ec2: the instance is {host.state.lower()}; start it, wait until its agent reports, and start again"
    if not host.groups:
        yield "security group: the instance has none, so that nothing can be let in to its port 1500; give it one"
    if not private_ip and not host.public_address:
        yield (
            "public address: the instance has none to be reached by; give it one, or set replication.private_ip "
            "and a VPN"
        )


def agent_faults(seen: datetime | None, now: datetime) -> Iterator[str]:
    """By when the replication agent in the recovery instance was last heard of."""
    if seen is not None and now - seen > AGENT_GONE:
        yield (
            f"agent: DRS last heard of its replication agent {_ago(now - seen)} ago; see that it runs and gets out "
            "by 443, or reinstall it"
        )


def hints(instance: RecoveryInstance, host: Host | None, *, state: RunState, now: datetime) -> Iterator[str]:
    """What's no fault, and yet worth knowing."""
    if instance.is_drill and state.goal == "check":
        yield "drill: it's a drill's instance; goal rehearse takes it, goal failback doesn't"
    if instance.agent_seen is None:
        yield "agent: DRS doesn't say when it last heard of its replication agent; see that it runs"
    elif AGENT_LATE < now - instance.agent_seen <= AGENT_GONE:
        yield f"agent: DRS last heard of its replication agent {_ago(now - instance.agent_seen)} ago; see that it runs"
    if host is not None and not host.profile:
        yield "instance profile: it has none; its agent needs AWSElasticDisasterRecoveryRecoveryInstancePolicy"
    if state.replication.private_ip:
        yield "network: private addresses are used, which takes a VPN or a private line between home and AWS"


def target_faults(state: RunState) -> Iterator[str]:
    """By the target alone: told once for the run."""
    target = state.target
    if target.client is None:
        yield (
            f"client: {target.name} doesn't say how client machines get at AWS; set client in the target, to "
            "an identity of the home's or to keys, and deploy again"
        )
    if not state.replication.private_ip and not target.egress:
        yield (
            f"egress: {target.name} doesn't say which public addresses its machines come from, and by the "
            "internet only those are let in to port 1500; set egress in the target, or replication.private_ip"
        )


def _ago(age: timedelta) -> str:
    minutes = int(age.total_seconds()) // 60
    for unit, size in (("days", 24 * 60), ("hours", 60)):
        if minutes >= 2 * size:
            return f"{minutes // size} {unit}"
    return f"{minutes} minutes"
