"""Signs of a machine's life in Azure: its power, its address, its agent's word, its serial log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from failback.clouds.azure.console import console_text
from failback.clouds.azure.machine_look import look_at
from failback.clouds.azure.originals import address_of
from failback.takeover_ports import Signs

if TYPE_CHECKING:
    from failback.clouds.azure.place import AzurePlace

READY = "provisioningstate/succeeded"
"""The code by which Azure says that a guest's agent is ready; without an agent it's ProvisioningState/Unavailable."""


@dataclass(frozen=True, slots=True)
class AzureSigns:
    """A HomeSigns."""

    place: AzurePlace

    def look(self, name: str) -> Signs:
        machine = look_at(self.place, name)
        if machine is None:
            return Signs(running=False)
        agent = _said(machine.agent) if machine.runs else None
        return Signs(machine.runs, address_of(self.place, machine), agent, console_text(self.place, name))


def _said(agent: Any) -> str | None:  # noqa: ANN401 - the SDK's model
    """What an agent says that's ready.

    Unconfirmed: that what it said is forgotten when its machine is deallocated, as it is before it's looked at.
    """
    ready = [status for status in (agent.statuses or [] if agent else []) if str(status.code).lower() == READY]
    return f"{ready[0].display_status} ({agent.vm_agent_version})" if ready else None
