"""What is to go wrong with one recovery instance's failback, and how far its replication may get."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.model.recovery import INITIATION_STEPS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

LINK, MAPPING = INITIATION_STEPS[:2]
REPORTED_STEPS = INITIATION_STEPS[2:]
"""Steps that the client reports."""


@dataclass(frozen=True, slots=True)
class ClientPlan:
    """May be changed while a client is at work.

    `fail_step` gives the raw error of each initiation step that fails. `stall` is the error word of a replication that
    stands still until it's taken back. `hold` is the share of its bytes (0 to 1) that replication doesn't get beyond.
    Without `communication` port 1500 is closed. `original`: the client counts as the original server. `launch_error`
    is the raw error by which the launch fails. `agent_seen` and `client_seen` are told in place of the real times.
    """

    fail_step: Mapping[str, str] = field(default_factory=dict)
    stall: str = ""
    hold: float | None = None
    communication: bool = True
    original: bool = False
    launch_error: str = ""
    agent_seen: datetime | None = None
    client_seen: datetime | None = None
