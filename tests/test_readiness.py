"""Readiness: a plan for who can go, every fault of who can't, and few calls whatever the number of servers."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from failback.errors import CloudBusy, NotReady
from failback.model.recovery import Host, RecoveryInstance, SourceServer, Volume
from failback.model.request import DiskChoice, ReplicationChoice, ServerRequest
from failback.model.server import ServerRef
from failback.naming import client_machine_name
from failback.readiness import check_readiness
from tests.home.memory_machines import MemoryHomeMachines, MemoryInterface
from tests.home.memory_takeovers import MemoryTakeovers
from tests.memory.clock import NOON, FixedClock
from tests.memory.hosts import MemoryHosts, Rule
from tests.memory.recovery import MemoryRecovery
from tests.memory.server_book import MemoryServerBook
from tests.states import state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from failback.home_ports import MachineNeeds, MachineState
    from failback.model.server import ServerPlan
    from failback.model.way_home import Readiness

GIB = 1 << 30
EMPTY = state_of("check_readiness", servers=[])
RUN = EMPTY.run.id


class CountingMachines(MemoryHomeMachines):
    """Counts what it's asked, and by how many at once."""

    def __init__(self) -> None:
        super().__init__()
        self.offers: list[MachineNeeds] = []
        self.looks: list[str] = []
        self.fails: Exception | None = None
        self._lock = threading.Lock()

    def offer(self, needs: MachineNeeds) -> str:
        self.offers.append(needs)
        return super().offer(needs)

    def state(self, name: str) -> MachineState:
        with self._lock:
            self.looks.append(name)
        if self.fails is not None:
            raise self.fails
        return super().state(name)


class CountingHosts(MemoryHosts):
    """Counts its looks at port 1500."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[tuple[tuple[str, ...], str]] = []

    def admits(self, groups: Sequence[str], cidr: str) -> bool:
        self.looks.append((tuple(groups), cidr))
        return super().admits(groups, cidr)


class World:
    """AWS and a home, with servers as sound as can be."""

    def __init__(self) -> None:
        self.book, self.recovery, self.hosts = MemoryServerBook(), MemoryRecovery(), CountingHosts()
        self.machines, self.state = CountingMachines(), EMPTY
        self.takeovers = MemoryTakeovers(self.machines)

    def server(self, number: int = 1, **request: Any) -> str:  # noqa: ANN401 - whatever a request has
        """A running Ubuntu with two volumes, asked for so."""
        name, source = f"i-{number:017x}", f"s-{number:017d}"
        volumes = (Volume(device="/dev/sda1", bytes=8 * GIB), Volume(device="/dev/sdb", bytes=100 * GIB))
        self.recovery.add(
            RecoveryInstance(
                id=name,
                arn=f"arn:aws:drs:eu-west-1:111122223333:recovery-instance/{name}",
                source_server=source,
                ec2_state="RUNNING",
                hostname=f"web-{number}.example.com",
                os="Ubuntu 22.04",
                cpus=2,
                ram_bytes=4 * GIB - 99,
                volumes=volumes,
                agent_seen=NOON - timedelta(seconds=40),
            ),
            source=SourceServer(id=source, architecture="x86_64"),
        )
        self.hosts.add(
            Host(id=name, state="running", firmware="bios", private_address="10.0.0.9", groups=("sg-1",), profile="p")
        )
        self.book.enlist(RUN, [ServerRequest(recovery_instance=name, **request)])
        self.refer(name)
        return name

    def refer(self, server: str) -> None:
        self.state = self.state.model_copy(update={"servers": (*self.state.servers, ServerRef(id=server))})

    def target(self, **update: object) -> None:
        self.state = self.state.model_copy(update={"target": self.state.target.model_copy(update=update)})

    def public(self) -> None:
        self.state = self.state.model_copy(update={"replication": ReplicationChoice(private_ip=False)})

    def host(self, server: str, **update: object) -> None:
        self.hosts.known[server] = self.hosts.known[server].model_copy(update=update)

    def check(self) -> Readiness:
        result = check_readiness(
            self.state,
            book=self.book,
            recovery=self.recovery,
            hosts=self.hosts,
            machines=self.machines,
            takeovers=self.takeovers,
            clock=FixedClock(),
        )
        assert result.status == "done"
        assert result.facts is not None
        return result.facts

    def refusal(self) -> str:
        with pytest.raises(NotReady) as caught:
            self.check()
        return str(caught.value)

    def plan(self, server: str) -> ServerPlan:
        record = self.book.find(RUN, server)
        assert record is not None
        assert record.plan is not None
        return record.plan


@pytest.fixture
def world() -> World:
    return World()


def test_a_sound_server_is_planned(world: World) -> None:
    server = world.server()
    facts = world.check()
    plan = world.plan(server)
    assert (facts.servers, facts.hints) == (1, len(plan.hints))
    assert (plan.machine, plan.hostname, plan.size) == ("web-1", "web-1.example.com", "small")
    assert (plan.os, plan.way, plan.firmware, plan.client_firmware) == ("linux", "new", "bios", "bios")
    assert [(disk.name, disk.size_gib, disk.boot) for disk in plan.disks] == [
        ("web-1-data-0", 8, True),
        ("web-1-data-1", 100, False),
    ]
    assert (plan.group, plan.private_ip, plan.bandwidth_mbps, plan.to_copy) == ("sg-1", True, 0, 108 * GIB)


def test_a_helper_is_a_small_machine_beside_the_servers_own(world: World) -> None:
    server = world.server(firmware="uefi", disks=(DiskChoice(device="/dev/sdb", exclude=True),))
    world.recovery.change(server, cpus=8, ram_bytes=30 * GIB)
    world.check()
    plan = world.plan(server)
    assert (plan.way, plan.firmware, plan.client_firmware, plan.size) == ("helper", "uefi", "bios", "small")
    assert plan.machine == client_machine_name(RUN, server)
    assert [disk.name for disk in plan.disks] == ["web-1-data-0"]
    assert (plan.excluded, plan.to_copy) == (("/dev/sdb",), 8 * GIB)
    client, own = world.machines.offers
    assert (client.cpus, client.memory_gib, client.firmware) == (1, 8.0, "bios")
    assert (own.cpus, own.memory_gib, own.firmware) == (8, 30.0, "uefi")


def test_a_server_that_finds_no_size_beside_its_helper_cannot_go(world: World) -> None:
    server = world.server(way="helper")
    world.recovery.change(server, cpus=200)
    refusal = world.refusal()
    assert "200 processors" in refusal
    assert "It's the server's own machine that finds none" in refusal


def test_a_wish_for_name_and_size_is_granted(world: World) -> None:
    server = world.server(name="shop", size="large")
    world.check()
    assert (world.plan(server).machine, world.plan(server).size) == ("shop", "large")


def test_the_original_says_the_name_where_the_instance_does_not(world: World) -> None:
    server = world.server()
    world.recovery.change(server, hostname="")
    source = world.recovery.known[server].source_server
    world.recovery.originals[source] = SourceServer(id=source, hostname="mail.example.com")
    world.check()
    assert world.plan(server).machine == "mail"


Fault = tuple[str, "Callable[[World, str], object]", str]
FAULTS: tuple[Fault, ...] = (
    ("drill", lambda w, s: w.recovery.change(s, is_drill=True), "drill: it's a drill's"),
    ("aws", lambda w, s: w.recovery.change(s, origin="AWS"), "origin: it comes from AWS"),
    ("stopped", lambda w, s: w.host(s, state="stopped"), "ec2: the instance is stopped"),
    ("gone", lambda w, s: w.hosts.known.pop(s), "ec2: there's no such instance"),
    ("unknown", lambda w, s: w.recovery.known.pop(s), "recovery instance: DRS knows none"),
    (
        "under way",
        lambda w, s: w.recovery.change(s, failback_state="FAILBACK_IN_PROGRESS"),
        "failback: FAILBACK_IN_PROGRESS: a failback is under way; wait for its end or end it in the DRS console or by "
        "`aws drs stop-failback --recovery-instance-id i-00000000000000001`",
    ),
    ("ready", lambda w, s: w.recovery.change(s, failback_state="FAILBACK_READY_FOR_LAUNCH"), "waits for its launch"),
    ("home", lambda w, s: w.recovery.change(s, failback_state="FAILBACK_COMPLETED"), "gone home already"),
    ("failed", lambda w, s: w.recovery.change(s, failback_state="FAILBACK_ERROR"), "an earlier failback failed"),
    ("new word", lambda w, s: w.recovery.change(s, failback_state="FAILBACK_ODD"), "FAILBACK_ODD: DRS doesn't say"),
    (
        "agent gone",
        lambda w, s: w.recovery.change(s, agent_seen=NOON - timedelta(days=3)),
        "agent: DRS last heard of its replication agent 3 days ago",
    ),
    (
        "arm",
        lambda w, s: w.recovery.originals.update({f"s-{1:017d}": SourceServer(id=f"s-{1:017d}", architecture="arm64")}),
        "architecture: it's arm64",
    ),
    ("no system", lambda w, s: w.recovery.change(s, os="", volumes=()), "os: DRS calls it ''"),
    ("no volumes", lambda w, s: w.recovery.change(s, volumes=()), "volumes: DRS knows none"),
    ("no firmware", lambda w, s: w.host(s, firmware=None), "firmware: EC2 doesn't say"),
    ("no group", lambda w, s: w.host(s, groups=()), "security group: the instance has none"),
    ("no name", lambda w, s: w.recovery.change(s, hostname=""), "name: DRS knows no host name"),
    ("too large", lambda w, s: w.recovery.change(s, cpus=200), "size: No size boots by bios with 200 processors"),
    (
        "name taken",
        lambda w, s: w.machines.interfaces.update({"web-1": MemoryInterface("10.30.0.9", {})}),
        "name: there's a machine web-1 at home already",
    ),
)


@pytest.mark.parametrize(("spoil", "text"), [each[1:] for each in FAULTS], ids=[each[0] for each in FAULTS])
def test_each_fault_is_told_and_stands_with_its_server(
    world: World, spoil: Callable[[World, str], object], text: str
) -> None:
    good, bad = world.server(2), world.server(1)
    spoil(world, bad)
    told = world.refusal()
    assert text in told
    assert bad in told
    assert good not in told
    record = world.book.find(RUN, bad)
    assert record is not None
    assert record.plan is None
    assert record.outcome is not None
    assert (record.outcome.outcome, record.outcome.stage, record.outcome.error) == (
        "failed",
        "check_readiness",
        "NotReady",
    )
    assert text in record.outcome.cause
    assert world.plan(good).machine == "web-2"


def test_faults_of_all_servers_and_the_target_are_told_at_once(world: World) -> None:
    one, two = world.server(1, way="new", firmware="uefi"), world.server(2, disks=(DiskChoice(device="/dev/sdx"),))
    world.recovery.change(one, is_drill=True)
    world.host(two, state="stopping")
    world.target(client=None)
    text = world.refusal()
    lines = text.splitlines()
    assert lines[1].startswith("The target:")
    assert lines[2].startswith("  client: azure-home doesn't say how client machines get at AWS")
    assert lines[3] == f"{one} web-1:"
    assert {line.split(":")[0] for line in lines[4:6]} == {"  drill", "  way"}
    assert lines[6] == f"{two} web-2:"
    assert {line.split(":")[0] for line in lines[7:9]} == {"  ec2", "  disks.0.device"}


def test_two_servers_of_one_name_are_both_told(world: World) -> None:
    one, two = world.server(1), world.server(2, name="WEB-1")
    text = world.refusal()
    assert f"the machine of {two} would be called too" in text
    assert f"the machine of {one} would be called too" in text


def test_a_request_that_was_never_enlisted_is_told(world: World) -> None:
    server = world.server()
    world.book.records.clear()
    assert f"{server}:\n  request: the run log doesn't hold" in world.refusal()


def test_the_internet_takes_addresses_on_both_sides(world: World) -> None:
    world.server()
    world.public()
    text = world.refusal()
    assert "The target:\n  egress: azure-home" in text
    assert "public address: the instance has none" in text


def test_the_internet_is_a_way_with_addresses_on_both_sides(world: World) -> None:
    server = world.server()
    world.public()
    world.target(egress=("203.0.113.7/32",))
    world.host(server, public_address="198.51.100.9")
    world.check()
    assert not world.plan(server).private_ip
    assert not any(hint.startswith("network:") for hint in world.plan(server).hints)


def hints_of(world: World, server: str) -> str:
    world.check()
    return "\n".join(world.plan(server).hints)


def test_what_is_worth_knowing_stands_in_the_plan(world: World) -> None:
    server = world.server()
    world.recovery.change(server, agent_seen=NOON - timedelta(minutes=130))
    world.host(server, profile="")
    text = hints_of(world, server)
    assert "replication agent 2 hours ago" in text
    assert "AWSElasticDisasterRecoveryRecoveryInstancePolicy" in text
    assert "takes a VPN" in text


def test_an_agent_that_was_late_for_minutes_or_never_heard_of_is_a_hint(world: World) -> None:
    one, two = world.server(1), world.server(2)
    world.recovery.change(one, agent_seen=NOON - timedelta(minutes=25))
    world.recovery.change(two, agent_seen=None)
    assert "25 minutes ago" in hints_of(world, one)
    assert "DRS doesn't say when" in hints_of(world, two)


def test_checking_takes_a_drill(world: World) -> None:
    server = world.server()
    world.recovery.change(server, is_drill=True)
    world.state = world.state.model_copy(update={"goal": "check"})
    assert "goal rehearse takes it" in hints_of(world, server)


@pytest.mark.parametrize(("cidr", "told"), [("0.0.0.0/0", True), ("10.0.0.0/8", False)])
def test_an_open_port_is_told(world: World, cidr: str, told: bool) -> None:
    server = world.server()
    world.hosts.open(Rule("sg-1", cidr))
    assert ("port 1500: it's open to 0.0.0.0/0 already" in hints_of(world, server)) is told


def test_a_port_that_is_open_to_the_targets_own_addresses_is_told(world: World) -> None:
    server = world.server()
    world.public()
    world.target(egress=("203.0.113.7/32", "203.0.113.8/32"))
    world.host(server, public_address="198.51.100.9")
    world.hosts.open(Rule("sg-1", "203.0.113.0/24"))
    assert "open to 203.0.113.7/32 and 203.0.113.8/32 already" in hints_of(world, server)


def test_a_busy_cloud_is_left_to_the_next_call(world: World) -> None:
    for number in range(1, 9):
        world.server(number)
    world.machines.fails = CloudBusy("the home throttles")
    with pytest.raises(CloudBusy):
        world.check()
    assert not any(record.outcome for record in world.book.of(RUN))
    world.machines.fails = None
    assert world.check().servers == 8


def test_hundreds_of_servers_are_asked_for_together(world: World) -> None:
    for number in range(1, 501):
        world.server(number)
    assert world.check().servers == 500
    assert len(world.recovery.described) == 1
    assert len(world.machines.offers) == len(world.hosts.looks) == 1
    assert sorted(world.machines.looks) == sorted(f"web-{number}" for number in range(1, 501))


def test_the_faults_of_hundreds_fit_into_a_cause_and_all_stand_in_the_run_log(world: World) -> None:
    for number in range(1, 501):
        world.recovery.change(world.server(number), is_drill=True, failback_state="FAILBACK_ERROR")
    text = world.refusal()
    assert len(text) < 30_000
    assert "more; what's in their way stands with each in the run log" in text
    assert all(record.outcome and "drill" in record.outcome.cause for record in world.book.of(RUN))


def test_asking_again_gives_the_same_plans(world: World) -> None:
    server = world.server()
    world.check()
    first = world.plan(server)
    world.check()
    assert world.plan(server) == first
