"""Ways back: whatever a server's way home ends in, what isn't kept on purpose is what it was before the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from failback.model.recovery import INITIATION_STEPS
from localcloud.drs.plans import ClientPlan
from localcloud.embedded.originals import OriginalServer, add_original
from localcloud.faults import Deny, FaultRule
from tests.localcloud.runs.ends import (
    all_groups,
    check_all_as_before,
    contents,
    failure_of,
    given_back,
    groups_of,
    prepare,
    wall,
)
from tests.localcloud.runs.servers import by_id, decide, failed_over, outcome_of, plan_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.model.record import ServerHistory
    from localcloud.drs.records import RecoveryInstance
    from tests.localcloud.runs.place import Place

# All of a run is one fixture; on a busy machine it takes minutes.
pytestmark = pytest.mark.timeout(480)
Json = Any
RAW = "said by DRS"
FAILS = ClientPlan(fail_step={INITIATION_STEPS[-1]: RAW})
RUN, LATE = "ways-back", "too-late"
HOME = ("tried-again", "restarted")
"""Those who come home after all; all others go back."""


@pytest.fixture(scope="module", autouse=True)
def _prepared(place: Place) -> None:
    prepare(place)


@dataclass(frozen=True)
class Story:
    """A run that has ended: who took part, what was there before, what there is after, and between."""

    servers: Mapping[str, RecoveryInstance]
    records: Mapping[str, ServerHistory]
    told: Json
    before: Json
    after: Json
    seen: Json


@pytest.fixture(scope="module")
def group(place: Place) -> str:
    """The wall that all fences are."""
    return wall(place, failed_over(place, "somebody"))


@pytest.fixture(scope="module")
def servers(place: Place) -> dict[str, RecoveryInstance]:
    made = {name: failed_over(place, name) for name in (*HOME, "let-go", "refused")}
    made["unlaunched"] = failed_over(place, "unlaunched", devices=("/dev/sda", "/dev/sdb"))
    made["discarded"] = failed_over(place, "discarded", devices=("/dev/sda", "/dev/sdb"))
    made["helped"] = failed_over(place, "helped", boot_mode="uefi")
    plans = {
        "restarted": FAILS,
        "let-go": FAILS,
        "unlaunched": ClientPlan(original=True, launch_error=RAW),
        "discarded": ClientPlan(original=True),
    }
    for name, plan in plans.items():
        place.clouds.drs.plan(made[name].id, plan)
    return made


@pytest.fixture(scope="module")
def originals(place: Place, servers: dict[str, RecoveryInstance]) -> dict[str, OriginalServer]:
    return {name: add_original(place.clouds, servers[name]) for name in ("unlaunched", "discarded", "helped")}


@pytest.fixture(scope="module")
def story(
    place: Place, group: str, servers: dict[str, RecoveryInstance], originals: dict[str, OriginalServer]
) -> Story:
    """All in one run behind one wall; what fails is held until a person says what becomes of it."""
    cutover = {"fence": {"kind": "security-group", "group": group}}
    asked = [
        {"recovery_instance": each.id, **({"original": name} if name in originals else {})}
        for name, each in servers.items()
    ]
    before, seen = place.listing(), {"groups": all_groups(place, servers.values()), "wall": group}
    seen["contents"] = {name: contents(place, each) for name, each in originals.items()}
    some = servers.__getitem__
    denied = FaultRule(service="arm", operation="virtualMachines/write", path="/virtualMachines/tried-again",
                       action=Deny(), nth=(1,))  # fmt: skip
    with place.faults(denied):
        execution = place.start(RUN, goal="failback", target="azure-home", servers=asked, cutover=cutover)
        wait_for(place, execution, "hold", [some(name) for name in ("tried-again", "restarted", "let-go")])
    set_right(place, some("restarted"))
    decide(place, RUN, "hold", "retry", some("tried-again"), some("restarted"))
    decide(place, RUN, "hold", "give_back", some("let-go"))
    to_be_launched = [each for name, each in servers.items() if name not in {"let-go", "refused"}]
    wait_for(place, execution, "approval", [*to_be_launched, some("refused")])
    decide(place, RUN, "approval", "refuse", some("refused"), why="not on a Sunday")
    decide(place, RUN, "approval", "approve", *to_be_launched)
    wait_for(place, execution, "hold", [some("refused"), some("unlaunched")])
    seen["fenced"] = groups_of(place, some("unlaunched"))
    decide(place, RUN, "hold", "give_back", some("refused"), some("unlaunched"))
    up = [some(name) for name in (*HOME, "discarded", "helped")]
    wait_for(place, execution, "commit", up)
    decide(place, RUN, "commit", "give_back", some("discarded"), some("helped"), discard=True)
    decide(place, RUN, "commit", "accept", *(some(name) for name in HOME))
    told = place.finish_watched(execution)
    records = by_id(place, execution)
    return Story(servers, {name: records[each.id] for name, each in servers.items()}, told, before,
                 place.listing(), seen)  # fmt: skip


def set_right(place: Place, server: RecoveryInstance) -> None:
    """Do what a person does: take away what was in the way, and restart the client's machine at home."""
    place.clouds.drs.plan(server.id, ClientPlan())
    by = place.clouds.azure.administrator
    (machine,) = (
        name
        for name, each in place.clouds.azure.listing().items()
        if each["type"].endswith("/virtualMachines") and each["name"] == server.made_of.name
    )
    by.act(machine, "deallocate")
    by.act(machine, "start")


@pytest.mark.parametrize("name", HOME)
def test_one_that_is_held_and_tried_again_comes_home(story: Story, name: str) -> None:
    assert outcome_of(story.records[name]).outcome == "home", story.records[name]


@pytest.mark.parametrize(
    ("name", "stage", "error"),
    [
        ("let-go", "register_client", "RegistrationFailed"),
        ("refused", "await_approval", "ApprovalRefused"),
        ("unlaunched", "await_launch", "LaunchFailed"),
        ("discarded", "await_commit", "GivenBack"),
        ("helped", "await_commit", "GivenBack"),
    ],
)
def test_each_that_goes_back_says_why_and_leaves_nothing(story: Story, name: str, stage: str, error: str) -> None:
    assert failure_of(story.records[name]) == (stage, error)
    assert given_back(story.records[name])["left"] == []


def test_both_clouds_are_as_before_but_for_those_who_came_home(story: Story) -> None:
    check_all_as_before(story.before, story.after, *(story.servers[name] for name in HOME))


def test_no_lock_and_no_rule_stays(story: Story) -> None:
    assert story.after["leases"] == {}
    assert story.after["security_groups"] == story.before["security_groups"]


def test_the_fence_is_lifted_for_those_who_go_back_and_stays_for_those_who_came_home(
    place: Place, story: Story
) -> None:
    assert story.seen["fenced"] == [story.seen["wall"]]
    groups = all_groups(place, story.servers.values())
    for name, server in story.servers.items():
        wanted = [story.seen["wall"]] if name in HOME else story.seen["groups"][server.id]
        assert groups[server.id] == wanted, name


@pytest.mark.parametrize(("name", "way"), [("unlaunched", "original"), ("discarded", "original"), ("helped", "helper")])
def test_the_original_machine_is_what_it_was_to_the_last_byte(
    place: Place, story: Story, originals: dict[str, OriginalServer], name: str, way: str
) -> None:
    assert plan_of(story.records[name]).way == way
    machine = originals[name].id
    assert story.after["azure"][machine] == story.before["azure"][machine]
    assert story.after["azure"][machine]["powerState"] == "running"
    assert contents(place, originals[name]) == story.seen["contents"][name]


def test_the_run_names_those_that_failed(place: Place, story: Story) -> None:
    assert (story.told["status"], story.told["error"]) == ("FAILED", "ServersFailed")
    assert "5 of 7 servers aren't home" in story.told["cause"]
    report = place.report(RUN)
    (refused,) = (each for each in report["servers"] if each["record"]["id"] == story.servers["refused"].id)
    assert "not on a Sunday" in refused["record"]["outcome"]["cause"]


@pytest.fixture(scope="module")
def late(place: Place, group: str) -> Story:
    """Nobody accepts the one, nobody approves the other, and nobody says what becomes of the other then."""
    servers = {name: failed_over(place, name) for name in ("kept", "unapproved")}
    cutover = {
        "fence": {"kind": "security-group", "group": group},
        "launch": {"approval_hours": 2},
        "commit": {"hours": 1},
        "hold_hours": 1,
    }
    before, seen = place.listing(), {"groups": all_groups(place, servers.values()), "wall": group}
    asked = [{"recovery_instance": each.id} for each in servers.values()]
    execution = place.start(LATE, goal="failback", target="azure-home", servers=asked, cutover=cutover)
    wait_for(place, execution, "approval", list(servers.values()))
    decide(place, LATE, "approval", "approve", servers["kept"])
    wait_for(place, execution, "commit", [servers["kept"]])
    place.tick(minutes=59)
    assert outcomes(place, execution, servers) == {"kept": None, "unapproved": None}
    place.tick(minutes=10)
    place.wait_until(lambda: outcomes(place, execution, servers)["kept"] == "launched", "its time to be up")
    place.tick(minutes=60)
    wait_for(place, execution, "hold", [servers["unapproved"]])
    place.tick(minutes=59)
    assert outcomes(place, execution, servers)["unapproved"] is None
    place.tick(minutes=5)
    told = place.finish_watched(execution)
    records = by_id(place, execution)
    return Story(servers, {name: records[each.id] for name, each in servers.items()}, told, before,
                 place.listing(), seen)  # fmt: skip


def outcomes(place: Place, execution: str, servers: Mapping[str, RecoveryInstance]) -> dict[str, str | None]:
    records = by_id(place, execution)
    found = {name: records[each.id].record.outcome for name, each in servers.items()}
    return {name: outcome.outcome if outcome else None for name, outcome in found.items()}


def test_what_nobody_accepts_stays_at_home_with_all_that_was_kept(place: Place, late: Story) -> None:
    outcome, plan = outcome_of(late.records["kept"]), plan_of(late.records["kept"])
    assert (outcome.outcome, outcome.stage) == ("launched", "await_commit")
    assert "nobody accepted it within 1 hours" in outcome.cause
    machine = [each for each in place.driver.guests if each.spec.name == plan.own_machine][-1]
    assert machine.is_running
    assert groups_of(place, late.servers["kept"]) == [late.seen["wall"]]
    assert late.after["leases"] == {}
    assert (late.told["status"], late.told["error"]) == ("FAILED", "ServersFailed")


def test_what_nobody_approves_is_held_and_then_given_back(place: Place, late: Story) -> None:
    server = late.servers["unapproved"]
    assert failure_of(late.records["unapproved"]) == ("await_approval", "ApprovalTimedOut")
    assert late.records["unapproved"].record.milestones.launched is None
    # The one that's kept keeps its client's way through the wall.
    for listing in (late.before, late.after):
        listing["security_groups"].pop(late.seen["wall"])
    check_all_as_before(late.before, late.after, late.servers["kept"])
    assert groups_of(place, server) == late.seen["groups"][server.id]
