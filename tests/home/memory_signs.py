"""What's seen from outside of a machine in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.takeover_ports import Signs

if TYPE_CHECKING:
    from tests.home.memory_machines import MemoryHomeMachines


@dataclass
class MemorySigns:
    """A HomeSigns: `agents` is what machines' guest agents say."""

    home: MemoryHomeMachines
    agents: dict[str, str] = field(default_factory=dict)

    def look(self, name: str) -> Signs:
        held, interface = self.home.machines.get(name), self.home.interfaces.get(name)
        running = held is not None and held.state == "running"
        agent = self.agents.get(name) if running else None
        return Signs(running, interface.address if interface else "", agent, held.text if held else "")
