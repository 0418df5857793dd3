"""Rules for calls of the home: whose things are removed, when disks are exchanged, what originals may go through.

Machines are followed as the calls change them: which disk each boots from, and which others it has. What a call says is
read in each home's own way; the rules are the same for all homes.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from failback.naming import RUN_TAG, SERVER_TAG
from tests.localcloud.runs.safety_azure import AzureReading
from tests.localcloud.runs.safety_google import GoogleReading
from tests.localcloud.runs.safety_things import DISK, MACHINE, SNAPSHOT, Made, Stand, Taken
from tests.localcloud.runs.safety_trace import where

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from failback.model.server import ServerPlan
    from localcloud.recording import RecordedCall
    from tests.localcloud.runs.safety_things import Asked, Reading
    from tests.localcloud.runs.safety_trace import Trace, Whose

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
        self.readings: Mapping[str, Reading] = {"azure": AzureReading(), "google": GoogleReading(self.trace)}
        self.taken = list(self._all_taken())
        self.plans: Mapping[Whose, ServerPlan] = {
            whose: each.record.plan for whose, each in self.trace.servers.items() if each.record.plan
        }

    def _all_taken(self) -> Iterator[Taken]:
        for whose, server in self.trace.servers.items():
            plan, before = server.record.plan, server.record.before
            if plan and before and before.original:
                reading = self.readings[self.trace.runs[whose[0]].record.home]
                yield Taken(
                    whose, plan, before.original, reading.stand(before.original), reading.things(before.original)
                )

    def faults(self) -> Iterator[str]:
        """Every call that breaks a rule, in words."""
        for call in self.trace.calls:
            self._remember(call)
            for asked in filter(None, (reading.asked(call) for reading in self.readings.values())):
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
        if asked.verb == "remove":
            yield from self._judge_removal(asked)
        if asked.verb == "make" and not (asked.tags or {}).get(RUN_TAG):
            yield "makes something without the tag of a run"
        if asked.storage is not None:
            yield from self._judge_disks(asked, asked.storage(self._stand(asked)))
        if asked.kind == MACHINE and asked.verb == "start":
            yield from self._judge_start(asked, self._stand(asked))

    def _stand(self, asked: Asked) -> Stand:
        """A machine's disks before a call."""
        return Stand() if asked.verb == "make" else self.stands.get(asked.id, Stand())

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
        if asked.kind == DISK:
            yield "changes an original disk itself"
        elif asked.verb in {"make", "remove"}:
            yield "replaces or removes an original"

    def _judge_removal(self, asked: Asked) -> Iterator[str]:
        if asked.call.status not in _NOT_THERE or asked.id in self.made:
            yield from (f"removes {each}" for each in self._why_not(asked.id))
        for held in self._stand(asked).held:
            if asked.kind == MACHINE and held.goes:
                yield from (f"has {held.disk} removed with its machine, {each}" for each in self._why_not(held.disk))

    def _why_not(self, thing: str) -> Iterator[str]:
        """Why something isn't to be removed."""
        made = self.made.get(thing)
        if made is None:
            yield "what no run has made"
        elif made.handed_over:
            yield f"what was handed over by {made.run}"
        elif made.run not in self.trace.runs:
            yield f"what was made by {made.run}, which no run log knows"

    def _judge_disks(self, asked: Asked, after: Stand) -> Iterator[str]:
        before = self._stand(asked)
        if after.boot != before.boot:
            yield from self._judge_boot(asked, after.boot)
        if asked.verb == "make":
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
        if asked.verb == "make":
            given = asked.tags or {}
            self.made[asked.id] = Made(given.get(RUN_TAG, ""), given.get(SERVER_TAG, ""))
        if asked.verb == "change" and asked.id in self.made and asked.tags is not None and RUN_TAG not in asked.tags:
            for each in self.made.keys() & {asked.id, *asked.with_it}:
                self.made[each] = replace(self.made[each], handed_over=True)
        if asked.kind == SNAPSHOT and asked.source:
            self.snapshots[asked.source].append((self.made[asked.id].whose, asked.call.ended))
        if asked.storage is not None:
            self.stands[asked.id] = asked.storage(self._stand(asked))


def home_is_respected(trace: Trace) -> Iterator[str]:
    """Everything that was wrong at home."""
    yield from HomeWatch(trace).faults()
