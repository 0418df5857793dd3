"""Giving a server back at home: by each way and from each point, all is as it was; what may serve there stays."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from failback.errors import CloudBusy, CloudRefused, LaunchFailed, SignInRefused
from failback.give_back import give_back
from failback.home_return import NOT_RESTORED, OVERWRITTEN, SERVES, UNSEEN
from failback.model.cutover import CutoverChoice, GroupFence
from failback.model.decision import Decision
from failback.model.ending import Returned
from failback.model.recovery import Host
from failback.model.stage import StageResult
from failback.model.way_home import Verified
from failback.naming import TARGET_TAG, server_lock
from tests.client_bench import BEFORE, GROUP, SERVER, Bench, RuleBelongings, direct
from tests.crashes import Crashes
from tests.servers_at_home import HELPER, ORIGINAL, WAYS, bench_of, plan_for, whole

if TYPE_CHECKING:
    from failback.model.server import ServerOutcome

FAILURE = LaunchFailed("DRS couldn't launch it")
FENCE_GROUP = "sg-0a1b2c3d4e5f60711"
POINTS = ("begun", "booted", "launched", "started")
CASES = [(way, point) for way in WAYS for point in POINTS]


def everything(bench: Bench) -> dict[str, Any]:
    """Both sides as they stand; what's written down of it isn't part of them."""
    seen = whole(bench)
    del seen["before"]
    # Of what a snapshot held nobody keeps anything once it's gone.
    seen["snapshots"] = bench.takeovers.snapshots
    seen["contents"] = {name: held for name, held in bench.takeovers.contents.items() if name in bench.machines.disks}
    seen["hosts"] = bench.hosts.known
    return copy.deepcopy(seen)


def reached(way: str, point: str) -> Bench:
    """A server that came that far: its fence is up from the launch on."""
    bench = bench_of(way)
    bench.hosts.add(Host(id="i-00000000000000000", state="running", groups=(FENCE_GROUP,)))
    fence = GroupFence(kind="security-group", group=FENCE_GROUP)
    bench.state = bench.state.model_copy(update={"cutover": CutoverChoice(fence=fence)})
    if point == "begun":
        bench.boot()
        return bench
    bench.booted()
    if point == "booted":
        return bench
    bench.book.reach(bench.state.run.id, SERVER, "fenced", bench.clock.now())
    bench.hosts.exchange_groups(SERVER, [FENCE_GROUP])
    bench.launched()
    bench.recovery.change(SERVER, failback_state="FAILBACK_COMPLETED")
    if point == "started":
        bench.shut_down(bench.record.plan.machine if bench.record.plan else "")
        bench.changed_over()
    return bench


def broken(way: str, point: str, crashes: Crashes | None = None) -> tuple[Bench, dict[str, Any]]:
    """The server after that point has failed, and how everything was before."""
    was = everything(reached_nothing(way))
    bench = reached(way, point).failed("cut_over", FAILURE)
    bench.crashes = crashes or Crashes()
    return bench, was


def reached_nothing(way: str) -> Bench:
    bench = bench_of(way)
    bench.hosts.add(Host(id="i-00000000000000000", state="running", groups=(FENCE_GROUP,)))
    return bench


def decide(bench: Bench, verdict: str, *, scope: str = SERVER, discard: bool = False, subject: str = "commit") -> None:
    bench.clock.forward(seconds=1)
    told = {"subject": subject, "scope": scope, "verdict": verdict, "discard": discard, "at": bench.clock.now()}
    decision = Decision.model_validate({**told, "actor": "ops", "known_by": "IAM"})
    bench.decisions.decide(bench.state.run.id, decision)


def returned(bench: Bench) -> Returned:
    for _ in range(60):
        result = bench.give_back()
        if result.status == "done":
            assert isinstance(result.facts, Returned)
            return result.facts
    raise AssertionError(result)


def outcome(bench: Bench) -> ServerOutcome:
    assert bench.record.outcome is not None
    return bench.record.outcome


@pytest.mark.parametrize(("way", "point"), CASES, ids=[f"{way}-{point}" for way, point in CASES])
def test_all_is_as_it_was(way: str, point: str) -> None:
    bench, was = broken(way, point)
    if point == "started":
        decide(bench, "give_back", discard=True)
    facts, after = returned(bench), everything(bench)
    # Only the snapshots hold what was on disks that were written to; so they stay, and are told.
    kept = after.pop("snapshots") if way == "overwrite" else {}
    assert {(each.belonging.name, each.why) for each in facts.left} == {(name, OVERWRITTEN) for name in kept}
    assert all(each.command for each in facts.left)
    assert bool(kept) == (way == "overwrite" and point != "begun")
    assert after == {name: what for name, what in was.items() if name in after}
    assert bench.recovery.known[SERVER].failback_state == "FAILBACK_NOT_STARTED"
    assert not bench.run_log.leases
    assert outcome(bench).outcome == "failed"


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_may_serve_at_home_stays_there(way: str) -> None:
    bench, _ = broken(way, "started")
    before = everything(bench)
    facts = returned(bench)
    after = everything(bench)
    for part in ("documents", "power", "disks", "interfaces", "snapshots", "contents", "hosts"):
        assert after[part] == before[part], part
    kinds = {each.belonging.kind for each in facts.left}
    assert "fence" in kinds
    assert kinds >= ({"original", "disk"} if plan_for(way).original else {"machine", "disk"})
    assert {each.why for each in facts.left} == {SERVES}
    assert all(each.command for each in facts.left)
    assert bench.recovery.stopped == []
    assert bench.recovery.configurations[SERVER] == BEFORE
    assert TARGET_TAG not in bench.recovery.known[SERVER].tags
    assert not bench.hosts.rules
    assert not bench.run_log.leases


def test_where_drs_says_nothing_a_started_server_stays() -> None:
    bench, _ = broken("original", "started")
    bench.recovery.refuse["instances"] = CloudRefused("a right is missing")
    facts = returned(bench)
    assert {each.why for each in facts.left if each.belonging.kind != "tag"} == {UNSEEN}
    assert bench.machines.machines[ORIGINAL].state == "running"


def test_a_started_server_that_drs_has_not_completed_goes() -> None:
    bench, was = broken("original", "started")
    bench.recovery.change(SERVER, failback_state="FAILBACK_ERROR")
    assert returned(bench).left == ()
    assert everything(bench) == was


@pytest.mark.parametrize(
    ("verdicts", "goes"),
    [
        ([("give_back", SERVER, False)], False),
        ([("give_back", SERVER, True)], True),
        ([("give_back", "wave:first", True)], True),
        ([("give_back", "run", True)], True),
        ([("give_back", "i-0a1b2c3d4e5f60710", True)], False),
        ([("give_back", SERVER, True), ("accept", SERVER, False)], False),
        ([("retry", SERVER, False), ("give_back", SERVER, True)], True),
    ],
    ids=["kept", "discarded", "wave", "run", "another", "taken-back", "changed-mind"],
)
def test_only_the_last_word_of_a_person_discards_it(verdicts: list[tuple[str, str, bool]], goes: bool) -> None:
    bench, was = broken("new", "started")
    for verdict, scope, discard in verdicts:
        decide(bench, verdict, scope=scope, discard=discard, subject="hold" if verdict == "retry" else "commit")
    facts = returned(bench)
    assert (facts.left == ()) is goes
    assert (everything(bench) == was) is goes


@pytest.mark.parametrize("way", ["new", "helper"])
def test_a_rehearsal_removes_what_was_started(way: str) -> None:
    bench, was = broken(way, "started")
    bench.state = bench.state.model_copy(update={"goal": "rehearse", "failed": {}})
    proof = StageResult[Verified, None](status="done", facts=Verified(verified=True, signal="agent"))
    bench.state = bench.state.model_validate(
        {**bench.state.model_dump(mode="json"), "verify_server": proof.model_dump(mode="json")}
    )
    assert bench.give_back().status == "pending"
    assert bench.record.outcome is None
    assert returned(bench).left == ()
    assert everything(bench) == was
    assert outcome(bench).outcome == "rehearsed"
    assert not outcome(bench).cause


def test_a_rehearsal_that_was_never_proven_has_failed() -> None:
    bench, was = broken("new", "started")
    proof = {"status": "done", "facts": {"verified": False, "said": "the console is empty"}}
    fields = {**bench.state.model_dump(mode="json"), "goal": "rehearse", "failed": {}, "verify_server": proof}
    bench.state = bench.state.model_validate(fields)
    assert returned(bench).left == ()
    assert everything(bench) == was
    told = outcome(bench)
    assert (told.outcome, told.stage) == ("failed", "verify_server")
    assert "the console is empty" in told.cause


def test_a_rehearsal_tells_what_it_had_to_leave() -> None:
    bench, _ = broken("new", "started")
    proof = {"status": "done", "facts": {"verified": True}}
    fields = {**bench.state.model_dump(mode="json"), "goal": "rehearse", "failed": {}, "verify_server": proof}
    bench.state = bench.state.model_validate(fields)
    bench.recovery.refuse["configure"] = CloudRefused("a right is missing")
    assert [each.belonging.kind for each in returned(bench).left] == ["failback-configuration"]
    assert outcome(bench).outcome == "rehearsed"
    assert outcome(bench).cause.startswith("1 thing")


def test_the_order() -> None:
    bench, _ = broken("original", "started")
    decide(bench, "give_back", discard=True)
    returned(bench)
    order = ["servers.settle", "recovery.stop", "takeovers.restore", "home.remove", "aws.remove",
             "hosts.exchange_groups", "recovery.configure", "recovery.unmark", "run_log.release"]  # fmt: skip
    calls = bench.crashes.calls
    assert sorted(order, key=calls.index) == order
    restored = len(calls) - 1 - calls[::-1].index("takeovers.restore")
    assert restored < calls.index("aws.remove")


def test_an_original_that_cannot_be_put_back_keeps_what_it_may_be_made_of() -> None:
    bench, _ = broken("original", "booted")
    document = bench.takeovers.document(ORIGINAL)
    assert document is not None
    document["id"] = "machine/another"
    facts = returned(bench)
    left = {each.belonging.kind: each for each in facts.left}
    assert set(left) == {"original", "disk", "snapshot"}
    assert {each.why for each in facts.left if each.belonging.kind != "original"} == {NOT_RESTORED}
    command = left["original"].command
    assert command.startswith(
        f"turn {ORIGINAL} off, let it boot from web-os, web-logs at unit 5 (ReadOnly), web-scratch at unit 9"
    )
    assert bench.state.run.id in command
    assert command.endswith("start it")
    assert "web-os-clone" in bench.machines.disks
    # AWS serves on all the same.
    assert not bench.hosts.rules
    assert bench.recovery.configurations[SERVER] == BEFORE
    assert not bench.run_log.leases


def test_a_home_that_lets_nobody_in_keeps_aws_from_nothing() -> None:
    bench, _ = broken("original", "launched")

    def closed() -> Any:  # noqa: ANN401
        message = "the federation isn't set up"
        raise SignInRefused(message)

    result = give_back(
        bench.state,
        ("azure", closed),
        ("aws", lambda: RuleBelongings(bench.hosts)),
        takeovers=closed,
        side=bench.aws_side(),
        guard=direct,
    )
    assert result.facts is not None
    assert [each.belonging.kind for each in result.facts.left] == ["original", "everything"]
    assert bench.hosts.known[SERVER].groups == (GROUP,)
    assert bench.recovery.configurations[SERVER] == BEFORE


def test_another_runs_original_is_not_touched() -> None:
    bench, _ = broken("helper-into-original", "booted")
    bench.run_log.release(server_lock(SERVER), bench.state.run.id)
    now = bench.clock.now()
    bench.run_log.lease(server_lock(SERVER), "another-run", now=now, until=now.replace(year=2027))
    document = copy.deepcopy(bench.takeovers.document(ORIGINAL))
    returned(bench)
    assert bench.takeovers.document(ORIGINAL) == document
    assert HELPER not in bench.machines.machines
    assert "takeovers.restore" not in bench.crashes.calls


def test_a_refused_stop_of_a_completed_failback_is_told_and_the_rest_goes_on() -> None:
    bench, _ = broken("new", "launched")
    bench.recovery.refuse["stop"] = CloudRefused("the failback is completed")
    facts = returned(bench)
    assert [each.belonging.kind for each in facts.left] == ["failback"]
    assert not bench.machines.machines
    assert bench.hosts.known[SERVER].groups == (GROUP,)


def undisturbed() -> Bench:
    bench, _ = broken("original", "started")
    decide(bench, "give_back", discard=True)
    returned(bench)
    return bench


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_lost_call_changes_nothing_about_the_end(after: bool) -> None:
    """Each call in its turn."""
    for at in range(len(undisturbed().crashes.calls)):
        lose_call(at, after)


def lose_call(at: int, after: bool) -> None:
    bench, was = broken("original", "started", Crashes(at=at, after=after))
    decide(bench, "give_back", discard=True)
    with pytest.raises(CloudBusy):
        returned(bench)
    assert returned(bench).left == ()
    assert everything(bench) == was
    assert not bench.run_log.leases
