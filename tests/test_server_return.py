"""Giving servers back: the order, what's put back, what's refused and by which command, and calls that are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore import xform_name
from botocore.session import Session

from failback.errors import CloudBusy, CloudRefused, RegistrationFailed
from failback.give_back import give_back
from failback.model.ending import LeftBehind, Returned
from failback.model.recovery import INITIATION_STEPS, FailbackConfiguration
from failback.naming import RUN_TAG, SERVER_TAG, TARGET_TAG, server_lock
from failback.server_return import configure_command
from tests.client_bench import BEFORE, OTHER, SERVER, Bench, RuleBelongings, direct, plan_of
from tests.crashes import Crashes

if TYPE_CHECKING:
    from failback.model.server import ServerOutcome

FAILURE = RegistrationFailed("the client isn't registered")
UNTAG = f"aws drs untag-resource --tag-keys {TARGET_TAG} --resource-arn"


@pytest.fixture
def bench() -> Bench:
    return replicating()


def replicating(crashes: Crashes | None = None) -> Bench:
    """A server whose client has got in touch, and then failed."""
    bench = Bench().booted()
    bench.steps(**{INITIATION_STEPS[0]: "FAILED"})
    bench.crashes = crashes or Crashes()
    return bench.failed("register_client", FAILURE)


def returned(bench: Bench) -> Returned:
    """All calls until it's done."""
    while True:
        result = bench.give_back()
        if result.status == "done":
            assert isinstance(result.facts, Returned)
            return result.facts


def outcome(bench: Bench, server: str = SERVER) -> ServerOutcome:
    record = bench.book.find(bench.state.run.id, server)
    assert record is not None
    assert record.outcome is not None
    return record.outcome


def left(bench: Bench) -> dict[str, LeftBehind]:
    return {each.belonging.kind: each for each in returned(bench).left}


def test_all_is_as_it_was(bench: Bench) -> None:
    facts = returned(bench)
    assert facts.left == ()
    assert [each.kind for each in facts.removed] == ["failback", "machine", "interface", "disk", "disk", "rule",
                                                     "failback-configuration", "tag"]  # fmt: skip
    assert bench.recovery.stopped == [SERVER]
    assert bench.recovery.configurations[SERVER] == BEFORE
    assert bench.recovery.known[SERVER].tags == {}
    assert not bench.hosts.rules
    assert [bench.machines.machines, bench.machines.disks, bench.machines.interfaces] == [{}, {}, {}]
    assert not bench.run_log.leases
    assert list(bench.images.images) == [bench.state.plan.key]


def test_it_goes_in_order_and_the_rule_waits_for_the_machine(bench: Bench) -> None:
    first = bench.give_back()
    assert first.status == "pending"
    assert first.progress is not None
    assert "removing web-18" in first.progress.note
    assert bench.hosts.rules
    returned(bench)
    order = [
        "servers.settle",
        "recovery.stop",
        "home.remove",
        "aws.remove",
        "recovery.configure",
        "recovery.unmark",
        "run_log.release",
    ]
    calls = bench.crashes.calls
    assert sorted(order, key=calls.index) == order
    assert calls.index("aws.made_by") > max(at for at, call in enumerate(calls) if call == "home.remove")


def test_it_says_where_and_why_the_server_failed(bench: Bench) -> None:
    returned(bench)
    told = outcome(bench)
    assert (told.outcome, told.stage, told.error) == ("failed", "register_client", "RegistrationFailed")
    assert told.cause == "the client isn't registered"


def test_a_lambdas_own_error_is_read(bench: Bench) -> None:
    cause = '{"errorType": "ReplicationStuck", "errorMessage": "stalled for an hour"}'
    failed = {"await_replication": {"Error": "ReplicationStuck", "Cause": cause}, "give_back": {"Error": "later"}}
    bench.failed("x", failed=failed)
    returned(bench)
    told = outcome(bench)
    assert (told.stage, told.error, told.cause) == ("await_replication", "ReplicationStuck", "stalled for an hour")


def test_a_server_that_nothing_was_done_for_is_left_alone() -> None:
    bench = Bench().failed("boot_client", FAILURE)
    bench.recovery.change(SERVER, failback_state="FAILBACK_IN_PROGRESS", tags={TARGET_TAG: "another's"})
    facts = returned(bench)
    assert facts == Returned()
    assert bench.recovery.stopped == []
    assert bench.recovery.configured == []
    assert bench.recovery.known[SERVER].tags == {TARGET_TAG: "another's"}
    assert not bench.run_log.leases
    assert outcome(bench).stage == "boot_client"


def test_a_failback_that_never_began_is_not_stopped() -> None:
    bench = Bench().booted().failed("boot_client", FAILURE)
    facts = returned(bench)
    assert bench.recovery.stopped == []
    assert "failback" not in {each.kind for each in facts.removed}
    assert bench.recovery.configurations[SERVER] == BEFORE


def test_a_client_that_gets_in_touch_while_its_machine_goes_is_stopped() -> None:
    bench = Bench().booted().failed("boot_client", FAILURE)
    assert bench.give_back().status == "pending"
    bench.steps(**{INITIATION_STEPS[0]: "IN_PROGRESS"})
    returned(bench)
    assert bench.recovery.stopped == [SERVER]


def test_a_recovery_instance_that_is_gone_leaves_nothing_to_be_done(bench: Bench) -> None:
    del bench.recovery.known[SERVER]
    facts = returned(bench)
    assert facts.left == ()
    assert not bench.machines.machines
    assert not bench.run_log.leases


@pytest.mark.parametrize(
    ("call", "kind", "command"),
    [
        ("stop", "failback", f"aws drs stop-failback --recovery-instance-id {SERVER}"),
        (
            "configure",
            "failback-configuration",
            f"aws drs update-failback-replication-configuration --recovery-instance-id {SERVER} "
            "--bandwidth-throttling 7 --no-use-private-ip --name 'as it was' --internet-protocol IPV4",
        ),
        ("unmark", "tag", f"{UNTAG} arn:aws:drs:eu-west-1:111122223333:recovery-instance/{SERVER}"),
    ],
    ids=["stop", "configure", "unmark"],
)
def test_a_refusal_stops_no_other_and_comes_with_its_command(bench: Bench, call: str, kind: str, command: str) -> None:
    bench.recovery.refuse[call] = CloudRefused("a right is missing")
    found = left(bench)
    assert list(found) == [kind]
    assert (found[kind].why, found[kind].command) == ("a right is missing", command)
    undone = {
        "failback": bench.recovery.stopped == [SERVER],
        "failback-configuration": bench.recovery.configurations[SERVER] == BEFORE,
        "tag": bench.recovery.known[SERVER].tags == {},
    }
    assert undone == {each: each != kind for each in undone}
    assert not bench.machines.machines
    assert not bench.hosts.rules
    assert not bench.run_log.leases


def test_what_drs_does_not_tell_is_undone_all_the_same(bench: Bench) -> None:
    bench.recovery.refuse["instances"] = CloudRefused("a right is missing")
    found = left(bench)
    assert set(found) == {"tag"}
    assert "a right is missing" in found["tag"].why
    assert found["tag"].command.startswith(UNTAG)
    assert SERVER in found["tag"].command
    assert not bench.machines.machines
    assert bench.recovery.stopped == [SERVER]
    assert bench.recovery.configurations[SERVER] == BEFORE


@pytest.mark.parametrize("call", ["instances", "stop", "configure", "unmark"])
def test_a_busy_drs_is_left_to_the_next_call(bench: Bench, call: str) -> None:
    bench.recovery.refuse[call] = CloudBusy("throttled")
    with pytest.raises(CloudBusy):
        returned(bench)
    assert bench.run_log.leases
    bench.recovery.refuse.clear()
    returned(bench)
    assert bench.recovery.known[SERVER].tags == {}


def test_another_runs_server_is_not_touched(bench: Bench) -> None:
    bench.run_log.release(server_lock(SERVER), bench.state.run.id)
    now = bench.clock.now()
    bench.run_log.lease(server_lock(SERVER), "another-run", now=now, until=now.replace(year=2027))
    returned(bench)
    assert bench.recovery.stopped == []
    assert bench.recovery.known[SERVER].tags != {}
    assert bench.run_log.leases[server_lock(SERVER)][0] == "another-run"
    assert not bench.machines.machines


def test_a_home_that_lets_nobody_in_says_what_to_look_for(bench: Bench) -> None:
    class Closed:
        def made_by(self, run: str, *, server: str = "") -> Any:  # noqa: ANN401
            raise CloudRefused("no way in")

    home: Any = Closed()
    aws = RuleBelongings(bench.hosts)
    result = give_back(
        bench.state,
        ("azure", lambda: home),
        ("aws", lambda: aws),
        takeovers=lambda: bench.takeovers,
        side=bench.aws_side(),
        guard=direct,
    )
    assert result.facts is not None
    (behind,) = result.facts.left
    assert f"{RUN_TAG}={bench.state.run.id} and {SERVER_TAG}={SERVER}" in behind.command
    assert bench.recovery.known[SERVER].tags == {}


def test_a_rule_that_others_go_by_stays_until_the_last_of_them_fails() -> None:
    bench = Bench()
    bench.target(egress=["198.51.100.7/32"])
    bench.add(plan_of(private_ip=False))
    bench.add(plan_of(OTHER, private_ip=False))
    bench.booted().failed("register_client", FAILURE)
    returned(bench)
    assert len(bench.hosts.rules) == 1
    bench.failed("register_client", FAILURE, server={"id": OTHER}, give_back=None)
    returned(bench)
    assert not bench.hosts.rules


def whole(bench: Bench) -> tuple[object, ...]:
    """All that there is at the end."""
    return (
        bench.machines.machines,
        bench.machines.disks,
        bench.machines.interfaces,
        bench.hosts.rules,
        bench.recovery.known,
        bench.recovery.configurations,
        bench.recovery.stopped,
        bench.book.records,
        bench.run_log.leases,
    )


def undisturbed() -> Bench:
    bench = replicating()
    returned(bench)
    return bench


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_lost_call_changes_nothing_about_the_end(after: bool) -> None:
    """Each call in its turn."""
    for at in range(len(undisturbed().crashes.calls)):
        lose_call(at, after)


def lose_call(at: int, after: bool) -> None:
    bench = replicating(Crashes(at=at, after=after))
    with pytest.raises(CloudBusy):
        returned(bench)
    assert returned(bench).left == ()
    assert whole(bench) == whole(undisturbed())


def test_a_whole_run_gives_all_its_servers_back(bench: Bench) -> None:
    bench.add(plan_of(OTHER))
    bench.state = bench.state.model_copy(update={"boot_client": None})
    bench.failed("servers", CloudRefused("the map failed"))
    bench.run_state(SERVER, OTHER)
    facts = returned(bench)
    assert facts.left == ()
    assert bench.recovery.stopped == [SERVER]
    assert bench.recovery.configurations[SERVER] == BEFORE
    assert bench.recovery.known[SERVER].tags == {}
    assert not bench.machines.machines
    assert not bench.hosts.rules
    assert not bench.run_log.leases
    for server in (SERVER, OTHER):
        told = outcome(bench, server)
        assert (told.stage, told.error) == ("servers", "CloudRefused")
        assert told.cause == "the run ended at servers; its report says why"


def test_a_server_s_own_cause_stays(bench: Bench) -> None:
    returned(bench)
    bench.failed("servers", CloudRefused("the map failed"), give_back=None)
    bench.run_state()
    returned(bench)
    assert outcome(bench).stage == "register_client"


def test_the_command_names_what_the_command_line_knows() -> None:
    """The options are the members of the operation, as the command line spells them."""
    model = Session().get_service_model("drs")
    shape = model.operation_model("UpdateFailbackReplicationConfiguration").input_shape
    assert shape is not None
    known = {f"--{xform_name(name, '-')}" for name in shape.members}
    words = configure_command(SERVER, FailbackConfiguration(name="n", private_ip=True, protocol="IPV6")).split()
    assert {word for word in words if word.startswith("--")} == known
