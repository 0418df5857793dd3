"""What the process with the embedded clouds tells everybody else: one file, there only while all of it is ready."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from failback.model.target import HomeName

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

STATE_FILE = "state.json"
LOG_FILE = "log"
LOCK_FILE = "lock"
"""Held by the process for as long as it lives; its id and start stand in it, from before there's anything to start."""

TARGETS: Mapping[HomeName, str] = {"azure": "azure-home", "google": "google-home"}
"""What the deployment calls its target at each home."""


class FailedOver(BaseModel):
    """A server that a failover has left in AWS: its recovery instance's id, and its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str


class EmbeddedState(BaseModel):
    """Where the running clouds are. `pid_started` is the process's start in clock ticks since the machine's boot.

    `targets` are the deployment's, each with its home; the first is the one that commands are shown for. `google_url`
    is Compute Engine's. `control_url` is where the process itself takes requests: see control_door.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int
    pid_started: int
    started: datetime
    region: str
    aws_url: str
    azure_url: str
    blob_url: str
    ca_file: Path
    google_url: str = ""
    google_storage_url: str = ""
    iso: Path
    iso_is_standin: bool
    stack: str
    outputs: dict[str, str]
    targets: dict[str, HomeName] = {TARGETS["azure"]: "azure"}
    servers: tuple[FailedOver, ...] = ()
    control_url: str = ""

    @property
    def target(self) -> str:
        """The first target's name."""
        return next(iter(self.targets))

    @property
    def is_alive(self) -> bool:
        """Whether that very process still runs."""
        return start_of(self.pid) == self.pid_started

    def write(self, folder: Path) -> None:
        """Keep it, whole or not at all."""
        draft = folder / f"{STATE_FILE}.draft"
        draft.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        draft.replace(folder / STATE_FILE)


def read_state(folder: Path) -> EmbeddedState | None:
    """The state of clouds that run; None where none do, also where a file of dead ones was left behind."""
    try:
        state = EmbeddedState.model_validate_json((folder / STATE_FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return state if state.is_alive else None


def write_holder(lock: TextIO) -> None:
    """Note this process in its lock file."""
    lock.seek(0)
    lock.truncate()
    lock.write(f"{os.getpid()} {start_of(os.getpid())}\n")
    lock.flush()


def read_holder(folder: Path) -> int | None:
    """The process that holds this folder, from the beginning of its start to the end of its end; None for none."""
    try:
        pid, began = map(int, (folder / LOCK_FILE).read_text(encoding="ascii").split())
    except (FileNotFoundError, ValueError):
        return None
    return pid if start_of(pid) == began else None


def start_of(pid: int) -> int | None:
    """When a process was started, in clock ticks since boot; None for one that has ended (proc(5), stat).

    A number alone tells little: it's given to another process some time after.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may hold spaces; the state comes after it, and the start is the 22nd field.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])
