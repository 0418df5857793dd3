"""What a recording of calls tells of runs: what was noted when, what DRS said, which launches were asked for."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from failback.naming import PREFIX, RUN_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from failback.model.record import RunHistory, ServerHistory
    from failback.model.server import ServerPlan
    from localcloud.recording import RecordedCall

Json = Any
Whose = tuple[str, str]
"""A run and one of its servers."""
_SET = re.compile(r"SET (\w+) =")
ENDED = ("failed", "skipped")
"""Outcomes after which nothing more is begun for a server."""


def said(text: str) -> Json:
    """What's kept of a body or an answer; one that was cut short can't be judged, and is an error."""
    return json.loads(text) if text else {}


@dataclass(frozen=True, slots=True)
class Launch:
    """A StartFailbackLaunch."""

    call: RecordedCall
    run: str
    batch: str
    servers: tuple[str, ...]


@dataclass
class Trace:
    """A recording, and the runs that it's of. Numbers of notes, and of what was told, are those of the answers' ends.

    What ended before a call began is known to whoever made the call.
    """

    calls: Sequence[RecordedCall]
    runs: dict[str, RunHistory]
    notes: dict[tuple[str, str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    told: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    job_failed: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    stopped: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    launches: list[Launch] = field(default_factory=list)
    servers: dict[Whose, ServerHistory] = field(default_factory=dict)

    def __post_init__(self) -> None:
        of_runs = ((run, each) for run, history in self.runs.items() for each in history.servers)
        self.servers = {(run, each.record.id): each for run, each in of_runs}

    @classmethod
    def of(cls, calls: Sequence[RecordedCall], runs: Iterable[RunHistory]) -> Trace:
        """The recording, read once from its beginning to its end."""
        trace = cls(calls, {each.record.run: each for each in runs})
        for call in calls:
            trace._read(call)
        return trace

    def is_noted(self, whose: Whose, what: str, number: int) -> bool:
        """Whether that was in the run log when the call of that number began."""
        return any(each < number for each in self.notes[*whose, what])

    def is_over(self, run: str, number: int) -> bool:
        """Whether the run was closed by then."""
        return self.is_noted((run, ""), "outcome", number)

    def has_before_image(self, server: str, number: int) -> bool:
        """Whether a run that was under way had noted how the server was."""
        return any(
            what == "before" and of == server and min(ends) < number and not self.is_over(run, number)
            for (run, of, what), ends in [*self.notes.items()]
            if ends
        )

    def has_ended_badly(self, whose: Whose, number: int) -> bool:
        """Whether the run log had said by then that the server's part has failed, or was never begun."""
        server = self.servers.get(whose)
        outcome = server.record.outcome if server else None
        planned = max(self.notes[*whose, "plan"], default=0)
        return bool(outcome and outcome.outcome in ENDED) and any(
            planned < each < number for each in self.notes[*whose, "outcome"]
        )

    def was_told(self, server: str, state: str, number: int, *, since: int = 0) -> bool:
        """Whether DRS had said that of the server."""
        return any(since < each < number and found == state for each, found in self.told[server])

    def is_launched(self, whose: Whose, number: int) -> bool:
        """Whether DRS had called the failback completed, after this run had it launched."""
        run, server = whose
        asked = [each.call for each in self.launches if each.run == run and server in each.servers]
        begun = [call.number for call in asked if call.took_effect and call.number < number]
        return bool(begun) and self.was_told(server, "FAILBACK_COMPLETED", number, since=min(begun))

    def _read(self, call: RecordedCall) -> None:
        if call.service == "dynamodb" and call.took_effect and call.body:
            self._read_note(call)
        elif call.service == "drs" and call.operation == "StartFailbackLaunch":
            asked = said(call.body)
            tags = asked.get("tags", {})
            servers = tuple(asked.get("recoveryInstanceIDs", ()))
            self.launches.append(Launch(call, tags.get(RUN_TAG, ""), tags.get(f"{PREFIX}:batch", ""), servers))
        elif call.service == "drs" and call.operation == "StopFailback" and call.took_effect:
            self.stopped[said(call.body)["recoveryInstanceID"]].append(call.ended)
        elif call.service == "drs" and call.answer:
            self._read_answer(call)

    def _read_note(self, call: RecordedCall) -> None:
        item = said(call.body)
        if not item["pk"].startswith("run#"):
            return
        run, (kind, _, name) = item["pk"].removeprefix("run#"), item["sk"].partition("#")
        changed = _SET.match(item["update"])
        if kind == "launch":
            self.notes[run, "", f"batch {name}"].append(call.ended)
        elif changed and (kind == "run" or (kind == "server" and "#" not in name)):
            self.notes[run, name, changed[1]].append(call.ended)

    def _read_answer(self, call: RecordedCall) -> None:
        answer = said(call.answer)
        if call.operation == "DescribeRecoveryInstances":
            for server, state in answer.items():
                self.told[server].append((call.ended, state))
        if call.operation == "DescribeJobs":
            for job in answer.values():
                for server, status in job["servers"].items():
                    if status == "FAILED":
                        self.job_failed[server].append(call.ended)


def plan_of(server: ServerHistory | None) -> ServerPlan | None:
    """What was planned for a server, if anything was."""
    return server.record.plan if server else None


def where(call: RecordedCall) -> str:
    """A call in words."""
    return (
        f"call {call.number} ({call.caller or call.service} {call.operation} {call.path.rpartition('/providers/')[2]})"
    )
