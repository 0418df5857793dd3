"""What a scripted machine's agent hands over to whatever stands for the client, and how that may end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from failback.model.agent import AgentSettings
    from localcloud.guests.home_machine import MachineSpec


@dataclass(frozen=True, slots=True)
class Credentials:
    """A session's keys, as the agent got them from STS or was given them."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientTask:
    """One start of the client. `files` are the local disks' files by recovery device, `devices` the same disks' names
    in the machine; a volume that's excluded is in neither. `stopping` is set when the machine is turned off; `say`
    writes what the client says last, as the agent's mark shows it.
    """

    settings: AgentSettings
    credentials: Credentials
    files: Mapping[str, Path]
    devices: Mapping[str, str]
    spec: MachineSpec
    stopping: threading.Event
    say: Callable[[str], None]

    @property
    def address(self) -> str:
        """The machine's primary private address, from which its connections come."""
        return self.spec.nics[0].private_address if self.spec.nics else ""


class ClientFailed(Exception):
    """The client ended with a failure: its last line, as the agent's mark `failed client` repeats it."""
