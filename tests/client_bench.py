"""One server's part of a run, its clouds in memory: for tests of the stages that take it home or give it back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from failback.client_machine import ClientWork, boot_client
from failback.cut_over import ChangeDesk, cut_over
from failback.fence import FenceDesk
from failback.give_back import give_back
from failback.model.ending import Belonging
from failback.model.recovery import FailbackConfiguration, Host, InitiationStep, RecoveryInstance
from failback.model.request import ServerRequest
from failback.model.run import HomeImage, RunState
from failback.model.server import PlannedDisk, ServerPlan, ServerRef
from failback.model.stage import StageResult
from failback.model.way_home import CutOver, Launched
from failback.naming import RUN_TAG, SERVER_TAG, data_disk_name, image_name, server_lock
from failback.registration import ClientDesk, register_client
from failback.server_return import AwsSide
from failback.settings import FunctionSettings
from tests.crashes import Crashes
from tests.home.memory import MemoryBelongings, MemoryHomeImages, MemoryImage
from tests.home.memory_machines import MemoryHomeMachines
from tests.home.memory_takeovers import MemoryTakeovers
from tests.memory.client_keys import MemoryMint
from tests.memory.clock import FixedClock
from tests.memory.decision_book import MemoryDecisionBook
from tests.memory.documents import MemoryDocuments
from tests.memory.hooks import MemoryHooks
from tests.memory.hosts import MemoryHosts
from tests.memory.recovery import MemoryRecovery
from tests.memory.run_log import MemoryRunLog
from tests.memory.server_book import MemoryServerBook
from tests.states import state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from failback.errors import FailbackError
    from failback.model.server import ServerRecord
    from failback.ports import Belongings
    from tests.home.memory_machines import MemoryMachine

T = TypeVar("T")
SERVER = "i-0a1b2c3d4e5f60718"
OTHER = "i-0a1b2c3d4e5f60719"
GROUP = "sg-0a1b2c3d4e5f60718"
SETTINGS = FunctionSettings(
    stage="boot_client",
    table="log",
    bucket="images",
    region="eu-west-1",
    client_roles="arn:aws:iam::111122223333:role/drs-failback-client-",
)
BEFORE = FailbackConfiguration(name="as it was", bandwidth_mbps=7, private_ip=False, protocol="IPV4")


def plan_of(server: str = SERVER, **changed: Any) -> ServerPlan:  # noqa: ANN401
    """A Linux server with two volumes and one left out."""
    machine = f"web-{server[-2:]}"
    disks = [
        PlannedDisk(device=device, bytes=size << 30, size_gib=size, lun=lun, name=data_disk_name(machine, lun),
                    sku="StandardSSD_LRS", boot=not lun)
        for lun, (device, size) in enumerate((("/dev/xvda", 8), ("/dev/xvdb", 32)))
    ]  # fmt: skip
    plan = ServerPlan(
        id=server,
        source_server="s-0a1b2c3d4e5f60718",
        hostname=f"web-{server[-2:]}",
        os="linux",
        way="new",
        firmware="bios",
        client_firmware="bios",
        machine=machine,
        size="small",
        disks=tuple(disks),
        excluded=("/dev/xvdc",),
        group=GROUP,
        private_ip=True,
        bandwidth_mbps=200,
        to_copy=40 << 30,
    )
    return plan.model_copy(update=changed)


@dataclass
class RuleBelongings:
    """The Belongings that security groups' rules are."""

    hosts: MemoryHosts

    def made_by(self, run: str, *, server: str = "") -> Sequence[Belonging]:
        return [
            Belonging(cloud="aws", kind="rule", id=name, name=rule.group)
            for name, rule in self.hosts.rules.items()
            if rule.tags.get(RUN_TAG) == run and server in {"", rule.tags.get(SERVER_TAG)}
        ]

    def of_run(self, run: str) -> Sequence[Belonging]:
        return [each for each in self.made_by(run) if not self.hosts.rules[each.id].tags.get(SERVER_TAG)]

    def remove(self, belonging: Belonging) -> bool:
        self.hosts.rules.pop(belonging.id, None)
        return True

    def command(self, belonging: Belonging) -> str:
        return f"aws ec2 revoke-security-group-ingress {belonging.id}"


def direct(call: Callable[[], T], /) -> T:
    """A guard with nothing to translate."""
    return call()


@dataclass
class Bench:
    """The stages of `SERVER`, called one after the other; every port is `crashes`' to fail."""

    crashes: Crashes = field(default_factory=Crashes)
    recovery: MemoryRecovery = field(default_factory=MemoryRecovery)
    hosts: MemoryHosts = field(default_factory=MemoryHosts)
    book: MemoryServerBook = field(default_factory=MemoryServerBook)
    images: MemoryHomeImages = field(default_factory=MemoryHomeImages)
    machines: MemoryHomeMachines = field(default_factory=MemoryHomeMachines)
    mint: MemoryMint = field(default_factory=MemoryMint)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    hooks: MemoryHooks = field(default_factory=MemoryHooks)
    decisions: MemoryDecisionBook = field(default_factory=MemoryDecisionBook)
    clock: FixedClock = field(default_factory=FixedClock)
    settings: FunctionSettings = SETTINGS
    state: RunState = field(default_factory=lambda: state_of("boot_client"))
    aws: Belongings | None = None

    def __post_init__(self) -> None:
        self.run_log = MemoryRunLog(self.book)
        self.takeovers = MemoryTakeovers(self.machines)
        self.hosts.groups.add(GROUP)
        key = self.state.plan.key
        image = HomeImage(id="memory/client", name=image_name(key), key=key, tested=True)
        self.images.images[key] = MemoryImage(image, bytearray(1), {}, whole=True)
        self.add(plan_of())

    def add(self, plan: ServerPlan) -> None:
        """A server of the run, its lock taken."""
        arn = f"arn:aws:drs:eu-west-1:111122223333:recovery-instance/{plan.id}"
        if plan.id not in self.recovery.known:
            instance = RecoveryInstance(id=plan.id, arn=arn, source_server=plan.source_server, ec2_state="RUNNING")
            self.recovery.add(instance, configuration=BEFORE)
            self.hosts.add(Host(id=plan.id, state="running", groups=(GROUP,)))
        self.enlist(plan)

    def enlist(self, plan: ServerPlan) -> None:
        """A server's record and lock."""
        run = self.state.run.id
        self.book.enlist(run, [ServerRequest(recovery_instance=plan.id)])
        self.book.plan(run, plan)
        now = self.clock.now()
        assert self.run_log.lease(server_lock(plan.id), run, now=now, until=now.replace(year=2027)) == run

    @property
    def machine(self) -> MemoryMachine:
        return self.machines.machines[plan_of().machine]

    @property
    def record(self) -> ServerRecord:
        """What's known of `SERVER`."""
        record = self.book.find(self.state.run.id, SERVER)
        assert record is not None
        return record

    def target(self, **changed: Any) -> None:  # noqa: ANN401
        """Change the run's target."""
        fields = {**self.state.target.model_dump(mode="json"), **changed}
        self.state = RunState.model_validate({**self.state.model_dump(mode="json"), "target": fields})

    def boot(self) -> StageResult[Any, Any]:
        over = self.crashes.over
        work = ClientWork(
            recovery=over("recovery", self.recovery),
            hosts=over("hosts", self.hosts),
            servers=over("servers", self.book),
            images=over("images", self.images),
            machines=over("machines", self.machines),
            takeovers=over("takeovers", self.takeovers),
            settings=self.settings,
        )
        return self._kept("boot_client", boot_client(self.state, work))

    def booted(self) -> Bench:
        """Through the first stage."""
        while self.boot().status != "done":
            pass
        return self

    def register(self, seconds: float = 25) -> StageResult[Any, Any]:
        over = self.crashes.over
        self.clock.forward(seconds=seconds)
        desk = ClientDesk(
            recovery=over("recovery", self.recovery),
            servers=over("servers", self.book),
            machines=over("machines", self.machines),
            mint=over("mint", self.mint),
            settings=self.settings,
            clock=self.clock,
        )
        return self._kept("register_client", register_client(self.state, desk))

    def launched(self) -> Bench:
        """DRS has launched it, as the stage before the change leaves it; the client machine runs on."""
        now = self.clock.now()
        self.book.reach(self.state.run.id, SERVER, "launched", now)
        launched = Launched(job="drsjob-0a1b2c3d4e5f60718", at=now)
        self._kept("await_launch", StageResult(status="done", facts=launched))
        return self

    def shut_down(self, machine: str) -> Bench:
        """A guest has turned its machine off."""
        self.machines.machines[machine].state = "stopped"
        return self

    def cut_over(self, seconds: float = 10) -> StageResult[Any, Any]:
        over = self.crashes.over
        self.clock.forward(seconds=seconds)
        desk = ChangeDesk(
            servers=over("servers", self.book),
            machines=over("machines", self.machines),
            takeovers=over("takeovers", self.takeovers),
            clock=self.clock,
        )
        return self._kept("cut_over", cut_over(self.state, desk))

    def changed_over(self) -> CutOver:
        """Through that stage."""
        while True:
            result = self.cut_over()
            if result.status == "done":
                assert isinstance(result.facts, CutOver)
                return result.facts

    def give_back(self) -> StageResult[Any, Any]:
        over = self.crashes.over
        # What nobody has asked takeovers for isn't known to them, its boot disk included.
        known = self.takeovers if self.takeovers.documents else None
        home = MemoryBelongings(self.images, self.machines, known)
        aws: Belongings = self.aws or RuleBelongings(self.hosts)
        result = give_back(
            self.state,
            ("azure", lambda: over("home", home)),
            ("aws", lambda: over("aws", aws)),
            takeovers=lambda: over("takeovers", self.takeovers),
            side=self.aws_side(),
            guard=direct,
        )
        return self._kept("give_back", result)

    def aws_side(self) -> AwsSide:
        """What giving back takes of AWS."""
        over = self.crashes.over
        return AwsSide(
            recovery=over("recovery", self.recovery),
            servers=over("servers", self.book),
            run_log=over("run_log", self.run_log),
            clock=self.clock,
            fence=FenceDesk(over("hosts", self.hosts), over("documents", self.documents), over("hooks", self.hooks),
                            self.clock),
            decisions=over("decisions", self.decisions),
        )  # fmt: skip

    def failed(self, stage: str, error: FailbackError | None = None, **update: object) -> Bench:
        """A stage has failed for good."""
        failure = {"Error": type(error).__name__ if error else "States.Timeout", "Cause": str(error or "")}
        fields = {**self.state.model_dump(mode="json"), "failed": {stage: failure}, **update}
        self.state = RunState.model_validate(fields)
        return self

    def run_state(self, *servers: str) -> None:
        """The whole run's state in place of a server's."""
        refs = tuple(ServerRef(id=each) for each in servers or (SERVER,))
        self.state = self.state.model_copy(update={"server": None, "servers": refs})

    def steps(self, **statuses: str) -> None:
        """What DRS tells of the initiation steps, and that a client has got in touch."""
        told = tuple(InitiationStep(name=name, status=status) for name, status in statuses.items())
        self.recovery.change(
            SERVER, steps=told, failback_state="FAILBACK_IN_PROGRESS", replication_state="INITIATING", client="c0ffee"
        )

    def _kept(self, stage: str, result: StageResult[Any, Any]) -> StageResult[Any, Any]:
        """As the state machine keeps it: as JSON."""
        fields: Mapping[str, Any] = {**self.state.model_dump(mode="json"), stage: result.model_dump(mode="json")}
        self.state = RunState.model_validate(fields)
        return result
