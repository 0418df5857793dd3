"""What the agent in a client machine is told: whose client it is, how it gets at AWS, and which disk is which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.errors import NotReady
from failback.image.plan import GIB
from failback.model.agent import AgentSettings, DiskMapping
from failback.model.target import ManagedIdentity, MintedKeys

if TYPE_CHECKING:
    from pydantic import SecretStr

    from failback.model.run import RunState
    from failback.model.server import ServerPlan
    from failback.settings import FunctionSettings

    ClientKeys = tuple[SecretStr, SecretStr, SecretStr]

SESSION_SECONDS = 3600
"""How long a client's session with AWS lasts: it needs one while it registers only, which takes minutes (AWS's pages on
the failback client warn of sessions that end before that), and an hour is what any role allows."""


def client_settings(
    state: RunState, plan: ServerPlan, *, settings: FunctionSettings, keys: ClientKeys | None = None
) -> AgentSettings:
    """The settings of a server's client; `keys` (access key, secret key, session token) only where it asked for them.

    Raises NotReady where the target has no way into AWS for client machines.
    """
    return AgentSettings.parse(
        {
            "run": state.run.id,
            "server": plan.id,
            "region": settings.region,
            "recovery_instance": plan.id,
            "drs_endpoint": settings.client_drs,
            "ca_certificates": settings.client_certificates or None,
            "mapping": _mapping(plan),
            **_way_to_aws(state, plan, settings),
            **dict(zip(("access_key", "secret_key", "session_token"), keys or (), strict=bool(keys))),
        }
    )


def client_role(state: RunState, settings: FunctionSettings) -> str:
    """The ARN of AWS's role for the client machines of the run's target."""
    return f"{settings.client_roles}{state.target.name}"


def client_identity(state: RunState) -> str:
    """The resource id of the managed identity that a client machine gets; empty for none."""
    client = state.target.client
    return client.identity_id if isinstance(client, ManagedIdentity) else ""


def keys_on_demand(state: RunState) -> bool:
    """Whether client machines of the run's target ask for keys."""
    return isinstance(state.target.client, MintedKeys)


def _way_to_aws(state: RunState, plan: ServerPlan, settings: FunctionSettings) -> dict[str, object]:
    client = state.target.client
    if client is None:
        message = (
            f"Target {state.target.name} doesn't say how its client machines get at AWS. Give it `client`: a managed "
            "identity that AWS's role for client machines trusts, or keys; then start again."
        )
        raise NotReady(message)
    if not isinstance(client, ManagedIdentity):
        return {"credentials": "keys"}
    return {
        "credentials": "web-identity",
        "role_arn": client_role(state, settings),
        "audience": client.audience,
        "role_session": plan.id,
        "identity": client.identity_id,
        "duration": SESSION_SECONDS,
        "sts_endpoint": settings.client_sts or None,
    }


def _mapping(plan: ServerPlan) -> tuple[DiskMapping, ...]:
    """Every volume with its disk, told by LUN and size, both: what fits only one of them isn't the disk."""
    taken = (DiskMapping(recovery_device=disk.device, lun=disk.lun, size=disk.size_gib * GIB) for disk in plan.disks)
    left_out = (DiskMapping(recovery_device=device, exclude=True) for device in plan.excluded)
    return (*taken, *left_out)
