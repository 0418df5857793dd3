"""Runs in which one call of each server is disturbed, and what must be true of each server afterwards."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from failback.clouds.aws.waiting_room import DynamoWaitingRoom
from failback.report import history_report
from localcloud.drs.plans import ClientPlan
from localcloud.embedded.originals import add_original
from tests.localcloud.runs.ends import contents, groups_of
from tests.localcloud.runs.servers import UNATTENDED, by_id, check_disks, failed_over, plan_of
from tests.virtual.interpreter import StateFailed
from tests.virtual.wire import Call, Disturbance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.model.record import RunHistory, ServerHistory
    from localcloud.drs.records import RecoveryInstance
    from localcloud.embedded.originals import OriginalServer
    from tests.virtual.interpreter import History
    from tests.virtual.wire import Wire
    from tests.virtual.world import Slow, World

Json = Any
READS = ("GET ", "HEAD ", "Describe", "Get", "Query", "retrieveBootDiagnosticsData", "List")
TAGS = "drs-failback:"
PREPARE: Mapping[str, object] = MappingProxyType({"goal": "prepare", "target": "azure-home"})
AT_ONCE = 8
"""Servers of one run: each with a disturbance of its own, that mustn't touch another."""
SHORT: Mapping[str, object] = MappingProxyType(
    {
        **UNATTENDED,
        "launch": {"mode": "automatic", "lag_minutes": 5, "minutes": 10},
        "verify": {"minutes": 1},
        "hold_hours": 1,
    }
)
"""All that's waited for in vain is waited for as short as may be."""


EVERY = int(os.environ.get("FAILBACK_EVERY", "1"))
"""Of the cases, each so many'th is tried: a look at whether all is well needn't take as long as all of them."""


def changes(call: Call) -> bool:
    """Whether it changes anything; it's a read otherwise."""
    operation = call.name.partition(" ")[2]
    if call.name.startswith("drs "):
        return "Describe" not in operation and "Get" not in operation
    return not operation.startswith(READS) and "retrieveBootDiagnosticsData" not in operation


def cases_of(sent: Sequence[Call]) -> list[Disturbance]:
    """Each kind of call of each stage denied for good, from its first on, and from each later one on that changes
    something; the answer of each change lost, and its process killed after it."""
    first = {call[:2]: call for call in reversed(sent)}
    changing = [call for call in dict.fromkeys(sent) if changes(call)]
    denied = list(dict.fromkeys([*reversed(first.values()), *changing]))
    return [
        *(Disturbance(call, "denied") for call in denied),
        *(Disturbance(call, "late") for call in changing),
        *(Disturbance(call, "killed") for call in changing),
    ]


@dataclass
class Subject:
    """A server of a case, how it was before, and what strikes it."""

    server: RecoveryInstance
    original: OriginalServer | None
    disturbance: Disturbance | None
    groups: list[str]
    held: list[str]

    @property
    def name(self) -> str:
        return self.server.made_of.name


@dataclass
class Battery:
    """Makes servers, runs them, judges them. `fence` is the wall's security group.

    `slow` is what operations and boots take while a run goes on, not while its servers are made.
    """

    world: World
    wire: Wire
    fence: str
    way: str = "original"
    cutover: Mapping[str, object] = field(default_factory=dict)
    verdict: str = ""
    slow: Slow | None = None
    ends: Counter[str] = field(default_factory=Counter)

    def run(self, disturbances: Sequence[Disturbance | None], *, run_level: bool = False) -> list[str]:
        """One run, a server for each disturbance; gives how each of them ended. All faults are told at once."""
        subjects = [self._subject(each) for each in disturbances]
        before = self.world.place.listing()
        struck = {"" if run_level else each.server.id: each.disturbance for each in subjects if each.disturbance}
        self.wire.begin(struck)
        with self.world.slowed(self.slow):
            arn, history = self._finish(subjects)
        self.wire.begin_again()
        after = self.world.place.listing()
        known = self.world.place.history(arn)
        records = by_id(self.world.place, arn) if known else {}
        ends = [self._judge(each, records.get(each.server.id), before, after, history, known) for each in subjects]
        # The watcher's own runs out within minutes, where it can't be given back.
        leases = [name for name in after["leases"] if not name.endswith("lease#watch")]
        assert not leases, (leases, [str(each) for each in disturbances])
        self.ends.update(ends)
        return ends

    def play(self, disturbances: Sequence[Disturbance], *, run_level: bool = False) -> list[str]:
        """Each EVERY'th of them, and a table of how they ended; gives the faults."""
        faults, size = [], 1 if run_level else AT_ONCE
        whole, disturbances = len(disturbances), disturbances[::EVERY]
        for at in range(0, len(disturbances), size):
            group = disturbances[at : at + size]
            try:
                self.run(group, run_level=run_level)
            except (AssertionError, TimeoutError) as fault:
                faults.append(str(fault))
        self._tell(disturbances, whole)
        return faults

    def _tell(self, disturbances: Sequence[Disturbance], whole: int) -> None:
        kinds, missed = Counter(each.kind for each in disturbances), sum(not each.met for each in disturbances)
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        print(f"\n{self.way}: {len(disturbances)} of {whole} cases ({told}); {missed} of them weren't met this time:")
        for end, count in sorted(self.ends.items()):
            print(f"  {count:4d}  {end}")

    def noted(self, *, run_level: bool = False, undisturbed: str = "home") -> list[Call]:
        """What's sent for a server that isn't disturbed, or else for its run; functions have begun before."""
        self.run([None])
        ends = self.run([None])
        assert ends[0].startswith(undisturbed), ends
        (server,) = (each for each in self.wire.sent if each)
        self.ends.clear()
        return self.wire.sent["" if run_level else server]

    def _subject(self, disturbance: Disturbance | None) -> Subject:
        number = next(self.world.numbers)
        place, helped = self.world.place, self.way == "helper"
        server = failed_over(place, f"{self.way}-{number}", **({"boot_mode": "uefi"} if helped else {}))
        original = None
        if self.way != "new":
            place.clouds.drs.plan(server.id, ClientPlan(original=not helped))
            original = add_original(place.clouds, server)
        held = contents(place, original) if original else []
        return Subject(server, original, disturbance, groups_of(place, server), held)

    def _finish(self, subjects: Sequence[Subject]) -> tuple[str, History]:
        number = next(self.world.numbers)
        asked = [
            {"recovery_instance": each.server.id, **({"original": each.name} if each.original else {})}
            for each in subjects
        ]
        cutover = {**SHORT, "fence": {"kind": "security-group", "group": self.fence}, **self.cutover}
        run = f"run-{number}"
        given = {"goal": "failback", "target": "azure-home", "servers": asked, "cutover": cutover,
                 "replication": {"deadline_hours": 1, "stuck_minutes": 5}}  # fmt: skip
        arn = self.world.start(run, given)
        ended = self.world.executions[arn]

        def look() -> None:
            if not ended.ended:
                self._decide(run)
                self.world.time.at(60, look)

        self.world.time.at(45, look)
        return arn, self.world.finish(arn)

    def _decide(self, run: str) -> None:
        """A person: whoever is held is given back, and whoever may be accepted gets the verdict."""
        place = self.world.place
        room = DynamoWaitingRoom(place.clouds.client("dynamodb"), place.deployed.outputs["RunLogTable"])
        for each in room.everyone():
            verdict = {"hold": "give_back", "commit": self.verdict}.get(each.milestone, "")
            if not verdict:
                continue
            event = {"run": run, "subject": each.milestone, "verdict": verdict, "actor": "a person",
                     "servers": [each.server], "discard": verdict == "give_back"}  # fmt: skip
            with suppress(StateFailed):
                self.world.call("decide", event)

    def _judge(
        self,
        of: Subject,
        record: ServerHistory | None,
        before: Json,
        after: Json,
        history: History,
        known: RunHistory | None,
    ) -> str:
        told = f"{of.disturbance and (str(of.disturbance.call), of.disturbance.kind)} {of.name}"
        if known is None or record is None or (record.record.outcome is None and record.record.before is None):
            assert self._differences(of, before, after) == {}, (told, self._differences(of, before, after))
            assert of.disturbance, history.failure
            return "the run was refused, nothing was changed"
        outcome = record.record.outcome
        if outcome is not None and outcome.outcome == "home":
            return self._check_home(of, record, before, after, told, known)
        assert outcome is None or outcome.outcome in {"failed", "skipped"}, (told, outcome)
        return self._judge_return(of, record, before, after, told, known)

    def _judge_return(
        self, of: Subject, record: ServerHistory, before: Json, after: Json, told: str, known: RunHistory
    ) -> str:
        place = self.world.place
        left = _left(record, known)
        assert all(each["why"] and each["command"] for each in left), (told, left)
        unlike = self._differences(of, before, after)
        if groups_of(place, of.server) != of.groups:
            unlike["fence"] = [of.groups, groups_of(place, of.server)]
        if of.original and contents(place, of.original) != of.held:
            unlike["contents of the original"] = ["", ""]
        untold = {key: what for key, what in unlike.items() if not _told(key, what, left, of)}
        assert not untold, (told, record.record.outcome, left, _short(untold))
        return "given back, all as before" if not unlike else "given back, what's left is told with its commands"

    def _differences(self, of: Subject, before: Json, after: Json) -> dict[str, Json]:
        """What of this server isn't as it was."""
        found = {}
        for part in ("azure", "recovery", "security_groups"):
            for key in {**before[part], **after[part]}:
                was, now = before[part].get(key), after[part].get(key)
                if was != now and self._is_its(of, key, was, now):
                    found[key] = [was, now]
        return found

    def _is_its(self, of: Subject, key: str, *documents: Json) -> bool:
        if key in {of.server.id, of.server.security_group}:
            return True
        for each in documents:
            tags = (each or {}).get("tags", {})
            name = (each or {}).get("name", "")
            if tags.get(f"{TAGS}server") == of.server.id or name == of.name or name.startswith(f"{of.name}-"):
                return True
        return False

    def _check_home(
        self, of: Subject, record: ServerHistory, before: Json, after: Json, told: str, known: RunHistory
    ) -> str:
        place, plan = self.world.place, plan_of(record)
        if self.way == "new":
            check_disks(place, of.server, plan)
        guests = [each for each in place.driver.guests if each.spec.name == plan.own_machine and each.is_running]
        assert guests, (told, "its machine doesn't run")
        kept = {disk.name for disk in plan.disks} | {plan.own_machine}
        ours = {
            key: each
            for key, each in after["azure"].items()
            if each.get("tags", {}).get(f"{TAGS}server") == of.server.id and not key.lower().count("/snapshots/")
        }
        told_of = json.dumps(record.model_dump(mode="json")["record"]["outcome"]).casefold()
        left = _left(record, known)
        untold = [key for key, each in ours.items()
                  if each["name"].casefold() not in told_of and not _told(key, [each], left, of)]  # fmt: skip
        assert not untold, (told, untold, kept, told_of, left)
        if of.original:
            was, now = (_without_disks(each["azure"][of.original.id]) for each in (before, after))
            if was != now and _told(of.original.id, [now], left, of):
                now["tags"] = {name: value for name, value in now["tags"].items() if not name.startswith(TAGS)}
            assert was == now, (told, was, now, left)
        return "home, what's left is told with its commands" if left else "home"


def _told(key: str, what: Json, left: Sequence[Json], of: Subject) -> bool:
    """Whether what's left behind says it: the server as a whole, all of it in that cloud, or itself by name or id."""
    words = json.dumps(left).casefold()
    kinds = {(each["belonging"]["cloud"], each["belonging"]["kind"]) for each in left}
    if ("aws", "server") in kinds:
        return True
    if key in {"fence", "contents of the original"}:
        return f'"{key.split()[-1]}"' in words
    if ("azure" if key.startswith("/") else "aws", "everything") in kinds:
        return True
    names = {key.casefold(), *(str(each.get("name", "")).casefold() for each in what if isinstance(each, dict))}
    return any(name and name in words for name in names)


def _left(record: ServerHistory, known: RunHistory) -> list[Json]:
    """What the report of its run says that couldn't be undone."""
    told = history_report(known, outcome=None, returned=None).servers
    (mine,) = (each for each in told if each.record.id == record.record.id)
    return [each.model_dump(mode="json") for each in mine.left]


def _short(unlike: Json) -> str:
    return json.dumps(unlike, default=str)[:3000]


def _without_disks(machine: Json) -> Json:
    properties = {name: what for name, what in machine["properties"].items() if name not in {"storageProfile"}}
    return {**machine, "properties": properties}
