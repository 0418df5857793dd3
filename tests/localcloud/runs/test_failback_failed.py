"""Servers that fail on their way home: each says where and what to do, and both clouds hold what they held before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from failback.clouds.aws.waiting_room import DynamoWaitingRoom
from failback.initiation_advice import STEPS
from failback.model.recovery import INITIATION_STEPS
from failback.replication_advice import STALL_ADVICE
from localcloud.drs.plans import ClientPlan
from localcloud.faults import Delay, Deny, FaultRule
from localcloud.moto_seams.map_runs import child_histories
from tests.localcloud.runs.servers import (
    by_id,
    check_transitions,
    failback,
    failed_over,
    outcome_of,
    transitions,
    without,
)

if TYPE_CHECKING:
    from failback.model.record import ServerHistory
    from localcloud.drs.records import RecoveryInstance
    from tests.localcloud.runs.place import Place

STUCK_MINUTES = 5
AT_ONCE = 3
"""Servers on their way at the same time: each takes functions of its own, and a function takes a second to start."""
WORDS = tuple(STALL_ADVICE)
RAW = "said by DRS"


@pytest.fixture(scope="module", autouse=True)
def _prepared(place: Place) -> None:
    """The client image is at home already, so that all that comes and goes is the servers'."""
    told = place.run("prepared")
    assert told["status"] == "SUCCEEDED", told


def check_run(place: Place, told: Any, servers: dict[str, ServerHistory], failed: set[str]) -> None:  # noqa: ANN401
    """The run failed, and names each server that did; each was given back by its own execution."""
    assert (told["status"], told["error"]) == ("FAILED", "ServersFailed"), told
    assert f"{len(failed)} of {len(servers)} servers aren't home" in told["cause"]
    named = [each for each in failed if each in told["cause"]]
    assert named == list(failed) or "more: the report names all of them" in told["cause"]
    report = place.report(told["name"])
    outcomes = {each["record"]["id"]: each["record"]["outcome"]["outcome"] for each in report["servers"]}
    assert {each for each, outcome in outcomes.items() if outcome == "failed"} == failed
    states = [transitions(events) for events in child_histories(told["executionArn"])]
    assert sum("give_back_server" in entered for entered in states) == len(failed)
    assert sum("server_failed" in entered for entered in states) == len(failed)
    for each in failed:
        (given,) = (stage for stage in servers[each].stages if stage.stage == "give_back")
        assert isinstance(given.facts, dict)
        assert given.facts["left"] == []


def test_each_step_that_fails_is_told_with_its_advice_and_leaves_nothing(place: Place) -> None:
    """Seven servers, of which each fails at another step; an eighth one gets through."""
    failing = {step: failed_over(place, f"step-{number}") for number, step in enumerate(INITIATION_STEPS)}
    well = failed_over(place, "well")
    for step, server in failing.items():
        place.clouds.drs.plan(server.id, ClientPlan(fail_step={step: RAW}))
    before = place.listing()
    execution = failback(place, "steps", [*failing.values(), well], at_once=AT_ONCE)
    told = place.finish_watched(execution)
    servers = by_id(place, execution)
    assert outcome_of(servers[well.id]).outcome == "home"
    for step, server in failing.items():
        outcome = outcome_of(servers[server.id])
        assert (outcome.outcome, outcome.stage, outcome.error) == ("failed", "register_client", "RegistrationFailed")
        assert f"step {step} failed" in outcome.cause
        assert RAW in outcome.cause
        assert STEPS[step] in outcome.cause
    check_run(place, told, servers, {each.id for each in failing.values()})
    assert without(place.listing(), well) == without(before, well)
    check_transitions(execution)


def test_each_word_of_a_stall_is_told_with_its_advice_and_leaves_nothing(place: Place) -> None:
    """21 servers replicate, then each is stalled by another word; two watchers answer each of them once."""
    assert len(WORDS) == 21
    stalled = {word: failed_over(place, f"stall-{number}") for number, word in enumerate(WORDS)}
    for server in stalled.values():
        place.clouds.drs.plan(server.id, ClientPlan(hold=0.5))
    before = place.listing()
    execution = failback(place, "stalls", [*stalled.values()], stuck_minutes=STUCK_MINUTES, at_once=AT_ONCE)
    waiting = list(stalled.items())
    while waiting:
        some, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
        wait_until_parked(place, {server.id for _, server in some})
        stall_and_answer(place, dict(some))
    told = place.finish(execution)
    servers = by_id(place, execution)
    for word, server in stalled.items():
        outcome = outcome_of(servers[server.id])
        assert (outcome.outcome, outcome.stage, outcome.error) == ("failed", "await_replication", "ReplicationStuck")
        assert f"replication is STALLED: {word}" in outcome.cause
        assert STALL_ADVICE[word] in outcome.cause
    check_run(place, told, servers, {each.id for each in stalled.values()})
    assert place.listing() == before
    check_transitions(execution)


def wait_until_parked(place: Place, servers: set[str]) -> None:
    """Wait until these servers wait for their replication."""
    room = DynamoWaitingRoom(place.clouds.client("dynamodb"), place.deployed.outputs["RunLogTable"])
    place.wait_until(lambda: servers <= {each.server for each in room.everyone()}, "servers to replicate")


def stall_and_answer(place: Place, stalled: dict[str, RecoveryInstance]) -> None:
    """Stall them until it's too long; then two watchers look at once."""
    for word, server in stalled.items():
        place.clouds.drs.plan(server.id, ClientPlan(hold=0.5, stall=word))
    for _ in range(STUCK_MINUTES):
        place.tick()
    place.clock.set(place.clock.ahead + 60)
    answers = FaultRule(service="states", operation="SendTaskFailure", action=Delay(seconds=0.01))
    done = len(place.clouds.faults.records)
    with place.faults(answers), ThreadPoolExecutor(2) as pool:
        swept = list(pool.map(lambda _: place.watch(), range(2)))
    print([{name: each[name] for name in ("looked_at", "answered", "busy")} for each in swept])
    assert sum(each["answered"] for each in swept) == len(stalled), swept
    assert len(place.clouds.faults.records) - done == len(stalled)


DENIED = {
    "ReadConfiguration": ("drs", "GetFailbackReplicationConfiguration", "drs:GetFailbackReplicationConfiguration"),
    "Configure": ("drs", "UpdateFailbackReplicationConfiguration", "drs:UpdateFailbackReplicationConfiguration"),
    "Mark": ("drs", "TagResource", "drs:TagResource"),
    "Admit": ("ec2", "AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupIngress"),
    "Disk": ("arm", "disks/write", "Microsoft.Compute/disks/write"),
    "Interface": ("arm", "networkInterfaces/write", "Microsoft.Network/networkInterfaces/write"),
    "Machine": ("arm", "virtualMachines/write", "Microsoft.Compute/virtualMachines/write"),
    "Console": ("arm", "virtualMachines/retrieveBootDiagnosticsData",
                "Microsoft.Compute/virtualMachines/retrieveBootDiagnosticsData/action"),
}  # fmt: skip
"""A server each: the first of these calls is denied, whoever makes it."""


def test_each_call_that_is_denied_is_told_with_the_right_that_is_missing_and_leaves_nothing(place: Place) -> None:
    """A server fails with its first denial, so as many fail as there are calls, one by each."""
    servers = [failed_over(place, f"denied-{number}") for number in range(len(DENIED))]
    before = place.listing()
    rules = [FaultRule(action=Deny(), service=one, operation=call, nth=(1,)) for one, call, _ in DENIED.values()]
    with place.faults(*rules):
        execution = failback(place, "denied", servers, at_once=AT_ONCE)
        told = place.finish_watched(execution)
    found = by_id(place, execution)
    outcomes = [outcome_of(each) for each in found.values()]
    assert {each.error for each in outcomes} == {"CloudRefused"}, outcomes
    for _, call, right in DENIED.values():
        assert sum(right in each.cause for each in outcomes) == 1, (call, outcomes)
    check_run(place, told, found, {each.id for each in servers})
    assert place.listing() == before


KEPT = {
    "failback": ("drs", "StopFailback", "aws drs stop-failback"),
    "failback-configuration": ("drs", "UpdateFailbackReplicationConfiguration", "aws drs update-failback-replication"),
    "tag": ("drs", "UntagResource", "aws drs untag-resource"),
    "rule": ("ec2", "RevokeSecurityGroupIngress", "aws ec2 revoke-security-group-ingress"),
    "interface": ("arm", "networkInterfaces/delete", "az network nic delete"),
}
"""What can't be given back, by its kind: the call that's denied, and how a person's command for it begins."""


def test_what_may_not_be_given_back_is_left_with_a_command_and_stops_nothing_else(place: Place) -> None:
    server = failed_over(place, "kept")
    place.clouds.drs.plan(server.id, ClientPlan(fail_step={INITIATION_STEPS[-1]: RAW}))
    before = place.listing()
    # The first call configures the server, the second one is to undo it.
    rules = [
        FaultRule(action=Deny(), service=one, operation=call, nth=(2,) if call.startswith("Update") else ())
        for one, call, _ in KEPT.values()
    ]
    with place.faults(*rules):
        execution = failback(place, "kept", [server])
        told = place.finish_watched(execution)
    assert (told["status"], told["error"]) == ("FAILED", "ServersFailed"), told
    (given,) = (stage for stage in by_id(place, execution)[server.id].stages if stage.stage == "give_back")
    assert isinstance(given.facts, dict)
    left: Any = given.facts["left"]
    assert sorted(each["belonging"]["kind"] for each in left) == sorted(KEPT), left
    for each in left:
        assert each["command"].startswith(KEPT[each["belonging"]["kind"]][2]), each
        assert each["why"]
    after = place.listing()
    assert after["leases"] == before["leases"]
    more = [each["type"] for name, each in after["azure"].items() if name not in before["azure"]]
    assert more == ["Microsoft.Network/networkInterfaces"]
