"""The words that DRS has for where a failback stands, from what is kept of it.

Readings, since no documentation says so: a failed step or a silent client is a stalled replication of a failback that's
still in progress; one that was ready and stalls isn't ready any more; a finished one's replication is stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.drs.plans import REPORTED_STEPS

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from localcloud.drs.records import ClientLink, RecoveryInstance

NOT_STARTED, IN_PROGRESS, READY = "FAILBACK_NOT_STARTED", "FAILBACK_IN_PROGRESS", "FAILBACK_READY_FOR_LAUNCH"
COMPLETED, ERROR, NOT_READY = "FAILBACK_COMPLETED", "FAILBACK_ERROR", "FAILBACK_NOT_READY_FOR_LAUNCH"
_OUTCOMES = {"completed": COMPLETED, "failed": ERROR}


class StateView:
    """What is true of one recovery instance at one moment."""

    def __init__(self, instance: RecoveryInstance, now: datetime, patience: timedelta) -> None:
        self._instance, self._link, self._now, self._patience = instance, instance.link, now, patience

    @property
    def failback(self) -> str:
        """`failback.state`."""
        link = self._link
        if link is None:
            return NOT_STARTED
        if link.outcome:
            return _OUTCOMES[link.outcome]
        if link.attained is None or self._instance.plan.hold is not None:
            return IN_PROGRESS
        return NOT_READY if self.error else READY

    @property
    def replication(self) -> str:
        """`dataReplicationInfo.dataReplicationState`."""
        link = self._link
        if link is None:
            return "NOT_STARTED"
        if link.outcome:
            return "STOPPED"
        if self.error:
            return "STALLED"
        if not all(status == "SUCCEEDED" for status in link.steps.values()):
            return "INITIATING"
        if link.attained is None or self._instance.plan.hold is not None:
            return "RESCAN" if link.original else "INITIAL_SYNC"
        return "BACKLOG" if any(disk.backlogged for disk in link.disks.values()) else "CONTINUOUS"

    @property
    def error(self) -> dict[str, str | None] | None:
        """`dataReplicationInfo.dataReplicationError`; a step without a word of its own has its raw error only."""
        link = self._link
        if link is None or link.outcome:
            return None
        if link.failed is not None:
            step, raw = link.failed
            return {"error": f"FAILED_TO_{step}" if step in REPORTED_STEPS else None, "rawError": raw}
        if self._instance.plan.stall:
            return {"error": self._instance.plan.stall}
        silent = self._now - link.seen > self._patience
        return {"error": "FAILBACK_CLIENT_NOT_SEEN"} if silent else None

    def replicated(self, link: ClientLink) -> dict[str, int]:
        """Bytes that count as replicated, by device: no more than the plan's share of each."""
        hold = self._instance.plan.hold
        share = 1.0 if hold is None else hold
        return {device: min(disk.replicated, int(disk.total * share)) for device, disk in link.disks.items()}
