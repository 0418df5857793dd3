"""Recordings made by hand: a server's whole way home, of which a test leaves something out or adds to it.

The same story is told in each home's words; its things are the same in all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from failback.model.cutover import CutoverChoice, LaunchChoice, NoFence
from failback.model.decision import Decision
from failback.model.original import Original, OriginalDisk
from failback.model.record import RunHistory, RunRecord, ServerHistory
from failback.model.recovery import FailbackConfiguration
from failback.model.request import RunRequest, ServerRequest
from failback.model.server import BeforeImage, PlannedDisk, ServerOutcome, ServerPlan, ServerRecord
from failback.naming import RUN_TAG
from localcloud.recording import RecordedCall
from tests.localcloud.runs.safety_things import Held, Stand
from tests.localcloud.runs.safety_words import RUN, SERVER, Moved, Things

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.model.cutover import LaunchChoice as Choice
    from tests.localcloud.runs.safety_words import Call

Json = Any
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEVICES = ("/dev/sda", "/dev/sdb")
Step = tuple[str, "Call | Moved"]


def noted(what: str, *, server: str = SERVER, run: str = RUN) -> Call:
    """An attribute of the run's item, or of one of its servers."""
    item = {"pk": f"run#{run}", "sk": f"server#{server}" if server else "run", "update": f"SET {what} = :value"}
    return {"service": "dynamodb", "operation": "UpdateItem", "body": item}


def drs(operation: str, body: Json = None, answer: Json = None, **more: Json) -> Call:
    """A call of DRS."""
    return {"service": "drs", "operation": operation, "body": body, "answer": answer, **more}


def told(state: str) -> Call:
    """What DRS says of the server."""
    return drs("DescribeRecoveryInstances", answer={SERVER: f"FAILBACK_{state}"})


def launched(batch: str = "b1", **more: Json) -> Call:
    """A launch of the server."""
    tags = {RUN_TAG: RUN, "drs-failback:batch": batch}
    return drs("StartFailbackLaunch", {"recoveryInstanceIDs": [SERVER], "tags": tags}, ["drsjob-1"], **more)


def ec2(operation: str, answer: Json = None, **body: str) -> Call:
    """A call of EC2."""
    return {"service": "ec2", "operation": operation, "body": {"Action": operation, **body}, "answer": answer}


def batch(name: str = "b1") -> Call:
    """A batch that's written down."""
    item = {"pk": f"run#{RUN}", "sk": f"launch#{name}", "update": ""}
    return {"service": "dynamodb", "operation": "PutItem", "body": item}


@dataclass
class Forged:
    """Labelled calls in their order, and the run that they're of."""

    things: Things
    steps: list[Step]
    overwrite: bool = False
    outcome: str = "home"
    launch: Choice = field(default_factory=LaunchChoice)
    approved: timedelta | None = timedelta(0)
    verdict: str = "approve"

    def without(self, *labels: str) -> Forged:
        """Some of the calls were never made."""
        assert set(labels) <= {label for label, _ in self.steps}
        self.steps = [each for each in self.steps if each[0] not in labels]
        return self

    def before(self, label: str, *calls: Call | Moved) -> Forged:
        """More calls, just before one."""
        at = self._at(label)
        self.steps[at:at] = [("more", each) for each in calls]
        return self

    def after(self, label: str, *calls: Call | Moved) -> Forged:
        """More calls, just after one."""
        at = self._at(label) + 1
        self.steps[at:at] = [("more", each) for each in calls]
        return self

    def later(self, label: str, than: str) -> Forged:
        """One was made after another that it comes before."""
        step = self.steps.pop(self._at(label))
        self.steps.insert(self._at(than) + 1, step)
        return self

    def _at(self, label: str) -> int:
        return [each for each, _ in self.steps].index(label)

    @property
    def calls(self) -> list[RecordedCall]:
        """The recording."""
        return [_call(number, each) for number, each in enumerate(self._told())]

    def _told(self) -> Iterator[Call]:
        """All steps as calls: how many it takes to exchange disks depends on those that are there."""
        of = self.things
        stands = {of.machine: Stand(tuple(Held(each, each == of.boot, each.rpartition("/")[2])
                                          for each in (of.boot, of.data)))}  # fmt: skip
        for _, step in self.steps:
            if not isinstance(step, Moved):
                yield step
                continue
            for call, stand in of.words.moves(step, stands.get(step.machine, Stand())):
                stands[step.machine] = stand
                yield call

    @property
    def history(self) -> RunHistory:
        """What the run log has of it."""
        asked = RunRequest(
            goal="failback",
            target="home",
            servers=(ServerRequest(recovery_instance=SERVER, original="web", overwrite=self.overwrite),),
            cutover=CutoverChoice(fence=NoFence(kind="none"), launch=self.launch),
        )
        home = self.things.words.home
        record = RunRecord(run=RUN, execution="e", goal="failback", target="home", home=home, started=NOON,
                           request=asked)  # fmt: skip
        decisions = () if self.approved is None else (_decision(self.verdict, NOON + self.approved),)
        return RunHistory(record=record, servers=(ServerHistory(record=self._server(asked)),), decisions=decisions)

    def _server(self, asked: RunRequest) -> ServerRecord:
        before = BeforeImage(configuration=FailbackConfiguration(name="web"), original=_original(self.things))
        outcome = ServerOutcome.model_validate({"outcome": self.outcome, "at": NOON})
        plan = _plan(self.things, overwrite=self.overwrite)
        return ServerRecord(id=SERVER, request=asked.servers[0], plan=plan, before=before, outcome=outcome)


def _call(number: int, step: Call) -> RecordedCall:
    """Half a minute after the one before; nothing else was under way meanwhile."""
    given = {"method": "POST", "path": "/", "status": 200, **step}
    texts = {name: json.dumps(given[name]) if given.get(name) is not None else "" for name in ("body", "answer")}
    query = json.dumps(given["query"]) if given.get("query") else ""
    at = NOON + timedelta(seconds=30 * (number + 1))
    ends = 2 * number + 2 if given["status"] else 0
    return RecordedCall(**{**given, **texts, "query": query, "number": 2 * number + 1, "at": at, "ended": ends})


def _decision(verdict: str, at: datetime) -> Decision:
    given = {"subject": "approval", "scope": SERVER, "verdict": verdict, "actor": "a", "known_by": "b", "at": at}
    return Decision.model_validate(given)


def _original(of: Things) -> Original:
    disks = tuple(
        OriginalDisk(name=name.rpartition("/")[2], id=name, size_gib=8, lun=lun)
        for name, lun in ((of.boot, None), (of.data, 0))
    )
    return Original.model_validate(
        {"name": "web", "id": of.machine, "os": "linux", "firmware": "bios", "running": True, "address": "10.0.0.4",
         "size": "small", "disks": disks, "document": of.words.document(of.boot, of.data)}
    )  # fmt: skip


def _plan(of: Things, *, overwrite: bool) -> ServerPlan:
    sources = (of.boot, of.data)
    targets = sources if overwrite else of.clones
    disks = tuple(
        PlannedDisk(device=device, bytes=1, size_gib=8, lun=lun, name=target.rpartition("/")[2], sku="s",
                    boot=lun == 0, original=source)
        for lun, (device, target, source) in enumerate(zip(DEVICES, targets, sources, strict=True))
    )  # fmt: skip
    return ServerPlan.model_validate(
        {"id": SERVER, "source_server": "s-1", "hostname": "web", "os": "linux", "way": "original", "firmware": "bios",
         "client_firmware": "bios", "machine": "web", "size": "small", "disks": disks, "group": "sg-1",
         "private_ip": True, "bandwidth_mbps": 0, "to_copy": 1, "original": "web", "overwrite": overwrite}
    )  # fmt: skip


def way_home(of: Things, *, overwrite: bool = False) -> Forged:
    """A server that comes home into the machine that it was failed over from, with clones or its own disks."""
    words, targets = of.words, (of.boot, of.data) if overwrite else of.clones
    copies: list[Step] = [] if overwrite else [("clones", of.made(each)) for each in of.clones]
    tag = {"Tag.1.Key": RUN_TAG, "Tag.1.Value": RUN}
    rule = {f"TagSpecification.1.{name}": value for name, value in tag.items()}
    steps: list[Step] = [
        ("plan", noted("plan")),
        ("before", noted("before")),
        ("configure", drs("UpdateFailbackReplicationConfiguration", {"recoveryInstanceID": SERVER})),
        ("off", words.act("off", of.machine)),
        *(("snapshot", of.snapshot(f"s-{number}", each)) for number, each in enumerate((of.boot, of.data))),
        *copies,
        ("client-disk", of.made(of.client)),
        ("open", ec2("AuthorizeSecurityGroupIngress", ["sgr-1"], **rule)),
        ("take", words.tagged(of.machine, {"drs-failback:taken-by": RUN})),
        ("out", of.moved(data=())),
        ("client", of.moved(boot=of.client)),
        ("targets", of.moved(data=targets)),
        ("boot", of.started()),
        ("ready", told("READY_FOR_LAUNCH")),
        ("fenced", noted("fenced")),
        ("batch", batch()),
        ("launched", noted("launched")),
        ("launch", launched()),
        ("completed", told("COMPLETED")),
        ("out-again", of.moved(data=())),
        ("swap", of.moved(boot=targets[0])),
        ("data", of.moved(data=targets[1:])),
        ("started", noted("started")),
        ("start", of.started()),
        ("hand-over", words.tagged(of.machine, {})),
        *([] if overwrite else [("hand-over-disks", words.tagged(each, {})) for each in of.clones]),
        ("remove", words.removed(of.client)),
        ("close", ec2("RevokeSecurityGroupIngress", **{"SecurityGroupRuleId.1": "sgr-1"})),
        ("outcome", noted("outcome")),
        ("end", noted("outcome", server="")),
    ]  # fmt: skip
    return Forged(of, steps, overwrite=overwrite)


def way_back(of: Things, *, overwrite: bool = False) -> Forged:
    """A server whose launch fails, and that's given back."""
    story, words = way_home(of, overwrite=overwrite), of.words
    story.outcome = "failed"
    story.without("out-again", "swap", "data", "started", "start", "hand-over", "completed", "close")
    story.steps = [each for each in story.steps if each[0] not in {"hand-over-disks", "remove", "outcome", "end"}]
    targets = [] if overwrite else [("remove", words.removed(each)) for each in of.clones]
    story.steps += [
        ("error", told("ERROR")),
        ("job", drs("DescribeJobs", answer={"drsjob-1": {"status": "COMPLETED", "servers": {SERVER: "FAILED"}}})),
        ("outcome", noted("outcome")),
        ("stop", drs("StopFailback", {"recoveryInstanceID": SERVER})),
        ("out-again", of.moved(data=())),
        ("back", of.moved(boot=of.boot)),
        ("data", of.moved(data=(of.data,))),
        ("start", of.started()),
        *targets,
        ("remove", words.removed(of.client)),
        ("close", ec2("RevokeSecurityGroupIngress", **{"SecurityGroupRuleId.1": "sgr-1"})),
        ("end", noted("outcome", server="")),
    ]
    return story
