"""Closing an accepted server by each way home: what goes, what stays, and calls that are lost or refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

from failback.clearing import CALL_TIME
from failback.close import HANDING_OVER, ClosingDesk, close_server
from failback.errors import CloudBusy, CloudRefused, SignInRefused
from failback.last_steps import MOST_NAMED, is_protected, snapshots_kept
from failback.model.ending import Belonging, Returned
from failback.model.recovery import SourceServer
from failback.model.run import RunState
from failback.model.server import Ending, ServerOutcome
from failback.naming import RUN_TAG, TARGET_TAG, server_lock
from lambdas.stages.close_server.handler import close as call_stage
from tests.client_bench import BEFORE, OTHER, SERVER, RuleBelongings, plan_of
from tests.crashes import Crashes
from tests.home.memory import MemoryBelongings
from tests.servers_at_home import HELPER, WAYS, bench_of, plan_for, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.home_ports import Home
    from failback.model.stage import StageResult
    from tests.client_bench import Bench

T = TypeVar("T")
SOURCE = plan_of().source_server
GROUP_FENCE = {"kind": "security-group", "group": "sg-0a1b2c3d4e5f60799"}


class _Denied(Exception):
    """What an SDK raises."""


@dataclass
class Closing:
    """A server that's at home by that way, and was accepted."""

    bench: Bench
    crashes: Crashes = field(default_factory=Crashes)
    refuse: dict[str, Exception] = field(default_factory=dict)
    removal_seconds: float = 0
    removals: int = 0

    def guard(self, call: Callable[[], T], /) -> T:
        try:
            return call()
        except _Denied as error:
            raise CloudRefused(str(error)) from error

    def home(self) -> Home:
        if "home" in self.refuse:
            raise self.refuse["home"]
        bench = self.bench
        belongings = Refusing(bench.images, bench.machines, bench.takeovers)
        belongings.closing = self
        over = self.crashes.over
        parts = SimpleNamespace(takeovers=over("takeovers", Takeovers(self)), belongings=over("home", belongings))
        return cast("Home", parts)

    def desk(self) -> ClosingDesk:
        bench, over = self.bench, self.crashes.over
        return ClosingDesk(
            home=self.home,
            aws=("aws", lambda: over("aws", RuleBelongings(bench.hosts))),
            recovery=over("recovery", bench.recovery),
            servers=over("servers", bench.book),
            run_log=over("run_log", bench.run_log),
            guard=self.guard,
            clock=bench.clock,
        )

    def call(self) -> StageResult[Any, Any]:
        result = close_server(self.bench.state, self.desk())
        kept = {**self.bench.state.model_dump(mode="json"), "close_server": result.model_dump(mode="json")}
        self.bench.state = RunState.model_validate(kept)
        return result

    def through(self) -> Returned:
        """All calls; one that's lost is made again, as the state machine does."""
        for _ in range(30):
            try:
                result = self.call()
            except CloudBusy:
                continue
            if result.status == "done":
                assert isinstance(result.facts, Returned)
                return result.facts
            assert result.status == "pending"
            assert result.wait_seconds
        pytest.fail("closing doesn't end")

    def ending(self) -> Ending:
        outcome = self.bench.record.outcome
        assert outcome is not None
        assert outcome.outcome == "home"
        return outcome.ending

    @property
    def lock(self) -> bool:
        return server_lock(SERVER) in self.bench.run_log.leases

    def tagged(self) -> list[str]:
        """What at home has the run's tag."""
        bench = self.bench
        made = MemoryBelongings(bench.images, bench.machines, bench.takeovers).made_by(bench.state.run.id)
        return sorted(each.name for each in made)


class Refusing(MemoryBelongings):
    """The bench's; refuses to remove what it's told to, by its name, and takes its time."""

    closing: Closing

    def remove(self, belonging: Belonging) -> bool:
        if belonging.name in self.closing.refuse:
            raise self.closing.refuse[belonging.name]
        self.closing.removals += 1
        self.closing.bench.clock.forward(seconds=self.closing.removal_seconds)
        return super().remove(belonging)


@dataclass
class Takeovers:
    """The bench's, as far as closing asks them; refuses what it's told to."""

    closing: Closing

    def hand_over(self, name: str, *, run: str) -> bool:
        if "hand_over" in self.closing.refuse:
            raise self.closing.refuse["hand_over"]
        return self.closing.bench.takeovers.hand_over(name, run=run)

    def find(self, name: str) -> object:
        if "find" in self.closing.refuse:
            raise self.closing.refuse["find"]
        return self.closing.bench.takeovers.find(name)


def at_home(way: str = "new", **cutover: Any) -> Closing:  # noqa: ANN401
    """Booted, launched, changed over."""
    bench = bench_of(way)
    fields = {**bench.state.model_dump(mode="json"), "cutover": {"fence": GROUP_FENCE, **cutover}}
    bench.state = RunState.model_validate(fields)
    bench.booted().launched().shut_down(plan_for(way).machine)
    bench.changed_over()
    return Closing(bench)


OWN = {
    "new": ("web-18-data-0", "web-18-data-1"),
    "helper": ("web-18-data-0", "web-18-data-1"),
    "helper-into-original": ("web-18-data-0", "web-18-data-1"),
    "original": ("web-os-clone", "web-logs-clone", "web-scratch"),
    "overwrite": ("web-os", "web-logs", "web-scratch"),
}
DETACHED = {
    "new": (),
    "helper": (),
    "helper-into-original": ("web-os", "web-logs", "web-scratch"),
    "original": ("web-os", "web-logs"),
    "overwrite": (),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_server_alone_is_left_at_home_and_it_is_nobodys(way: str) -> None:
    closing = at_home(way, snapshot_days=0)
    bench, run = closing.bench, closing.bench.state.run.id
    assert closing.tagged()
    facts = closing.through()
    assert facts.left == ()
    assert closing.tagged() == []
    assert bench.takeovers.snapshots == {}
    document = bench.takeovers.document("web-18")
    assert document is not None
    assert RUN_TAG not in document["tags"]
    assert set(bench.machines.disks) == {*OWN[way], *DETACHED[way]}
    assert set(bench.machines.machines) == {"web-18"}
    assert bench.machines.machines["web-18"].state == "running"
    assert all(run not in each.tags.values() for each in bench.machines.disks.values())
    assert HELPER not in bench.machines.interfaces


@pytest.mark.parametrize("way", WAYS)
def test_aws_is_put_back_and_the_server_let_go(way: str) -> None:
    closing = at_home(way)
    bench = closing.bench
    assert bench.recovery.configurations[SERVER] != BEFORE
    assert bench.hosts.rules
    closing.through()
    assert bench.recovery.configurations[SERVER] == BEFORE
    assert TARGET_TAG not in bench.recovery.known[SERVER].tags
    assert bench.recovery.stopped == []
    assert not bench.hosts.rules
    assert not closing.lock
    assert closing.ending().protected is None


@pytest.mark.parametrize("way", WAYS)
def test_a_recovery_instance_and_its_fence_stay_and_a_person_is_told_how_to_end_it(way: str) -> None:
    closing = at_home(way)
    bench = closing.bench
    bench.hosts.groups.add("sg-0a1b2c3d4e5f60799")
    bench.hosts.exchange_groups(SERVER, ["sg-0a1b2c3d4e5f60799"])
    before = bench.hosts.describe([SERVER])[SERVER]
    closing.through()
    assert bench.hosts.describe([SERVER])[SERVER] == before
    advice = "\n".join(closing.ending().advice)
    assert f"The fence of the recovery instance {SERVER} (security-group) stays up" in advice
    assert f"aws drs terminate-recovery-instances --recovery-instance-ids {SERVER}" in advice
    assert f"aws drs disconnect-recovery-instance --recovery-instance-id {SERVER}" in advice
    assert f"aws drs delete-recovery-instance --recovery-instance-id {SERVER}" in advice


@pytest.mark.parametrize("fence", [None, {"kind": "none"}], ids=["unsaid", "none"])
def test_where_nothing_was_fenced_a_person_is_told_that_aws_may_serve(fence: dict[str, str] | None) -> None:
    closing = at_home(fence=fence)
    closing.through()
    assert any("may still serve" in line for line in closing.ending().advice)


@pytest.mark.parametrize("way", WAYS)
def test_original_disks_that_lie_detached_are_named_with_what_removes_them(way: str) -> None:
    closing = at_home(way, snapshot_days=0)
    closing.through()
    lines = [line for line in closing.ending().advice if "detached" in line]
    assert [line.rpartition(": ")[2] for line in lines] == [f"forget disk/{name}" for name in DETACHED[way]]


@pytest.mark.parametrize("way", ["original", "overwrite"])
def test_snapshots_of_originals_stay_for_a_while_and_are_told_with_the_day(way: str) -> None:
    closing = at_home(way, snapshot_days=7)
    snapshots = sorted(closing.bench.takeovers.snapshots)
    assert len(snapshots) == 2
    facts = closing.through()
    assert sorted(closing.bench.takeovers.snapshots) == snapshots
    assert closing.tagged() == snapshots
    assert not [each for each in facts.removed if each.kind == "snapshot"]
    lines = sorted(line for line in closing.ending().advice if "snapshot" in line)
    assert lines == [
        f"The snapshot {name} is kept until 2026-11-29; remove it then: forget snapshot/{name}" for name in snapshots
    ]


def test_nothing_of_another_run_or_server_goes() -> None:
    closing = at_home()
    bench, run = closing.bench, closing.bench.state.run.id
    bench.add(plan_of(OTHER))
    for name, tags in {"other-run": {RUN_TAG: "another"}, "nobodys": {}, "shared": {RUN_TAG: run}}.items():
        bench.machines.disks[name] = type(bench.machines.disks["web-18-data-0"])(
            bench.machines.disks["web-18-data-0"].disk, tags, ""
        )
    bench.hosts.admit(bench.record.plan.group if bench.record.plan else "", "10.9.9.9/32", tags={RUN_TAG: "another"})
    closing.through()
    assert {"other-run", "nobodys", "shared"} <= set(bench.machines.disks)
    assert [rule.cidr for rule in bench.hosts.rules.values()] == ["10.9.9.9/32"]
    assert server_lock(OTHER) in bench.run_log.leases


@pytest.mark.parametrize(
    ("state", "protected", "word"),
    [
        ("CONTINUOUS", True, "protects the server again"),
        ("INITIAL_SYNC", True, "(INITIAL_SYNC)"),
        ("BACKLOG", True, "(BACKLOG)"),
        ("RESCAN", True, "(RESCAN)"),
        ("STOPPED", False, f"aws drs start-replication --source-server-id {SOURCE}"),
        ("DISCONNECTED", False, "install it anew"),
        ("STALLED", False, "isn't protected"),
        ("INITIATING", None, f"describe-source-servers --filters sourceServerIDs={SOURCE}"),
        ("A_NEW_WORD", None, "calls its replication A_NEW_WORD"),
        ("", None, "doesn't say"),
    ],
)
def test_whether_aws_protects_the_server_again_is_told(state: str, protected: bool | None, word: str) -> None:
    closing = at_home()
    closing.bench.recovery.originals[SOURCE] = SourceServer(id=SOURCE, replication_state=state)
    closing.through()
    assert closing.ending().protected is protected
    assert word in closing.ending().advice[0]


def test_a_source_server_that_cannot_be_looked_at_is_told_as_unknown() -> None:
    assert is_protected(None) is None
    closing = at_home()
    closing.bench.recovery.refuse["sources"] = _Denied("no right")
    closing.through()
    assert closing.ending().protected is None


def test_a_machine_that_takes_time_is_looked_at_again_before_anything_goes() -> None:
    closing = at_home()
    first = closing.call()
    assert (first.status, first.wait_seconds) == ("pending", HANDING_OVER)
    assert first.progress is not None
    assert first.progress.note == "handing web-18 over"
    assert "web-18-disk" in closing.bench.machines.disks
    assert closing.bench.record.outcome is None
    assert closing.lock


def test_what_cannot_be_removed_is_told_and_the_server_is_home_all_the_same() -> None:
    closing = at_home()
    closing.refuse["web-18-disk"] = _Denied("a policy denies disks/delete")
    closing.bench.recovery.refuse = {"configure": _Denied("no right to configure"), "unmark": _Denied("no untagging")}
    facts = closing.through()
    assert {each.belonging.kind: each.why for each in facts.left} == {
        "disk": "a policy denies disks/delete",
        "failback-configuration": "no right to configure",
        "tag": "no untagging",
    }
    commands = "\n".join(each.command for each in facts.left)
    assert "forget disk/web-18-disk" in commands
    assert "aws drs update-failback-replication-configuration" in commands
    assert f"untag-resource --tag-keys {TARGET_TAG} --resource-arn arn:aws:drs" in commands
    assert closing.ending().advice
    assert not closing.lock


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("refused", ["hand_over", "home"])
def test_nothing_is_removed_at_home_where_the_machine_cannot_be_handed_over(way: str, refused: str) -> None:
    closing = at_home(way)
    closing.refuse[refused] = {"hand_over": _Denied("no right to tag"), "home": SignInRefused("no way in")}[refused]
    before = whole(closing.bench)
    disks, machines = set(before["disks"]), set(before["power"])
    facts = closing.through()
    assert set(closing.bench.machines.disks) == disks
    assert set(closing.bench.machines.machines) == machines
    kinds = [each.belonging.kind for each in facts.left]
    assert kinds == ["machine", "everything"]
    assert all(closing.bench.state.run.id in each.command for each in facts.left)
    assert all(tag in facts.left[0].command for tag in ("drs-failback:run", "drs-failback:taken-by"))
    assert closing.bench.recovery.configurations[SERVER] == BEFORE
    assert not closing.bench.hosts.rules
    assert not closing.lock
    if refused == "home":
        assert any("can't be listed" in line for line in closing.ending().advice)


def test_originals_that_cannot_be_looked_up_are_told() -> None:
    closing = at_home("original")
    closing.refuse["find"] = _Denied("no right to read")
    closing.through()
    assert any("can't be listed: no right to read" in line for line in closing.ending().advice)


def test_where_drs_is_blind_its_configuration_is_put_back_all_the_same() -> None:
    closing = at_home()
    closing.bench.recovery.refuse["instances"] = _Denied("no describing")
    facts = closing.through()
    assert closing.bench.recovery.configurations[SERVER] == BEFORE
    (left,) = facts.left
    assert (left.belonging.kind, left.why) == ("tag", "no describing")
    assert "describe-recovery-instances" in left.command


def test_a_recovery_instance_that_somebody_has_ended_needs_nothing() -> None:
    closing = at_home()
    del closing.bench.recovery.known[SERVER]
    configured = len(closing.bench.recovery.configured)
    facts = closing.through()
    assert facts.left == ()
    assert len(closing.bench.recovery.configured) == configured
    assert closing.ending()


def test_a_late_call_touches_nothing_of_another_runs() -> None:
    closing = at_home()
    closing.through()
    bench = closing.bench
    outcome, now = bench.record.outcome, bench.clock.now()
    assert bench.run_log.lease(server_lock(SERVER), "another", now=now, until=now.replace(year=2028)) == "another"
    theirs = BEFORE.model_copy(update={"bandwidth_mbps": 99})
    bench.recovery.configure(SERVER, theirs)
    bench.recovery.mark(bench.recovery.known[SERVER].arn, {TARGET_TAG: "theirs"})
    bench.clock.forward(hours=1)
    closing.through()
    assert bench.recovery.configurations[SERVER] == theirs
    assert bench.recovery.known[SERVER].tags[TARGET_TAG] == "theirs"
    assert bench.run_log.leases[server_lock(SERVER)][0] == "another"
    assert bench.record.outcome == outcome


def test_servers_that_share_a_rule_have_it_removed_by_the_last_of_them() -> None:
    closing = at_home()
    bench, run = closing.bench, closing.bench.state.run.id
    for server in (SERVER, OTHER):
        bench.add(plan_of(server, private_ip=False))
    closing.through()
    assert len(bench.hosts.rules) == 1
    bench.book.settle(run, OTHER, ServerOutcome(outcome="failed", at=bench.clock.now()))
    closing.through()
    assert not bench.hosts.rules


def test_a_call_begins_nothing_once_its_time_is_up() -> None:
    closing = at_home("helper")
    closing.removal_seconds = CALL_TIME.total_seconds()
    assert closing.call().progress.note == "handing web-18 over"  # type: ignore[union-attr]
    calls = 0
    while (result := closing.call()).status != "done":
        calls += 1
        assert closing.removals == calls
        assert result.progress is not None
        assert result.progress.note.startswith("removing ")
    assert calls > 3
    assert closing.tagged() == []


def test_a_server_with_many_disks_has_its_first_ones_named() -> None:
    bench = bench_of("original")
    things = [
        Belonging(cloud="memory", kind="snapshot", id=f"snapshot/{n}", name=f"{n}") for n in range(MOST_NAMED + 3)
    ]
    belongings = MemoryBelongings(bench.images, bench.machines, bench.takeovers)
    lines = list(snapshots_kept(things, belongings, bench.clock.now()))
    assert len(lines) == MOST_NAMED + 1
    assert lines[-1] == "3 more snapshots are kept."


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("way", WAYS)
def test_whatever_call_is_lost_it_ends_the_same(way: str, after: bool) -> None:
    undisturbed = at_home(way)
    expected_facts = undisturbed.through()
    expected, outcome = whole(undisturbed.bench), undisturbed.bench.record.outcome
    for at in range(len(undisturbed.crashes.calls)):
        closing = at_home(way)
        closing.crashes.at, closing.crashes.after = at, after
        facts = closing.through()
        assert whole(closing.bench) == expected, closing.crashes.calls[at]
        assert closing.bench.record.outcome == outcome, closing.crashes.calls[at]
        assert not closing.lock
        assert facts.left == expected_facts.left == ()


def test_the_stage_s_function_puts_the_adapters_together() -> None:
    closing = at_home()
    bench = closing.bench

    class Around:
        belongings, recovery, servers = RuleBelongings(bench.hosts), bench.recovery, bench.book
        run_log, clock = bench.run_log, bench.clock

        def home(self, state: RunState) -> Home:
            return closing.home()

        def guard(self, call: Callable[[], T], /) -> T:
            return call()

    around = cast("Any", Around())
    while call_stage(bench.state, around).status != "done":
        pass
    assert closing.ending()
