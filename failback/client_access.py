"""The way from a client machine to its recovery instance: a rule for TCP port 1500, where it isn't open already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.errors import ClientBootFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.model.run import RunState
    from failback.model.server import ServerPlan
    from failback.recovery_ports import RecoveryHosts


def open_way(state: RunState, plan: ServerPlan, address: str, *, hosts: RecoveryHosts, tags: Mapping[str, str]) -> str:
    """Let the client with that private address in; the ids of the rules made, empty where others do already.

    Raises ClientBootFailed where nobody knows which address it comes from.
    """
    closed = [cidr for cidr in _sources(state, plan, address) if not hosts.admits([plan.group], cidr)]
    return ",".join(rule for rule in [hosts.admit(plan.group, cidr, tags=tags) for cidr in closed] if rule)


def _sources(state: RunState, plan: ServerPlan, address: str) -> Sequence[str]:
    """The address ranges that the client comes from: its own address, or the ways out of the target's network."""
    if plan.private_ip:
        if not address:
            message = (
                f"The machine {plan.machine} of {plan.hostname} ({plan.id}) has no private address at home, and it's "
                "to replicate by private ones. Give its interface one, or use public addresses."
            )
            raise ClientBootFailed(message)
        return [f"{address}/32"]
    if not state.target.egress:
        message = (
            f"{plan.hostname} ({plan.id}) is to replicate by public addresses, but target {state.target.name} doesn't "
            "say where its machines' connections come from. Give the target `egress`, or use private addresses."
        )
        raise ClientBootFailed(message)
    return state.target.egress
