"""What is known of a run's servers, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.errors import RunUnknown
from failback.model.server import ServerRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from failback.model.request import ServerRequest
    from failback.model.server import (
        BeforeImage,
        Milestone,
        Milestones,
        ReplicationProgress,
        ServerOutcome,
        ServerPlan,
    )


class MemoryServerBook:
    """A ServerBook; `records` by run and server."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], ServerRecord] = {}

    def enlist(self, run: str, requests: Sequence[ServerRequest]) -> None:
        for request in requests:
            server = request.recovery_instance
            self.records.setdefault((run, server), ServerRecord(id=server, request=request))

    def find(self, run: str, server: str) -> ServerRecord | None:
        return self.records.get((run, server))

    def of(self, run: str) -> Sequence[ServerRecord]:
        return [self.records[key] for key in sorted(self.records) if key[0] == run]

    def plan(self, run: str, plan: ServerPlan) -> None:
        self._keep(run, plan.id, "plan", plan)
        self._keep(run, plan.id, "outcome", None)

    def remember(self, run: str, server: str, before: BeforeImage) -> BeforeImage:
        known = self.find(run, server)
        if known is not None and known.before is not None:
            return known.before
        self._keep(run, server, "before", before)
        return before

    def progress(self, run: str, server: str, progress: ReplicationProgress) -> None:
        self._keep(run, server, "progress", progress)

    def settle(self, run: str, server: str, outcome: ServerOutcome) -> None:
        self._keep(run, server, "outcome", outcome)

    def reach(self, run: str, server: str, milestone: Milestone, at: datetime) -> Milestones:
        before = self._known(run, server).milestones
        after = before.model_copy(update={milestone: getattr(before, milestone) or at})
        self._keep(run, server, "milestones", after)
        return after

    def _known(self, run: str, server: str) -> ServerRecord:
        known = self.find(run, server)
        if known is None:
            message = f"run {run} has no server {server}: it was never enlisted"
            raise RunUnknown(message)
        return known

    def _keep(self, run: str, server: str, name: str, value: object) -> None:
        self.records[run, server] = self._known(run, server).model_copy(update={name: value})
