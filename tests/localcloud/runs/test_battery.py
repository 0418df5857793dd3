"""The whole way home under faults: every call denied once and tried again, functions killed.

Each call disturbed by itself, lost answers among them: tests/virtual.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.drs.plans import ClientPlan
from localcloud.embedded.originals import add_original
from localcloud.faults import Delay, Deny, FaultRule
from tests.localcloud.runs.ends import (
    all_groups,
    check_all_as_before,
    contents,
    failure_of,
    given_back,
    holds,
    prepare,
    wall,
)
from tests.localcloud.runs.servers import (
    UNATTENDED,
    NotWaiting,
    by_id,
    check_disks,
    decide,
    failed_over,
    outcome_of,
    plan_of,
    told,
    wait_for,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from localcloud.drs.records import RecoveryInstance
    from localcloud.embedded.originals import OriginalServer
    from tests.localcloud.runs.place import Place

pytestmark = pytest.mark.timeout(540)
Json = Any
Met = tuple[str, str, str]
"""Service, operation, kind of fault."""
RAW = "said by DRS"
NOTED = Delay(seconds=0)
HELD = Delay(seconds=2.5)
RUNS_OWN = 3
"""Calls that one time are made and another time aren't, as events come."""
KILLED = {
    "watch": FaultRule(service="states", operation="SendTaskSuccess", nth=(3,), action=HELD),
    "cut_over": FaultRule(service="arm", operation="virtualMachines/write", path="/killed$", nth=(2,), action=HELD),
    "close_server": FaultRule(service="drs", operation="UntagResource", nth=(1,), action=HELD),
}
"""Functions of the second half, each killed in the middle of a call that changes something."""


@pytest.fixture(scope="module", autouse=True)
def _prepared(place: Place) -> None:
    prepare(place)


@pytest.fixture(scope="module")
def behind(place: Place) -> Json:
    """The choices of all runs here: behind a wall, without anybody who approves or accepts."""
    first = failed_over(place, "first")
    return {**UNATTENDED, "fence": {"kind": "security-group", "group": wall(place, first)}}


def three(place: Place, prefix: str) -> tuple[dict[str, RecoveryInstance], dict[str, OriginalServer]]:
    """One for each way."""
    servers = {
        "new": failed_over(place, f"{prefix}-new", devices=("/dev/sda", "/dev/sdb")),
        "helper": failed_over(place, f"{prefix}-helper", boot_mode="uefi"),
        "original": failed_over(place, f"{prefix}-original"),
    }
    place.clouds.drs.plan(servers["original"].id, ClientPlan(original=True))
    originals = {way: add_original(place.clouds, servers[way]) for way in ("helper", "original")}
    return servers, originals


def ask(place: Place, run: str, servers: Mapping[str, RecoveryInstance], cutover: Json, **more: Json) -> str:
    """Start a run; those of the ways `helper` and `original` have left a machine at home."""
    asked = [
        {"recovery_instance": each.id, **({"original": each.made_of.name} if way in {"helper", "original"} else {})}
        for way, each in servers.items()
    ]
    return place.start(run, goal="failback", target="azure-home", servers=asked, cutover=cutover, **more)


def met(place: Place) -> Counter[Met]:
    """How often each call met each kind of fault so far."""
    return Counter((each.call.service, each.call.operation, each.action.kind) for each in place.clouds.faults.records)


def words(calls: Counter[Met]) -> str:
    return ", ".join(f"{service} {name} {calls[service, name, kind]}" for service, name, kind in sorted(calls))


def jobs_of(place: Place, server: RecoveryInstance) -> list[Json]:
    """The jobs that launched it at home."""
    pages = place.clouds.client("drs").get_paginator("describe_jobs").paginate()
    return [
        job
        for page in pages
        for job in page["items"]
        if job["initiatedBy"] == "FAILBACK"
        and server.id in {each.get("recoveryInstanceID") for each in job["participatingServers"]}
    ]


def check_home(place: Place, execution: str, servers: Mapping[str, RecoveryInstance]) -> None:
    """All are home with the same bytes, each was launched by one job, and nobody holds anything."""
    records = by_id(place, execution)
    for way, server in servers.items():
        record = records[server.id]
        assert outcome_of(record).outcome == "home", told(place, execution)
        if way != "original":
            check_disks(place, server, plan_of(record))
        assert len(jobs_of(place, server)) == 1
    assert place.listing()["leases"] == {}


def test_a_function_that_is_killed_in_the_second_half_costs_one_slice(place: Place, behind: Json) -> None:
    servers = {"new": failed_over(place, "killed")}
    launch = FaultRule(service="drs", operation="StartFailbackLaunch", action=HELD)
    rules = {**KILLED, "launch": launch}
    killed: list[str] = []
    done = met(place)
    with place.faults(*rules.values()):
        execution = ask(place, "killed", servers, behind)
        end = time.monotonic() + place.longest
        states = place.clouds.client("stepfunctions")
        while states.describe_execution(executionArn=execution)["status"] == "RUNNING":
            assert time.monotonic() < end, told(place, execution)
            place.wake()
            for name in {function_of(operation) for _, operation, _ in met(place) - done}:
                if name not in killed and place.clouds.aws.runner.kill(place.function(name)):
                    killed.append(name)
            time.sleep(0.1)
    assert states.describe_execution(executionArn=execution)["status"] == "SUCCEEDED", told(place, execution)
    print(f"\nkilled: {killed}")
    assert set(killed) == {"watch", "cut_over", "close_server"}
    check_home(place, execution, servers)


def function_of(operation: str) -> str:
    """Whose call is held up."""
    return {"virtualMachines/write": "cut_over", "UntagResource": "close_server"}.get(operation, "watch")


def test_every_call_is_denied_once_and_the_server_is_tried_again_until_it_is_home(place: Place, behind: Json) -> None:
    """Each denial holds the server; a person sees to the right and has the stage tried again, for all of the way."""
    noted = calls_of_a_way(place, behind)
    servers, _ = three(place, "tried")
    rules = [FaultRule(service=one, operation=name, action=Deny(), nth=(1,)) for one, name in sorted(noted)]
    done, tries, ids = met(place), Counter[str](), {each.id: each for each in servers.values()}
    decided: set[tuple[str, datetime]] = set()
    execution = ask(place, "tried", servers, {**behind, "on_failure": "hold"})
    # What the run does before any server's way begins holds nobody: it ends the run.
    place.wait_for(execution, "waves")
    with place.faults(*rules):
        states, end = place.clouds.client("stepfunctions"), time.monotonic() + 2 * place.longest
        while states.describe_execution(executionArn=execution)["status"] == "RUNNING":
            assert time.monotonic() < end, told(place, execution)
            for server, since in holds(place) - decided:
                decided.add((server, since))
                decide(place, "tried", "hold", "retry", ids[server])
                tries[ids[server].made_of.name] += 1
            place.wake()
            time.sleep(0.3)
    denied = met(place) - done
    print(f"\n{denied.total()} of {len(rules)} calls denied ({words(denied)}); tried again: {dict(tries)}")
    never = [f"{one} {name}" for one, name in sorted(noted) if not denied[one, name, "deny"]]
    assert len(never) <= RUNS_OWN, never
    check_home(place, execution, servers)


def calls_of_a_way(place: Place, behind: Json) -> set[tuple[str, str]]:
    """Whatever functions call while servers go home by all three ways, but for what the run itself needs first."""
    servers, _ = three(place, "noted")
    done = met(place)
    execution = ask(place, "noted", servers, behind)
    place.wait_for(execution, "waves")
    with place.faults(FaultRule(action=NOTED)):
        ended = place.finish_watched(execution)
    assert ended["status"] == "SUCCEEDED", told(place, execution)
    found = {(one, name) for one, name, _ in met(place) - done if name}
    # Without the run log nothing is known of anybody, and the report comes when all is over.
    return {(one, name) for one, name in found if one not in {"s3", "dynamodb"}}


DENIED = {
    "snapshot": (FaultRule(service="arm", operation="snapshots/write", action=Deny(), nth=(1,)), "boot_client"),
    "off": (FaultRule(service="arm", operation="virtualMachines/deallocate", path="/denied-off/", action=Deny(),
                      nth=(1,)), "boot_client"),
    "fence": (FaultRule(service="ec2", operation="ModifyNetworkInterfaceAttribute", action=Deny(), nth=(1,)),
              "quiesce"),
}  # fmt: skip
"""Calls that touch what was there before, and the stage whose they are; whoever makes the first two is one server."""


def test_each_denied_call_that_touches_what_was_there_before_gives_its_server_back_whole(
    place: Place, behind: Json
) -> None:
    servers = {name: failed_over(place, f"denied-{name}") for name in DENIED}
    for server in servers.values():
        place.clouds.drs.plan(server.id, ClientPlan(original=True))
    originals = {name: add_original(place.clouds, each) for name, each in servers.items()}
    before, groups = place.listing(), all_groups(place, servers.values())
    held = {name: contents(place, each) for name, each in originals.items()}
    asked = [{"recovery_instance": each.id, "original": each.made_of.name} for each in servers.values()]
    with place.faults(*(rule for rule, _ in DENIED.values())):
        execution = place.start("denied", goal="failback", target="azure-home", servers=asked, cutover=behind)
        ended = finish_giving_back(place, execution, "denied", list(servers.values()))
    assert (ended["status"], ended["error"]) == ("FAILED", "ServersFailed"), told(place, execution)
    records = by_id(place, execution)
    failures = Counter(failure_of(records[each.id])[0] for each in servers.values())
    assert failures == Counter(stage for _, stage in DENIED.values())
    for name, server in servers.items():
        assert given_back(records[server.id])["left"] == []
        assert contents(place, originals[name]) == held[name]
    check_all_as_before(before, place.listing())
    assert all_groups(place, servers.values()) == groups
    assert place.listing()["leases"] == {}


def finish_giving_back(place: Place, execution: str, run: str, servers: Sequence[RecoveryInstance]) -> Json:
    """Wait for a run's end, and have those that are held since they were launched given back, whatever they hold."""
    states, end = place.clouds.client("stepfunctions"), time.monotonic() + place.longest
    ids = {each.id: each for each in servers}
    decided: set[tuple[str, datetime]] = set()
    while (ended := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
        assert time.monotonic() < end, told(place, execution)
        for server, since in holds(place) - decided:
            if server not in ids:
                continue
            decided.add((server, since))
            # One that gives back without asking waits for a moment only.
            with suppress(NotWaiting):
                decide(place, run, "hold", "give_back", ids[server], discard=True)
        place.wake()
        time.sleep(0.3)
    return ended


def test_what_may_not_be_put_back_is_left_whole_and_told_with_commands(place: Place, behind: Json) -> None:
    """A server's own machine can't be changed back, nor its fence lifted: nothing that they may need is removed."""
    server = failed_over(place, "left")
    place.clouds.drs.plan(server.id, ClientPlan(original=True, launch_error=RAW))
    original = add_original(place.clouds, server)
    held = contents(place, original)
    rules = [
        FaultRule(service="arm", operation="virtualMachines/write", path="/left$", action=Deny()),
        # The first one raises the fence.
        FaultRule(service="ec2", operation="ModifyNetworkInterfaceAttribute", action=Deny(), nth=tuple(range(2, 30))),
    ]
    asked = [{"recovery_instance": server.id, "original": "left"}]
    cutover = {**behind, "launch": {"mode": "approve"}}
    execution = place.start("left", goal="failback", target="azure-home", servers=asked, cutover=cutover)
    wait_for(place, execution, "approval", [server])
    with place.faults(*rules):
        decide(place, "left", "approval", "approve", server)
        finish_giving_back(place, execution, "left", [server])
    record = by_id(place, execution)[server.id]
    left = given_back(record)["left"]
    kinds = {each["belonging"]["kind"]: each["command"] for each in left}
    print(f"\n{kinds}")
    assert {"original", "fence", "disk"} <= set(kinds)
    assert all(each["why"] and each["command"] for each in left)
    assert kinds["fence"].startswith(f"aws ec2 modify-instance-attribute --instance-id {server.id} --groups ")
    assert contents(place, original) == held
    assert place.listing()["leases"] == {}
