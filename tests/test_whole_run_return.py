"""Giving back a whole run: whoever came home stays, the others take turns, and no call or state grows with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from failback.clean_up import ABORTED
from failback.clearing import CALL_TIME, MOST_LEFT
from failback.errors import CloudBusy, CloudRefused
from failback.give_back import give_back
from failback.model.ending import Belonging, Outcome, Returned
from failback.model.record import RunRecord, StageEntry
from failback.model.recovery import FailbackConfiguration
from failback.model.request import FIRST_WAVE
from failback.model.run import RunState
from failback.model.server import BeforeImage, ServerOutcome
from failback.naming import TARGET_TAG, run_tags, server_lock
from failback.unreturned import is_unreturned
from tests.client_bench import BEFORE, OTHER, SERVER, Bench, direct, plan_of
from tests.memory.belongings import MemoryBelongings
from tests.memory.hosts import Rule
from tests.test_home_return import broken, everything

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.model.stage import StageResult

ALONE = ("home", "launched", "rehearsed")
MANY = [f"i-{number:017x}" for number in range(500)]
LONG = "x" * 240


def aborted(bench: Bench, *servers: str, goal: str = "failback") -> Bench:
    """The state of whoever cleans up after the run."""
    state = bench.state
    record = RunRecord(
        run=state.run.id,
        execution=state.run.execution,
        goal=goal,
        target=state.target.name,
        home="azure",
        started=state.run.started,
    )
    bench.run_log.open(record)
    fields = {**state.model_dump(mode="json"), "goal": "clean_up", "server": None, "failed": {}, "boot_client": None}
    bench.state = RunState.model_validate({**fields, "servers": [{"id": each} for each in servers or (SERVER,)]})
    return bench


def returned(bench: Bench) -> Returned:
    for _ in range(80):
        result = bench.give_back()
        if result.status == "done":
            assert isinstance(result.facts, Returned)
            return result.facts
    raise AssertionError(result)


def test_an_aborted_run_leaves_nothing_behind() -> None:
    bench, was = broken("original", "launched")
    facts = returned(aborted(bench))
    assert facts.left == ()
    assert everything(bench) == was
    assert not bench.run_log.leases
    outcome = bench.record.outcome
    assert outcome is not None
    assert (outcome.outcome, outcome.error) == ("failed", ABORTED)


def test_an_aborted_rehearsal_keeps_nothing_either() -> None:
    bench, was = broken("new", "started")
    assert returned(aborted(bench, goal="rehearse")).left == ()
    assert everything(bench) == was


def test_an_aborted_run_keeps_what_may_serve() -> None:
    bench, _ = broken("new", "started")
    facts = returned(aborted(bench))
    assert {each.belonging.kind for each in facts.left} >= {"machine", "fence"}
    assert bench.machines.machines


@pytest.mark.parametrize("end", ALONE)
def test_whoever_came_home_is_left_alone_entirely(end: str) -> None:
    bench = Bench().booted()
    bench.add(plan_of(OTHER))
    remember(bench, OTHER)
    bench.hosts.open(Rule(plan_of().group, "10.1.1.9/32", run_tags(bench.state.run.id, bench.state.run.started,
                                                                    server=OTHER)))  # fmt: skip
    settled = ServerOutcome.model_validate({"outcome": end, "at": bench.clock.now()})
    bench.book.settle(bench.state.run.id, SERVER, settled)
    machines, disks = dict(bench.machines.machines), dict(bench.machines.disks)
    bench.failed("waves", CloudRefused("the map failed"), server=None, servers=[{"id": SERVER}, {"id": OTHER}])
    facts = returned(bench)
    assert facts.left == ()
    assert (bench.machines.machines, bench.machines.disks) == (machines, disks)
    assert bench.recovery.configurations[SERVER] != BEFORE
    assert len(bench.hosts.rules) == 1
    assert list(bench.run_log.leases) == [server_lock(SERVER)]
    assert bench.record.outcome == settled
    other = bench.book.find(bench.state.run.id, OTHER)
    assert other is not None
    assert other.outcome is not None
    assert (other.outcome.outcome, other.outcome.stage) == ("failed", "waves")


def ended(bench: Bench) -> Bench:
    """Its servers failed, the run came to its own end; whoever has it cleaned up after gets that state."""
    run = bench.state.run.id
    settled = ServerOutcome(outcome="failed", at=bench.clock.now(), stage="cut_over", error="CloudRefused")
    bench.book.settle(run, SERVER, settled)
    aborted(bench, SERVER, OTHER)
    bench.run_log.close(run, Outcome(outcome="failed", error="ServersFailed"), bench.clock.now())
    return bench


def test_of_a_run_that_came_to_its_end_only_what_could_not_be_given_back_is_tried_again() -> None:
    bench, was = broken("original", "launched")
    facts = returned(ended(bench))
    assert facts.left == ()
    assert everything(bench) == was
    history = bench.run_log.read(bench.state.run.id)
    assert history is not None
    # Kept with the server: what's all undone isn't tried once more.
    assert not any(is_unreturned(each) for each in history.servers)
    assert returned(bench).removed == ()


def test_of_a_run_that_came_to_its_end_whoever_was_given_back_and_the_images_stay() -> None:
    bench = Bench().booted()
    bench.add(plan_of(OTHER))
    remember(bench, OTHER)
    entry = StageEntry(stage="give_back", status="done", began=bench.clock.now(), updated=bench.clock.now(),
                       facts=Returned().model_dump(mode="json"))  # fmt: skip
    for server in (SERVER, OTHER):
        bench.run_log.note(bench.state.run.id, entry, server=server)
    machines, configured = dict(bench.machines.machines), dict(bench.recovery.configurations)
    assert returned(ended(bench)) == Returned()
    assert (bench.machines.machines, bench.recovery.configurations) == (machines, configured)


def test_one_that_was_skipped_keeps_its_reason() -> None:
    bench = Bench()
    skipped = ServerOutcome(outcome="skipped", at=bench.clock.now(), stage="begin_wave", cause="stopped")
    bench.book.settle(bench.state.run.id, SERVER, skipped)
    bench.failed("waves", CloudRefused("the map failed"), server=None, servers=[{"id": SERVER}])
    returned(bench)
    assert bench.record.outcome == skipped
    assert not bench.run_log.leases


def remember(bench: Bench, server: str) -> None:
    before = BeforeImage(configuration=FailbackConfiguration(name="before"))
    bench.book.remember(bench.state.run.id, server, before)


class Slow(MemoryBelongings):
    """Takes seconds to say what there is, and for each removal; goes in two steps."""

    def __init__(self, bench: Bench, seconds: float) -> None:
        super().__init__()
        self.bench, self.seconds, self.longest = bench, seconds, 0.0

    def made_by(self, run: str, *, server: str = "") -> Sequence[Belonging]:
        self.bench.clock.forward(seconds=self.seconds)
        return super().made_by(run, server=server)


def crowd(seconds: float) -> tuple[Bench, Slow]:
    """A run of 500 servers that were all on their way, each with a machine that takes time to go."""
    bench = Bench()
    home = Slow(bench, seconds)
    for number, server in enumerate(MANY):
        bench.add(plan_of(server, hostname=f"web-{number}"))
        remember(bench, server)
        bench.recovery.change(server, tags={TARGET_TAG: "azure-home"}, failback_state="FAILBACK_IN_PROGRESS")
        machine = Belonging(cloud="azure", kind="machine", id=f"/{LONG}/machine-{number}", name=f"web-{number}")
        disk = Belonging(cloud="azure", kind="disk", id=f"/{LONG}/disk-{number}", name=f"disk-{number}")
        home.add(bench.state.run.id, machine, slow=True, server=server)
        home.add(bench.state.run.id, disk, server=server)
    home.add(bench.state.run.id, Belonging(cloud="azure", kind="disk", id="image", name="image"))
    return aborted(bench, *MANY), home


def call(bench: Bench, home: Slow) -> StageResult[Returned, dict[str, object]]:
    began = bench.clock.now()
    result = give_back(
        bench.state,
        ("azure", lambda: home),
        ("aws", MemoryBelongings),
        takeovers=lambda: bench.takeovers,
        side=bench.aws_side(),
        guard=direct,
    )
    home.longest = max(home.longest, (bench.clock.now() - began).total_seconds())
    kept = {**bench.state.model_dump(mode="json"), "give_back": result.model_dump(mode="json")}
    bench.state = RunState.model_validate(kept)
    return result  # type: ignore[return-value]


def all_calls(bench: Bench, home: Slow) -> None:
    while call(bench, home).status != "done":
        pass


def test_five_hundred_servers_exceed_neither_a_call_nor_a_state() -> None:
    bench, home = crowd(seconds=2)
    refused = [f"/{LONG}/disk-{number}" for number in range(0, 500, 4)]
    home.refuse = {each: CloudRefused("policy " * 500) for each in refused}
    calls, result = 1, call(bench, home)
    while result.status != "done":
        assert len(bench.state.model_dump_json()) < 250_000
        calls, result = calls + 1, call(bench, home)
    assert 5 < calls < 60
    assert home.longest < CALL_TIME.total_seconds() + 3
    facts = result.facts
    assert facts is not None
    assert len(facts.removed) + facts.more == 500 + 375 + 1 + 3 * 500
    *named, rest = facts.left
    assert len(named) == MOST_LEFT
    assert rest.why.startswith(f"{len(refused) - MOST_LEFT} more")
    assert {each.belonging.kind for each in named} == {"disk"}
    assert sorted(bench.recovery.stopped) == MANY
    assert not bench.run_log.leases
    assert {each.tags.get(TARGET_TAG) for server, each in bench.recovery.known.items() if server in MANY} == {None}
    assert [each.id for each in home.made_by(bench.state.run.id)] == refused


def test_a_busy_cloud_loses_one_call_and_no_server() -> None:
    bench, home = crowd(seconds=1)
    call(bench, home)
    bench.recovery.refuse["configure"] = CloudBusy("throttled")
    with pytest.raises(CloudBusy):
        all_calls(bench, home)
    bench.recovery.refuse.clear()
    all_calls(bench, home)
    assert home.made_by(bench.state.run.id) == []
    assert not bench.run_log.leases


def test_a_server_of_a_wave_to_come_does_not_keep_a_shared_rule() -> None:
    bench = Bench()
    bench.target(egress=["198.51.100.7/32"])
    bench.add(plan_of(private_ip=False, wave=FIRST_WAVE))
    bench.add(plan_of(OTHER, private_ip=False, wave="second"))
    bench.booted().failed("register_client", CloudRefused("no"))
    returned(bench)
    assert not bench.hosts.rules


def test_a_run_without_servers_asks_for_none() -> None:
    bench = Bench()
    bench.state = bench.state.model_copy(update={"server": None, "servers": ()})
    assert returned(bench) == Returned()
    assert not [call for call in bench.crashes.calls if call.startswith("servers")]
