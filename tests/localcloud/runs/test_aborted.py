"""Runs that are broken off from outside, wherever they are, and runs that a person stops: what was begun goes back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from failback.clean_up import ABORTED
from failback.model.recovery import INITIATION_STEPS
from localcloud.drs.plans import ClientPlan
from localcloud.drs.scripted_client import scripted_client
from localcloud.embedded.originals import OriginalServer, add_original
from localcloud.guests.scripted import GuestPlan
from tests.localcloud.runs.ends import (
    all_groups,
    check_all_as_before,
    cleaned_up,
    contents,
    failure_of,
    groups_of,
    prepare,
    stop_execution,
    wall,
)
from tests.localcloud.runs.servers import (
    UNATTENDED,
    by_id,
    decide,
    failed_over,
    outcome_of,
    plan_of,
    wait_for,
    waiting_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from failback.model.record import ServerHistory
    from localcloud.drs.records import RecoveryInstance
    from localcloud.guests.client import ClientTask
    from tests.localcloud.runs.place import Place

pytestmark = pytest.mark.timeout(480)
Json = Any
HALF = ClientPlan(hold=0.5)
SILENT = {"serial": "it never says that", "agent": False}
WAITS = {"await_replication": "replication", "await_approval": "approval", "await_launch": "launch"}
GO_BACK = ("boot_client", "register_client", *WAITS, "cut_over")
"""Stages in which a run is broken off, each of them by a run of its own, before its server was started at home."""
STAY: dict[str, Json] = {"verify_server": {"verify": SILENT}, "await_commit": {"commit": {"by": "person"}}}
"""And after that: what they ask for so that they wait there."""


@dataclass
class Story:
    """What was before, between and after."""

    servers: Mapping[str, RecoveryInstance]
    before: Json
    after: Json = None
    records: dict[str, ServerHistory] = field(default_factory=dict)
    cleaned: dict[str, Json] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    contents: list[str] = field(default_factory=list)


@pytest.fixture(scope="module", autouse=True)
def _prepared(place: Place) -> None:
    prepare(place)


@pytest.fixture(scope="module")
def servers(place: Place) -> dict[str, RecoveryInstance]:
    made = {stage: failed_over(place, stage.replace("_", "-")) for stage in (*GO_BACK, *STAY)}
    place.clouds.drs.plan(made["await_replication"].id, HALF)
    return made


@pytest.fixture(scope="module")
def original(place: Place, servers: dict[str, RecoveryInstance]) -> OriginalServer:
    """The one that's broken off in the change has its own machine at home."""
    return add_original(place.clouds, servers["cut_over"])


@pytest.fixture(scope="module")
def story(place: Place, servers: dict[str, RecoveryInstance], original: OriginalServer) -> Story:
    """A run for each stage, all at the same time; each is stopped when it's there."""
    behind = {**UNATTENDED, "fence": {"kind": "security-group", "group": wall(place, servers["cut_over"])}}
    attended = {**behind, "launch": {"mode": "approve"}}
    choices: Json = {
        "await_approval": attended,
        "await_launch": attended,
        **{stage: {**behind, **more} for stage, more in STAY.items()},
    }
    told = Story(servers, place.listing(), groups=all_groups(place, servers.values()))
    told.contents = contents(place, original)
    # Its client doesn't turn itself off once it's launched: nothing is moved until it has.
    place.machines.append(GuestPlan(client=lingering(place)))
    executions = {}
    for stage, server in sorted(servers.items(), key=lambda each: each[0] != "cut_over"):
        asked = {"recovery_instance": server.id, **({"original": "cut-over"} if stage == "cut_over" else {})}
        executions[stage] = place.start(
            name_of(stage), goal="failback", target="azure-home", servers=[asked], cutover=choices.get(stage, behind)
        )
        place.wait_until(lambda: not place.machines, "the first of them to be booted")
    on_their_way = dict(executions)
    while on_their_way:
        place.wake()
        time.sleep(0.3)
        for stage in [each for each in on_their_way if is_in(place, executions[each], each, servers[each])]:
            stop_execution(place, on_their_way.pop(stage))
    told.cleaned = {stage: cleaned_up(place, each) for stage, each in executions.items()}
    told.records = {stage: by_id(place, each)[servers[stage].id] for stage, each in executions.items()}
    told.after = place.listing()
    return told


def name_of(stage: str) -> str:
    return f"broken-off-in-{stage.replace('_', '-')}"


def lingering(place: Place) -> Callable[[ClientTask], bool]:
    """A client that's launched, and whose machine stays on all the same."""
    clouds = place.clouds
    client = scripted_client(clouds.drs, door_url=clouds.drs_url, replication_port=clouds.replication_port)

    def run(task: ClientTask) -> bool:
        client(task)
        task.stopping.wait()
        return False

    return run


def is_in(place: Place, execution: str, stage: str, server: RecoveryInstance) -> bool:
    """Whether the run has come to that stage; one that's to wait for its launch is approved on the way."""
    if stage == "await_launch" and server.id in waiting_for(place, "approval"):
        # Not level any more: it's fenced, and isn't launched.
        place.clouds.drs.plan(server.id, HALF)
        decide(place, name_of(stage), "approval", "approve", server)
    if stage in WAITS:
        return server.id in waiting_for(place, WAITS[stage])
    known = place.history(execution)
    assert place.clouds.client("stepfunctions").describe_execution(executionArn=execution)["status"] == "RUNNING"
    return known is not None and stage in {each.stage for each in by_id(place, execution)[server.id].stages}


@pytest.mark.parametrize("stage", GO_BACK)
def test_a_server_that_was_not_started_goes_back(place: Place, story: Story, stage: str) -> None:
    record, server = story.records[stage], story.servers[stage]
    assert failure_of(record)[1] == ABORTED, record
    assert record.record.milestones.started is None
    fenced = record.record.milestones.fenced
    # Nothing holds these two where they are: a stop may find them further on.
    if stage not in {"boot_client", "register_client"}:
        assert (fenced is not None) is (stage in {"await_launch", "cut_over"})
    assert groups_of(place, server) == story.groups[server.id]
    assert place.report(name_of(stage))["given_back"]["left"] == []


def test_both_clouds_are_as_before_but_for_those_that_were_started(
    place: Place, story: Story, original: OriginalServer
) -> None:
    check_all_as_before(story.before, story.after, *(story.servers[stage] for stage in STAY))
    assert story.after["leases"] == {}
    assert contents(place, original) == story.contents


@pytest.mark.parametrize("stage", list(STAY))
def test_a_server_that_was_started_stays_and_is_told_with_commands(place: Place, story: Story, stage: str) -> None:
    record, server = story.records[stage], story.servers[stage]
    assert failure_of(record)[1] == ABORTED
    machine = [each for each in place.driver.guests if each.spec.name == plan_of(record).own_machine][-1]
    assert machine.is_running
    left = place.report(name_of(stage))["given_back"]["left"]
    kinds = {each["belonging"]["kind"] for each in left}
    assert {"fence", "machine", "disk", "interface"} <= kinds, left
    assert all(each["command"] and each["why"] for each in left)
    assert groups_of(place, server) != story.groups[server.id]


def test_the_broken_off_run_is_closed_and_told_as_that(place: Place, story: Story) -> None:
    assert {stage: each["status"] for stage, each in story.cleaned.items()} == dict.fromkeys(story.servers, "SUCCEEDED")
    for stage in story.servers:
        outcome = place.report(name_of(stage))["outcome"]
        assert (outcome["outcome"], outcome["error"]) == ("failed", ABORTED), stage


STOPPED = "stopped-by-a-person"


@pytest.mark.usefixtures("story")
def test_a_run_that_is_stopped_gives_back_what_is_not_launched_and_keeps_what_is(place: Place) -> None:
    servers = {name: failed_over(place, name) for name in ("replicates", "waits", "failed", "launched")}
    place.clouds.drs.plan(servers["replicates"].id, HALF)
    place.clouds.drs.plan(servers["failed"].id, ClientPlan(fail_step={INITIATION_STEPS[-1]: "said by DRS"}))
    before = place.listing()
    asked = [{"recovery_instance": each.id} for each in servers.values()]
    execution = place.start(
        STOPPED, goal="failback", target="azure-home", servers=asked, cutover={"fence": {"kind": "none"}}
    )
    wait_for(place, execution, "approval", [servers["waits"], servers["launched"]])
    decide(place, STOPPED, "approval", "approve", servers["launched"])
    wait_for(place, execution, "commit", [servers["launched"]])
    wait_for(place, execution, "hold", [servers["failed"]])
    assert waiting_for(place, "replication") == {servers["replicates"].id}
    decide(place, STOPPED, "stop", "stop", why="wrong weekend")
    told = place.finish_watched(execution)
    records = by_id(place, execution)
    assert (told["status"], told["error"]) == ("FAILED", "ServersFailed")
    outcomes = {name: outcome_of(records[each.id]) for name, each in servers.items()}
    assert {name: (each.outcome, each.stage, each.error) for name, each in outcomes.items()} == {
        "replicates": ("failed", "await_replication", "Stopped"),
        "waits": ("failed", "await_approval", "Stopped"),
        "failed": ("failed", "register_client", "RegistrationFailed"),
        "launched": ("launched", "await_commit", ""),
    }
    for name in ("replicates", "waits", "launched"):
        assert "wrong weekend" in outcomes[name].cause
    check_all_as_before(before, place.listing(), servers["launched"])
    assert place.listing()["leases"] == {}
