"""Recordings made by hand: a server's whole way home, of which a test leaves something out or adds to it."""

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
from failback.naming import RUN_TAG, SERVER_TAG
from localcloud.recording import RecordedCall

if TYPE_CHECKING:
    from failback.model.cutover import LaunchChoice as Choice

Json = Any
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN, SERVER = "run-1", "i-00000000000000001"
TAGS = {RUN_TAG: RUN, SERVER_TAG: SERVER}
HOME = "/subscriptions/s/resourceGroups/home/providers"
DEVICES = ("/dev/sda", "/dev/sdb")


def resource(kind: str, name: str) -> str:
    """An id."""
    return f"{HOME}/Microsoft.Compute/{kind}/{name}"


MACHINE, CLIENT = resource("virtualMachines", "web"), resource("disks", "client-disk")
BOOT, DATA = resource("disks", "web-0"), resource("disks", "web-1")
CLONES = (resource("disks", "clone-0"), resource("disks", "clone-1"))
ELSEWHERE = resource("virtualMachines", "elsewhere")
Step = tuple[str, dict[str, Json]]


def arm(operation: str, path: str, body: Json = None, *, method: str = "PUT", **more: Json) -> dict[str, Json]:
    """A call of ARM."""
    kind = path.rsplit("/", 2)[1]
    asked = path if method != "POST" else f"{path}/{operation}"
    return {"service": "arm", "operation": f"{kind}/{operation}", "method": method, "path": asked, "body": body, **more}


def made(path: str, **properties: Json) -> dict[str, Json]:
    """Something that's made with the run's tags."""
    return arm("write", path, {"tags": TAGS, "properties": properties}, status=202)


def storage(machine: str, *, boot: str = "", data: tuple[str, ...] | None = None) -> dict[str, Json]:
    """A change of a machine's disks."""
    boots = {"osDisk": {"managedDisk": {"id": boot}}} if boot else {}
    others = {} if data is None else {"dataDisks": [{"managedDisk": {"id": each}} for each in data]}
    return arm("write", machine, {"properties": {"storageProfile": {**boots, **others}}}, method="PATCH")


def tagged(path: str, tags: dict[str, str]) -> dict[str, Json]:
    """Other tags for something."""
    return arm("write", path, {"tags": tags}, method="PATCH")


def started(machine: str = MACHINE) -> dict[str, Json]:
    """A machine's start."""
    return arm("start", machine, method="POST", status=202)


def removed(path: str, **more: Json) -> dict[str, Json]:
    """Something's removal."""
    return arm("delete", path, method="DELETE", **{"status": 202, **more})


def noted(what: str, *, server: str = SERVER, run: str = RUN) -> dict[str, Json]:
    """An attribute of the run's item, or of one of its servers."""
    item = {"pk": f"run#{run}", "sk": f"server#{server}" if server else "run", "update": f"SET {what} = :value"}
    return {"service": "dynamodb", "operation": "UpdateItem", "body": item}


def drs(operation: str, body: Json = None, answer: Json = None, **more: Json) -> dict[str, Json]:
    """A call of DRS."""
    return {"service": "drs", "operation": operation, "body": body, "answer": answer, **more}


def told(state: str) -> dict[str, Json]:
    """What DRS says of the server."""
    return drs("DescribeRecoveryInstances", answer={SERVER: f"FAILBACK_{state}"})


def launched(batch: str = "b1", **more: Json) -> dict[str, Json]:
    """A launch of the server."""
    tags = {RUN_TAG: RUN, "drs-failback:batch": batch}
    return drs("StartFailbackLaunch", {"recoveryInstanceIDs": [SERVER], "tags": tags}, ["drsjob-1"], **more)


def ec2(operation: str, answer: Json = None, **body: str) -> dict[str, Json]:
    """A call of EC2."""
    return {"service": "ec2", "operation": operation, "body": {"Action": operation, **body}, "answer": answer}


def batch(name: str = "b1") -> dict[str, Json]:
    """A batch that's written down."""
    item = {"pk": f"run#{RUN}", "sk": f"launch#{name}", "update": ""}
    return {"service": "dynamodb", "operation": "PutItem", "body": item}


@dataclass
class Forged:
    """Labelled calls in their order, and the run that they're of."""

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

    def before(self, label: str, *calls: dict[str, Json]) -> Forged:
        """More calls, just before one."""
        at = self._at(label)
        self.steps[at:at] = [("more", each) for each in calls]
        return self

    def after(self, label: str, *calls: dict[str, Json]) -> Forged:
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
        return [_call(number, step) for number, (_, step) in enumerate(self.steps)]

    @property
    def history(self) -> RunHistory:
        """What the run log has of it."""
        asked = RunRequest(
            goal="failback",
            target="home",
            servers=(ServerRequest(recovery_instance=SERVER, original="web", overwrite=self.overwrite),),
            cutover=CutoverChoice(fence=NoFence(kind="none"), launch=self.launch),
        )
        record = RunRecord(run=RUN, execution="e", goal="failback", target="home", home="azure", started=NOON,
                           request=asked)  # fmt: skip
        decisions = () if self.approved is None else (_decision(self.verdict, NOON + self.approved),)
        return RunHistory(record=record, servers=(ServerHistory(record=self._server(asked)),), decisions=decisions)

    def _server(self, asked: RunRequest) -> ServerRecord:
        before = BeforeImage(configuration=FailbackConfiguration(name="web"), original=_original())
        outcome = ServerOutcome.model_validate({"outcome": self.outcome, "at": NOON})
        return ServerRecord(
            id=SERVER, request=asked.servers[0], plan=_plan(overwrite=self.overwrite), before=before, outcome=outcome
        )


def _call(number: int, step: dict[str, Json]) -> RecordedCall:
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


def _original() -> Original:
    disks = tuple(
        OriginalDisk(name=name.rpartition("/")[2], id=name, size_gib=8, lun=lun)
        for name, lun in ((BOOT, None), (DATA, 0))
    )
    profile: Json = {"osDisk": {"managedDisk": {"id": BOOT}}, "dataDisks": [{"managedDisk": {"id": DATA}}]}
    return Original.model_validate(
        {"name": "web", "id": MACHINE, "os": "linux", "firmware": "bios", "running": True, "address": "10.0.0.4",
         "size": "small", "disks": disks, "document": {"properties": {"storageProfile": profile}}}
    )  # fmt: skip


def _plan(*, overwrite: bool) -> ServerPlan:
    targets = (BOOT, DATA) if overwrite else CLONES
    disks = tuple(
        PlannedDisk(device=device, bytes=1, size_gib=8, lun=lun, name=target.rpartition("/")[2], sku="s",
                    boot=lun == 0, original=source)
        for lun, (device, target, source) in enumerate(zip(DEVICES, targets, (BOOT, DATA), strict=True))
    )  # fmt: skip
    return ServerPlan.model_validate(
        {"id": SERVER, "source_server": "s-1", "hostname": "web", "os": "linux", "way": "original", "firmware": "bios",
         "client_firmware": "bios", "machine": "web", "size": "small", "disks": disks, "group": "sg-1",
         "private_ip": True, "bandwidth_mbps": 0, "to_copy": 1, "original": "web", "overwrite": overwrite}
    )  # fmt: skip


def way_home(*, overwrite: bool = False) -> Forged:
    """A server that comes home into the machine that it was failed over from, with clones or its own disks."""
    targets = (BOOT, DATA) if overwrite else CLONES
    copies: list[Step] = [] if overwrite else [("clones", made(each)) for each in CLONES]
    tag = {"Tag.1.Key": RUN_TAG, "Tag.1.Value": RUN}
    rule = {f"TagSpecification.1.{name}": value for name, value in tag.items()}
    steps: list[Step] = [
        ("plan", noted("plan")),
        ("before", noted("before")),
        ("configure", drs("UpdateFailbackReplicationConfiguration", {"recoveryInstanceID": SERVER})),
        ("off", arm("deallocate", MACHINE, method="POST", status=202)),
        *(("snapshot", made(resource("snapshots", f"s-{number}"), creationData={"sourceResourceId": each}))
          for number, each in enumerate((BOOT, DATA))),
        *copies,
        ("client-disk", made(CLIENT)),
        ("open", ec2("AuthorizeSecurityGroupIngress", ["sgr-1"], **rule)),
        ("take", tagged(MACHINE, {"drs-failback:taken-by": RUN})),
        ("out", storage(MACHINE, data=())),
        ("client", storage(MACHINE, boot=CLIENT)),
        ("targets", storage(MACHINE, data=targets)),
        ("boot", started()),
        ("ready", told("READY_FOR_LAUNCH")),
        ("fenced", noted("fenced")),
        ("batch", batch()),
        ("launched", noted("launched")),
        ("launch", launched()),
        ("completed", told("COMPLETED")),
        ("out-again", storage(MACHINE, data=())),
        ("swap", storage(MACHINE, boot=targets[0])),
        ("data", storage(MACHINE, data=targets[1:])),
        ("started", noted("started")),
        ("start", started()),
        ("hand-over", tagged(MACHINE, {})),
        *([] if overwrite else [("hand-over-disks", tagged(each, {})) for each in CLONES]),
        ("remove", removed(CLIENT)),
        ("close", ec2("RevokeSecurityGroupIngress", **{"SecurityGroupRuleId.1": "sgr-1"})),
        ("outcome", noted("outcome")),
        ("end", noted("outcome", server="")),
    ]  # fmt: skip
    return Forged(steps, overwrite=overwrite)


def way_back(*, overwrite: bool = False) -> Forged:
    """A server whose launch fails, and that's given back."""
    story = way_home(overwrite=overwrite)
    story.outcome = "failed"
    story.without("out-again", "swap", "data", "started", "start", "hand-over", "completed", "close")
    story.steps = [each for each in story.steps if each[0] not in {"hand-over-disks", "remove", "outcome", "end"}]
    targets = [] if overwrite else [("remove", removed(each)) for each in CLONES]
    story.steps += [
        ("error", told("ERROR")),
        ("job", drs("DescribeJobs", answer={"drsjob-1": {"status": "COMPLETED", "servers": {SERVER: "FAILED"}}})),
        ("outcome", noted("outcome")),
        ("stop", drs("StopFailback", {"recoveryInstanceID": SERVER})),
        ("out-again", storage(MACHINE, data=())),
        ("back", storage(MACHINE, boot=BOOT)),
        ("data", storage(MACHINE, data=(DATA,))),
        ("start", started()),
        *targets,
        ("remove", removed(CLIENT)),
        ("close", ec2("RevokeSecurityGroupIngress", **{"SecurityGroupRuleId.1": "sgr-1"})),
        ("end", noted("outcome", server="")),
    ]
    return story
