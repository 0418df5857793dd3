"""Rules for calls of the home: whose things are removed, when disks are exchanged, what originals may go through.

Machines are followed as the calls change them: which disk each boots from, and which others it has.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from failback.naming import RUN_TAG, SERVER_TAG
from tests.localcloud.runs.safety_things import Asked, Made, Stand, Taken
from tests.localcloud.runs.safety_trace import where

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from failback.model.server import ServerPlan
    from localcloud.recording import RecordedCall
    from tests.localcloud.runs.safety_trace import Trace, Whose

MACHINES, DISKS = "virtualmachines", "disks"
_NOT_THERE = frozenset({204, 404})
HOME = ("home", "launched", "rehearsed")
"""Outcomes of servers that were started at home: a recording without that isn't whole, and proves nothing."""


@dataclass
class HomeWatch:
    """One way through a recording; gives what was wrong in it."""

    trace: Trace
    made: dict[str, Made] = field(default_factory=dict)
    stands: dict[str, Stand] = field(default_factory=dict)
    snapshots: dict[str, list[tuple[Whose, int]]] = field(default_factory=lambda: defaultdict(list))
    seen: set[Whose] = field(default_factory=set)
    begun: set[Whose] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.taken = [
            Taken(whose, each.record.plan, each.record.before.original)
            for whose, each in self.trace.servers.items()
            if each.record.plan and each.record.before and each.record.before.original
        ]
        self.plans: Mapping[Whose, ServerPlan] = {
            whose: each.record.plan for whose, each in self.trace.servers.items() if each.record.plan
        }

    def faults(self) -> Iterator[str]:
        """Every call that breaks a rule, in words."""
        for call in self.trace.calls:
            self._remember(call)
            asked = Asked.of(call)
            if asked is not None:
                yield from (f"{where(call)} {each}" for each in self._judge(asked))
                if call.took_effect:
                    self._follow(asked)
        for whose, server in self.trace.servers.items():
            outcome = server.record.outcome
            if outcome and outcome.outcome in HOME and whose not in self.begun:
                yield f"{whose[1]} is home, and the recording of {whose[0]} has nothing of its start"

    def _remember(self, call: RecordedCall) -> None:
        """A machine is followed from when it was noted how it is."""
        if call.service != "dynamodb" or "SET before" not in call.body:
            return
        for each in self.taken:
            if each.whose not in self.seen and self.trace.is_noted(each.whose, "before", call.ended + 1):
                self.seen.add(each.whose)
                self.stands[each.original.id.lower()] = each.stand

    def _judge(self, asked: Asked) -> Iterator[str]:
        yield from self._judge_original(asked)
        if asked.call.method == "DELETE":
            yield from self._judge_removal(asked)
        if asked.call.method == "PUT" and not (asked.body.get("tags") or {}).get(RUN_TAG):
            yield "makes something without the tag of a run"
        if asked.kind == MACHINES and asked.call.method in {"PUT", "PATCH"}:
            yield from self._judge_disks(asked)
        if asked.kind == MACHINES and asked.action == "start":
            yield from self._judge_start(asked, self.stands.get(asked.id, Stand()))

    def _of_originals(self, thing: str, number: int) -> tuple[bool, list[Taken]]:
        """Whether something was there before a run took it over, and the runs under way that have noted it."""
        all_of_it = [each for each in self.taken if thing in each.things]
        noted = [each for each in all_of_it if self._is_active(each, number)]
        return bool(noted or (all_of_it and thing not in self.made)), noted

    def _is_active(self, taken: Taken, number: int) -> bool:
        return self.trace.is_noted(taken.whose, "before", number) and not self.trace.is_over(taken.whose[0], number)

    def _judge_original(self, asked: Asked) -> Iterator[str]:
        is_original, noted = self._of_originals(asked.id, asked.number)
        if not is_original:
            return
        if not noted:
            yield "changes an original before a run under way has noted how it was"
        if asked.kind == DISKS:
            yield "changes an original disk itself"
        elif asked.call.method in {"PUT", "DELETE"}:
            yield "replaces or removes an original"

    def _judge_removal(self, asked: Asked) -> Iterator[str]:
        made = self.made.get(asked.id)
        if made is None and asked.call.status not in _NOT_THERE:
            yield "removes what no run has made"
        elif made is not None and made.handed_over:
            yield f"removes what was handed over by {made.run}"
        elif made is not None and made.run not in self.trace.runs:
            yield f"removes what was made by {made.run}, which no run log knows"

    def _judge_disks(self, asked: Asked) -> Iterator[str]:
        storage = (asked.body.get("properties") or {}).get("storageProfile")
        if storage is None:
            return
        before = Stand() if asked.call.method == "PUT" else self.stands.get(asked.id, Stand())
        after = before.changed(storage)
        if after.boot != before.boot:
            yield from self._judge_boot(asked, after.boot)
        if asked.call.method == "PUT":
            yield from self._judge_start(asked, after)
        for disk in after.data - before.data:
            yield from self._judge_moved(asked, disk)
        for disk in after.disks:
            yield from self._judge_attached(asked, disk, after)

    def _replicated(self, disk: str, number: int) -> Whose | None:
        """Whose volume a disk takes."""
        made, name = self.made.get(disk), disk.rpartition("/")[2]
        if made is not None:
            plan = self.plans.get(made.whose)
            return made.whose if plan and name in {each.name.lower() for each in plan.disks} else None
        for each in self.taken:
            written = {planned.original.lower() for planned in each.plan.disks if each.plan.overwrite}
            if disk in written and self._is_active(each, number):
                return each.whose
        return None

    def _goes_back(self, whose: Whose, number: int) -> bool:
        """Whether an original that's written to itself is being given back: it boots from the same disk then."""
        return self.plans[whose].overwrite and self.trace.has_ended_badly(whose, number)

    def _judge_boot(self, asked: Asked, boot: str) -> Iterator[str]:
        whose = self._replicated(boot, asked.number)
        if whose is None or self._goes_back(whose, asked.number):
            return
        if not self.trace.is_launched(whose, asked.number):
            yield f"puts the replicated boot disk of {whose[1]} in before its launch has succeeded"

    def _judge_moved(self, asked: Asked, disk: str) -> Iterator[str]:
        whose = self._replicated(disk, asked.number)
        if whose is None or self._goes_back(whose, asked.number):
            return
        if asked.name != self.plans[whose].machine.lower() and not self.trace.is_launched(whose, asked.number):
            yield f"moves a replicated disk of {whose[1]} before its launch has succeeded"

    def _judge_start(self, asked: Asked, stand: Stand) -> Iterator[str]:
        whose = self._replicated(stand.boot, asked.number)
        if whose is None or self._goes_back(whose, asked.number):
            return
        if not self.trace.is_launched(whose, asked.number):
            yield f"starts {whose[1]} at home before its launch has succeeded"
        if not self.trace.is_noted(whose, "started", asked.number):
            yield f"starts {whose[1]} at home before that's noted"
        if self.trace.has_ended_badly(whose, asked.number):
            yield f"starts {whose[1]} at home though its part of the run had ended"
        self.begun.add(whose)

    def _judge_attached(self, asked: Asked, disk: str, after: Stand) -> Iterator[str]:
        """An original disk goes back to its own machine, and isn't there while the client is."""
        is_original, noted = self._of_originals(disk, asked.number)
        if not is_original:
            return
        for each in noted or [taken for taken in self.taken if disk in taken.disks]:
            if asked.id != each.original.id.lower():
                yield f"attaches the original disk {disk} to another machine"
            elif self._boots_the_client(after, each, asked.number):
                yield from self._judge_written(disk, each, asked.number)

    def _boots_the_client(self, stand: Stand, taken: Taken, number: int) -> bool:
        own = {taken.stand.boot, *(disk for disk in (stand.boot,) if self._replicated(disk, number) == taken.whose)}
        return stand.boot not in own

    def _judge_written(self, disk: str, taken: Taken, number: int) -> Iterator[str]:
        if not taken.plan.overwrite:
            yield f"lets the client write to the original disk {disk}, which nobody has asked for"
        elif not any(whose == taken.whose and ended < number for whose, ended in self.snapshots[disk]):
            yield f"lets the client write to the original disk {disk}, of which there's no snapshot"

    def _follow(self, asked: Asked) -> None:
        tags, call = asked.body.get("tags"), asked.call
        if call.method == "PUT":
            given = tags or {}
            self.made[asked.id] = Made(given.get(RUN_TAG, ""), given.get(SERVER_TAG, ""))
        made = self.made.get(asked.id)
        if made is not None and call.method == "PATCH" and tags is not None and RUN_TAG not in tags:
            self.made[asked.id] = replace(made, handed_over=True)
        if asked.kind == "snapshots" and call.method == "PUT":
            source = str(asked.body["properties"]["creationData"]["sourceResourceId"]).lower()
            self.snapshots[source].append((self.made[asked.id].whose, call.ended))
        if asked.kind == MACHINES and call.method in {"PUT", "PATCH"}:
            storage = (asked.body.get("properties") or {}).get("storageProfile") or {}
            before = Stand() if call.method == "PUT" else self.stands.get(asked.id, Stand())
            self.stands[asked.id] = before.changed(storage)


def home_is_respected(trace: Trace) -> Iterator[str]:
    """Everything that was wrong at home."""
    yield from HomeWatch(trace).faults()
