"""Ways back from Google Cloud: whatever a server's way home ends in, all clouds are what they were before the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from failback.model.recovery import INITIATION_STEPS
from localcloud.drs.plans import ClientPlan
from localcloud.embedded.google import SERVER_ACCOUNT
from localcloud.faults import Deny, FaultRule
from localcloud.google.originals import OriginalServer, Wishes, add_original
from tests.client_iso import ClientIso
from tests.localcloud.runs.ends import all_groups, failure_of, given_back, groups_of, prepare, wall
from tests.localcloud.runs.google_place import check_all_as_before, check_home, contents, everything, google_place
from tests.localcloud.runs.servers import by_id, decide, failed_over, outcome_of, plan_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from failback.model.record import ServerHistory
    from localcloud.drs.records import RecoveryInstance
    from tests.localcloud.runs.place import Place

# All of a run is one fixture; on a busy machine it takes minutes.
pytestmark = pytest.mark.timeout(480)
Json = Any
RAW = "said by DRS"
RUN = "ways-back"
HOME = "tried-again"
"""The one that comes home after all; all others go back."""


@dataclass(frozen=True)
class Story:
    """A run that has ended: who took part, what was there before, what there is after, and between."""

    servers: Mapping[str, RecoveryInstance]
    records: Mapping[str, ServerHistory]
    told: Json
    before: Json
    after: Json
    seen: Json
    execution: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    iso = ClientIso().write(tmp_path_factory.mktemp("iso"))
    with google_place(tmp_path_factory.mktemp("place"), iso) as opened:
        prepare(opened)
        yield opened


@pytest.fixture(scope="module")
def servers(place: Place) -> dict[str, RecoveryInstance]:
    made = {name: failed_over(place, name) for name in (HOME, "let-go", "refused")}
    made["unlaunched"] = failed_over(place, "unlaunched", devices=("/dev/sda", "/dev/sdb"))
    made["discarded"] = failed_over(place, "discarded", devices=("/dev/sda", "/dev/sdb"))
    made["helped"] = failed_over(place, "helped", boot_mode="uefi")
    plans = {
        "let-go": ClientPlan(fail_step={INITIATION_STEPS[-1]: RAW}),
        "unlaunched": ClientPlan(original=True, launch_error=RAW),
        "discarded": ClientPlan(original=True),
    }
    for name, plan in plans.items():
        place.clouds.drs.plan(made[name].id, plan)
    return made


@pytest.fixture(scope="module")
def originals(place: Place, servers: dict[str, RecoveryInstance]) -> dict[str, OriginalServer]:
    """One has a service account of its own, one was off."""
    wishes = {
        "unlaunched": Wishes(account=SERVER_ACCOUNT.email),
        "discarded": Wishes(),
        "helped": Wishes(running=False),
    }
    compute = place.clouds.google.compute
    return {name: add_original(compute, servers[name], wishes=each) for name, each in wishes.items()}


@pytest.fixture(scope="module")
def story(place: Place, servers: dict[str, RecoveryInstance], originals: dict[str, OriginalServer]) -> Story:
    """All in one run behind one wall; what fails is held until a person says what becomes of it."""
    group = wall(place, failed_over(place, "somebody"))
    cutover = {"fence": {"kind": "security-group", "group": group}}
    asked = [
        {"recovery_instance": each.id, **({"original": name} if name in originals else {})}
        for name, each in servers.items()
    ]
    before, seen = everything(place), {"groups": all_groups(place, servers.values()), "wall": group}
    seen["contents"] = {name: contents(place, each) for name, each in originals.items()}
    some = servers.__getitem__
    denied = FaultRule(service="compute", operation="instances.insert", body=HOME, action=Deny(), nth=(1,))
    with place.faults(denied):
        execution = place.start(RUN, goal="failback", target=place.target, servers=asked, cutover=cutover)
        wait_for(place, execution, "hold", [some(HOME), some("let-go")])
    decide(place, RUN, "hold", "retry", some(HOME))
    decide(place, RUN, "hold", "give_back", some("let-go"))
    to_be_launched = [each for name, each in servers.items() if name not in {"let-go", "refused"}]
    wait_for(place, execution, "approval", [*to_be_launched, some("refused")])
    decide(place, RUN, "approval", "refuse", some("refused"), why="not on a Sunday")
    decide(place, RUN, "approval", "approve", *to_be_launched)
    wait_for(place, execution, "hold", [some("refused"), some("unlaunched")])
    seen["fenced"] = groups_of(place, some("unlaunched"))
    decide(place, RUN, "hold", "give_back", some("refused"), some("unlaunched"))
    wait_for(place, execution, "commit", [some(HOME), some("discarded"), some("helped")])
    decide(place, RUN, "commit", "give_back", some("discarded"), some("helped"), discard=True)
    decide(place, RUN, "commit", "accept", some(HOME))
    told, records = place.finish_watched(execution), by_id(place, execution)
    of_servers = {name: records[each.id] for name, each in servers.items()}
    return Story(servers, of_servers, told, before, everything(place), seen, execution)


def test_one_that_is_held_and_tried_again_comes_home(story: Story) -> None:
    assert outcome_of(story.records[HOME]).outcome == "home", story.records[HOME]


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


def test_all_clouds_are_as_before_but_for_the_one_that_came_home(story: Story) -> None:
    check_all_as_before(story.before, story.after, story.servers[HOME])


def test_no_rule_was_broken_at_home(place: Place, story: Story) -> None:
    assert check_home(place, story.execution, story.before["google"]) > 10


def test_no_lock_and_no_rule_stays(place: Place, story: Story) -> None:
    assert story.after["leases"] == {}
    assert story.after["security_groups"] == story.before["security_groups"]
    assert story.seen["fenced"] == [story.seen["wall"]]
    groups = all_groups(place, story.servers.values())
    for name, server in story.servers.items():
        wanted = [story.seen["wall"]] if name == HOME else story.seen["groups"][server.id]
        assert groups[server.id] == wanted, name


@pytest.mark.parametrize(
    ("name", "way", "status"),
    [
        ("unlaunched", "original", "RUNNING"),
        ("discarded", "original", "RUNNING"),
        ("helped", "helper", "TERMINATED"),
    ],
)
def test_the_original_machine_is_what_it_was_to_the_last_byte(
    place: Place, story: Story, originals: dict[str, OriginalServer], name: str, way: str, status: str
) -> None:
    """The instance's whole document, but for when it was started, stopped and given disks last."""
    assert plan_of(story.records[name]).way == way
    machine = originals[name].path
    assert story.after["google"][machine] == story.before["google"][machine]
    assert story.after["google"][machine]["status"] == status
    assert contents(place, originals[name]) == story.seen["contents"][name]


def test_the_run_names_those_that_failed(story: Story) -> None:
    assert (story.told["status"], story.told["error"]) == ("FAILED", "ServersFailed")
    assert "5 of 6 servers aren't home" in story.told["cause"]
