"""What the run log keeps of a run: what every door shows, and what the report is made of."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import JsonValue

from failback.model.decision import Decision, LaunchBatch
from failback.model.ending import Outcome
from failback.model.facts import Facts
from failback.model.request import Goal, RunRequest
from failback.model.server import ServerRecord
from failback.model.stage import Progress, Status

RunStatus = Literal["running", "done", "failed"]


class RunRecord(Facts):
    """One run: what was asked for (None: it was noted before requests were kept), and how it stands.

    `parts` are the runs that do its work, one for each target, where there are several; such a run has no more.
    """

    run: str
    execution: str
    goal: Goal
    target: str
    home: str
    started: datetime
    request: RunRequest | None = None
    parts: tuple[str, ...] = ()
    status: RunStatus = "running"
    ended: datetime | None = None
    outcome: Outcome | None = None

    @property
    def destination(self) -> str:
        """Its target, or those of its parts."""
        targets = self.request.targets.values() if self.parts and self.request else (self.target,)
        return ", ".join(dict.fromkeys(targets))


class StageEntry(Facts):
    """One stage of a run: when it was first and last called, how often, how far it is, and what came of it.

    `facts` is the stage's own result once it's done; `error` and `advice` belong to the last call that failed.
    """

    stage: str
    status: Status | Literal["failed"]
    began: datetime
    updated: datetime
    calls: int = 1
    progress: Progress | None = None
    facts: JsonValue = None
    error: str = ""
    advice: str = ""


class ServerHistory(Facts):
    """One server of a run and its stages, in the order they began."""

    record: ServerRecord
    stages: tuple[StageEntry, ...] = ()


class RunHistory(Facts):
    """A run and its stages, in the order they began; its servers in the order of their ids; decisions, oldest first.

    `parts` are those that have begun of a run for several targets.
    """

    record: RunRecord
    stages: tuple[StageEntry, ...] = ()
    servers: tuple[ServerHistory, ...] = ()
    decisions: tuple[Decision, ...] = ()
    batches: tuple[LaunchBatch, ...] = ()
    parts: tuple[RunHistory, ...] = ()

    @property
    def all_servers(self) -> tuple[ServerHistory, ...]:
        """The run's, or those of its parts."""
        return (*self.servers, *(each for part in self.parts for each in part.servers))
