"""Signs of a machine's life in Compute Engine: its power, its address, its agent's word, its serial log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from failback.clouds.google.console import console_text
from failback.takeover_ports import Signs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.cloud import compute_v1 as compute

    from failback.clouds.google.place import GooglePlace

RUNNING = "RUNNING"
INVENTORY = "guestInventory/"
"""Where the guest's agent (OS Config) writes what it's in, once guest attributes are enabled for the machine."""


@dataclass(frozen=True, slots=True)
class GoogleSigns:
    """A HomeSigns."""

    place: GooglePlace

    def look(self, name: str) -> Signs:
        machine = self.place.machine(name)
        if machine is None:
            return Signs(running=False)
        runs = machine.status == RUNNING
        address = next((each.network_i_p for each in machine.network_interfaces), "")
        agent = self._agent(machine) if runs else None
        return Signs(runs, address, agent, console_text(self.place, name))

    def _agent(self, machine: compute.Instance) -> str | None:
        """What the guest's agent has said since the machine was started last.

        Unconfirmed: that the agent writes LastUpdated with every report, and the answers where guest attributes aren't
        enabled or there are none: all three refusals count as nothing said.
        """
        from google.api_core.exceptions import BadRequest, Forbidden, NotFound

        request: Any = {
            "project": self.place.project,
            "zone": self.place.zone,
            "instance": machine.name,
            "query_path": INVENTORY,
        }
        try:
            found = self.place.clients.instances.get_guest_attributes(request=request)
        except (NotFound, BadRequest, Forbidden):
            return None
        said = {each.key: each.value for each in found.query_value.items}
        return _words(said) if _is_since(said.get("LastUpdated", ""), machine.last_start_timestamp) else None


def _words(said: Mapping[str, str]) -> str:
    system = said.get("LongName") or said.get("ShortName") or "a guest"
    return f"{system} (agent {said.get('OSConfigAgentVersion', 'unknown')})"


def _is_since(moment: str, start: str) -> bool:
    """Whether a moment is later than another, both in RFC 3339."""
    try:
        return datetime.fromisoformat(moment) > datetime.fromisoformat(start)
    except (ValueError, TypeError):
        return False
