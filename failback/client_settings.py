"""What the agent in a client machine is told: whose client it is, how it gets at AWS, and which disk is which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.errors import NotReady
from failback.image.plan import GIB
from failback.model.agent import AgentSettings, DiskMapping

if TYPE_CHECKING:
    from pydantic import SecretStr

    from failback.model.run import RunState
    from failback.model.server import PlannedDisk, ServerPlan
    from failback.model.target import DiskMark
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
            "mapping": _mapping(plan, state.target.finds_disks_by),
            **_way_to_aws(state, plan, settings),
            **dict(zip(("access_key", "secret_key", "session_token"), keys or (), strict=bool(keys))),
        }
    )


def client_role(state: RunState, settings: FunctionSettings) -> str:
    """The ARN of AWS's role for the client machines of the run's target."""
    return f"{settings.client_roles}{state.target.name}"


def client_identity(state: RunState) -> str:
    """The identity that a client machine gets, in the home's word; empty for none."""
    client = state.target.client
    return client.identity if client else ""


def keys_on_demand(state: RunState) -> bool:
    """Whether client machines of the run's target ask for keys."""
    client = state.target.client
    return client is not None and client.kind == "keys"


def _way_to_aws(state: RunState, plan: ServerPlan, settings: FunctionSettings) -> dict[str, object]:
    client = state.target.client
    if client is None:
        message = (
            f"Target {state.target.name} doesn't say how its client machines get at AWS. Give it `client`: an identity "
            "of the home's that AWS's role for client machines trusts, or keys; then start again."
        )
        raise NotReady(message)
    if client.kind == "keys":
        return {"credentials": "keys"}
    return {
        "credentials": "web-identity",
        "role_arn": client_role(state, settings),
        "audience": client.audience,
        "role_session": plan.id,
        "identity": client.chosen_by or None,
        "duration": SESSION_SECONDS,
        "sts_endpoint": settings.client_sts or None,
    }


def _mapping(plan: ServerPlan, mark: DiskMark) -> tuple[DiskMapping, ...]:
    """Every volume with its disk, told by its mark and its size, both: what fits only one of them isn't the disk.

    While the client runs, a disk that's found by its name is attached by its own.
    """
    left_out = (DiskMapping(recovery_device=device, exclude=True) for device in plan.excluded)
    return (*(_mapped(disk, mark) for disk in plan.disks), *left_out)


def _mapped(disk: PlannedDisk, mark: DiskMark) -> DiskMapping:
    size = disk.size_gib * GIB
    if mark == "lun":
        return DiskMapping(recovery_device=disk.device, lun=disk.lun, size=size)
    return DiskMapping(recovery_device=disk.device, name=disk.name, size=size)
