"""Stopping a workload before the launch: what has to be so before, what is written down first, and lost calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from failback.errors import CloudBusy, FenceFailed, RunUnknown
from failback.fence import FenceDesk
from failback.model.recovery import FailbackConfiguration, Host
from failback.model.request import ServerRequest
from failback.model.run import RunState
from failback.model.server import BeforeImage, Milestones
from failback.model.way_home import FenceCursor, Fenced
from failback.naming import SERVER_TAG, run_tags
from failback.quiesce import LOOK_AGAIN, QuiesceWork, quiesce
from tests.client_bench import GROUP, SERVER, plan_of
from tests.crashes import Crashes
from tests.memory.clock import NOON, FixedClock
from tests.memory.documents import MemoryDocuments
from tests.memory.hooks import MemoryHooks
from tests.memory.hosts import MemoryHosts, Rule
from tests.memory.server_book import MemoryServerBook
from tests.states import state_of

if TYPE_CHECKING:
    from failback.model.stage import StageResult

FENCE = "sg-0a1b2c3d4e5f60799"
DOCUMENT = {"fence": {"kind": "ssm", "document": "StopShop"}}


@dataclass
class Bench:
    """A server that was approved; every port is `crashes`' to fail."""

    crashes: Crashes = field(default_factory=Crashes)
    hosts: MemoryHosts = field(default_factory=MemoryHosts)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    hooks: MemoryHooks = field(default_factory=MemoryHooks)
    book: MemoryServerBook = field(default_factory=MemoryServerBook)
    clock: FixedClock = field(default_factory=FixedClock)
    state: RunState = field(default_factory=lambda: state_of("quiesce"))

    def __post_init__(self) -> None:
        run = self.state.run.id
        self.hosts.add(Host(id=SERVER, state="running", groups=(GROUP,)))
        self.hosts.groups.add(FENCE)
        self.book.enlist(run, [ServerRequest(recovery_instance=SERVER)])
        self.book.plan(run, plan_of())
        self.book.remember(run, SERVER, BeforeImage(configuration=FailbackConfiguration(), groups=(GROUP,)))

    def change(self, **members: object) -> None:
        self.state = RunState.model_validate({**self.state.model_dump(mode="json"), **members})

    def call(self) -> StageResult[Fenced, FenceCursor]:
        over = self.crashes.over
        desk = FenceDesk(
            hosts=over("hosts", self.hosts),
            documents=over("documents", self.documents),
            hooks=over("hooks", self.hooks),
            clock=self.clock,
        )
        result = quiesce(self.state, QuiesceWork(servers=over("servers", self.book), desk=desk))
        self.change(quiesce=result.model_dump(mode="json"))
        return result

    @property
    def milestones(self) -> Milestones:
        record = self.book.find(self.state.run.id, SERVER)
        assert record is not None
        return record.milestones


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_group_takes_the_place_of_the_others_with_the_clients_way_in_it(bench: Bench) -> None:
    result = bench.call()
    assert result.status == "done"
    assert result.facts is not None
    assert result.facts.kind == "security-group"
    assert bench.hosts.known[SERVER].groups == (FENCE,)
    tags = run_tags(bench.state.run.id, bench.state.run.started, server=SERVER)
    assert tags[SERVER_TAG] == SERVER
    assert list(bench.hosts.rules.values()) == [Rule(FENCE, "10.20.0.5/32", tags)]
    assert bench.milestones == Milestones(fenced=NOON)


def test_a_way_that_is_open_is_left_as_it_is(bench: Bench) -> None:
    bench.hosts.open(Rule(FENCE, "10.0.0.0/8"))
    bench.call()
    assert len(bench.hosts.rules) == 1


def test_public_ways_admit_the_targets_ways_out(bench: Bench) -> None:
    bench.book.plan(bench.state.run.id, plan_of(private_ip=False))
    egress = ["198.51.100.7/32", "198.51.100.64/30"]
    bench.change(target={**bench.state.target.model_dump(mode="json"), "egress": egress})
    bench.call()
    assert [(rule.group, rule.cidr) for rule in bench.hosts.rules.values()] == [(FENCE, cidr) for cidr in egress]


@pytest.mark.parametrize("cutover", [{}, DOCUMENT, {"fence": {"kind": "none"}}], ids=["nothing", "ssm", "none"])
def test_nothing_is_stopped_that_nobody_has_approved(bench: Bench, cutover: dict[str, Any]) -> None:
    bench.change(await_approval=None, cutover=cutover)
    with pytest.raises(FenceFailed, match="Nobody has approved"):
        bench.call()
    assert bench.crashes.calls == []


def test_going_home_takes_a_word_about_the_fence(bench: Bench) -> None:
    bench.change(cutover={})
    with pytest.raises(FenceFailed, match=r"cutover\.fence"):
        bench.call()
    assert bench.crashes.calls == []
    bench.change(goal="rehearse")
    result = bench.call()
    assert result.facts is not None
    assert (result.facts.kind, result.facts.said[:26]) == ("none", "nothing stops the workload")
    assert bench.milestones.fenced == NOON


def test_that_a_fence_is_raised_is_written_down_before_it_is(bench: Bench) -> None:
    bench.change(cutover=DOCUMENT)
    bench.documents.status = "pending"
    bench.call()
    assert bench.crashes.calls[:3] == ["servers.find", "servers.reach", "documents.run"]
    bench.clock.forward(minutes=3)
    bench.call()
    assert bench.milestones.fenced == NOON


def test_a_fence_under_way_is_looked_at_again_until_it_is_up(bench: Bench) -> None:
    bench.change(cutover=DOCUMENT)
    bench.documents.status = "pending"
    result = bench.call()
    assert (result.status, result.wait_seconds) == ("pending", LOOK_AGAIN)
    assert result.progress is not None
    assert result.progress.note == "stopping the workload on AWS (ssm)"
    bench.documents.settle(bench.documents.sent[0].id, "done", "closed")
    assert bench.call().facts == Fenced(kind="ssm", said="closed")
    assert len(bench.documents.sent) == 1


def test_a_failed_fence_is_tried_anew_when_a_person_says_so(bench: Bench) -> None:
    bench.change(cutover=DOCUMENT)
    bench.documents.status = "failed"
    for _ in range(2):
        with pytest.raises(FenceFailed, match=r"StopShop failed"):
            bench.call()
    assert len(bench.documents.sent) == 1
    bench.clock.forward(hours=5)
    bench.documents.status = "done"
    held = {"next": "quiesce", "actor": "anna", "at": bench.clock.now().isoformat()}
    bench.change(hold_server={"status": "done", "facts": held})
    assert bench.call().status == "done"
    assert len(bench.documents.sent) == 2


def test_another_stages_second_try_is_none_of_the_fence(bench: Bench) -> None:
    bench.change(cutover=DOCUMENT)
    held = {"next": "boot_client", "actor": "anna", "at": NOON.isoformat()}
    bench.change(hold_server={"status": "done", "facts": held})
    bench.call()
    assert bench.documents.sent[0].token.endswith(f"{SERVER}-fence")


def test_a_server_has_to_be_of_the_run(bench: Bench) -> None:
    bench.book.records.clear()
    with pytest.raises((ValueError, RunUnknown), match="record of the server"):
        bench.call()


def undisturbed() -> Bench:
    bench = Bench()
    bench.call()
    return bench


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(len(undisturbed().crashes.calls)))
def test_a_lost_call_changes_nothing_about_the_end(at: int, after: bool) -> None:
    bench = Bench(crashes=Crashes(at=at, after=after))
    with pytest.raises(CloudBusy):
        bench.call()
    assert bench.milestones.fenced == NOON or bench.hosts.known[SERVER].groups == (GROUP,)
    assert bench.call().status == "done"
    quiet = undisturbed()
    assert bench.hosts.rules == quiet.hosts.rules
    assert bench.hosts.known == quiet.hosts.known
    assert bench.book.records == quiet.book.records
