"""Runs to Google Cloud that meet trouble: functions killed, calls that fail, a run stopped while a machine is made.

And what they do there: keys for clients that nobody vouches for, originals' own disks written to, a rehearsal. All of
it in one place, and most of it at once.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from failback.clean_up import ABORTED
from localcloud.drs.plans import ClientPlan
from localcloud.drs.volume import BLOCK
from localcloud.faults import Delay, FaultRule, Lose, Status, Throttle
from localcloud.google.originals import OriginalServer, add_original
from tests.localcloud.runs.client_trust import ask_for_keys
from tests.localcloud.runs.ends import cleaned_up, failure_of, given_back, stop_execution
from tests.localcloud.runs.google_place import (
    at_home,
    check_all_as_before,
    disk_file,
    everything,
    google_place,
    of_kind,
)
from tests.localcloud.runs.image_bytes import weighted_iso
from tests.localcloud.runs.safety_secrets import minted_in, secrets_in
from tests.localcloud.runs.servers import (
    MIB,
    UNATTENDED,
    by_id,
    check_disks,
    decide,
    failed_over,
    outcome_of,
    plan_of,
    same_bytes,
    told,
    wait_for,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.model.record import ServerHistory
    from localcloud.drs.records import RecoveryInstance
    from localcloud.faults import Action
    from tests.localcloud.runs.place import Place

# All runs are one fixture; on a busy machine it takes minutes.
pytestmark = pytest.mark.timeout(540)
Json = Any
BALLAST = 40
"""MiB that nothing makes smaller: the image goes home in several parts, and slices."""
VARIABLES = {"FAILBACK_SLICE_MIB": "32"}
OVERWRITTEN = ("own", "unlaunched")
RAW, SIGN, LATE = "said by DRS", "login:", "late-call"
HELD = Delay(seconds=2.5)
"""A call that's held up for so long is under way when its function is killed."""
HELD_LONG = Delay(seconds=8.0)
"""Longer than it takes from the stop until what cleans up looks for whatever there is."""
KINDS: tuple[Action, ...] = (Throttle(), Status(code=500), Lose())
SHARE = 0.05
# Chance may leave one out: each kind happens to each of these once at least.
CERTAIN = [
    FaultRule(service=service, action=action, nth=(first + 3 * number,))
    for service, first in (("compute", 7), ("drs", 5))
    for number, action in enumerate(KINDS)
]
BY_CHANCE = [FaultRule(action=action, probability=SHARE / len(KINDS)) for action in KINDS]
KILLED = {
    "import_image": FaultRule(service="google_storage", operation="objects.insert", nth=(2,), action=HELD),
    "boot_client": FaultRule(service="compute", operation="instances.insert", body="keyed", nth=(1,), action=HELD),
    "cut_over": FaultRule(service="compute", operation="instances.attachDisk", path="/own/", nth=(4,), action=HELD),
}
"""Which call of which stage is under way: of the original's, three put the client in, the fourth its own disk back."""


@dataclass
class Story:
    """Runs that have ended: who took part, what was there before, and what there is after."""

    servers: dict[str, RecoveryInstance]
    originals: dict[str, OriginalServer]
    before: Json
    after: Json = None
    told: dict[str, Json] = field(default_factory=dict)
    records: dict[str, ServerHistory] = field(default_factory=dict)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    iso = weighted_iso(tmp_path_factory.mktemp("iso"), mib=BALLAST, seed=5)
    with google_place(tmp_path_factory.mktemp("place"), iso, variables=VARIABLES) as opened:
        yield opened


@pytest.fixture(scope="module")
def prepared(place: Place) -> Json:
    """The image comes home though every twentieth call goes wrong, and its upload is killed."""
    with place.faults(KILLED["import_image"], *CERTAIN[:3], *BY_CHANCE, seed=3):
        execution = place.start("prepared")
        kill_when_held(place, execution, "import_image")
        ended = place.finish(execution)
    assert ended["status"] == "SUCCEEDED", (ended, place.history(execution))
    return json.loads(ended["output"])


def kill_when_held(place: Place, execution: str, stage: str) -> None:
    """Kill the stage's function while its call is held up."""
    states, operation = place.clouds.client("stepfunctions"), KILLED[stage].operation
    while not any(each.action == HELD and each.call.operation == operation for each in place.clouds.faults.records):
        assert states.describe_execution(executionArn=execution)["status"] == "RUNNING", told(place, execution)
        if stage == "cut_over":
            place.wake()
        time.sleep(0.3)
    assert place.clouds.aws.runner.kill(place.function(stage)), stage


def test_the_image_is_the_snapshots_bytes_after_all(place: Place, prepared: Json) -> None:
    (path,) = [path for path in at_home(place) if path.endswith(f"/images/{prepared['import_image']['facts']['name']}")]
    snapshot = place.clouds.snapshots.raw_path(prepared["build_image"]["facts"]["snapshot"])
    assert same_bytes(disk_file(place, path), snapshot)
    assert prepared["boot_test"]["facts"]["mark"].startswith("ready")
    assert "signal: killed" in place.clouds.aws.runner.logs(place.function("import_image"))
    (bucket,) = [each for path, each in at_home(place).items() if path.startswith("buckets/")]
    assert bucket["objects"] == {}


@pytest.fixture(scope="module")
def story(place: Place, prepared: Json) -> Story:
    """Servers that go home with keys, two of them onto their own disks, and a rehearsal beside them."""
    assert prepared
    ask_for_keys(place)
    servers = {
        "keyed": failed_over(place, "keyed", devices=("/dev/xvda", "/dev/xvdb")),
        "own": failed_over(place, "own", devices=("/dev/sda", "/dev/sdb")),
        "unlaunched": failed_over(place, "unlaunched", devices=("/dev/sda", "/dev/sdb")),
        "drill": failed_over(place, "drill", is_drill=True, boot_mode="uefi"),
    }
    place.clouds.drs.plan(servers["own"].id, ClientPlan(original=True))
    place.clouds.drs.plan(servers["unlaunched"].id, ClientPlan(original=True, launch_error=RAW))
    originals = {name: add_original(place.clouds.google.compute, servers[name]) for name in OVERWRITTEN}
    story = Story(servers, originals, everything(place))
    asked = [
        {"recovery_instance": servers["keyed"].id},
        *({"recovery_instance": servers[name].id, **onto(name)} for name in OVERWRITTEN),
    ]
    drill = {"launch": {"mode": "automatic"}, "verify": {"serial": SIGN, "agent": False}}
    with place.faults(KILLED["boot_client"], KILLED["cut_over"], *CERTAIN, *BY_CHANCE, seed=4):
        home = place.start("home", goal="failback", target=place.target, servers=asked, cutover=UNATTENDED)
        rehearsal = place.start(
            "rehearsal",
            goal="rehearse",
            target=place.target,
            servers=[{"recovery_instance": servers["drill"].id}],
            cutover=drill,
        )
        kill_when_held(place, home, "boot_client")
        kill_when_held(place, home, "cut_over")
        # What a launch fails with is held, whatever the policy says.
        wait_for(place, home, "hold", [servers["unlaunched"]])
        decide(place, "home", "hold", "give_back", servers["unlaunched"])
        for execution in (home, rehearsal):
            name = execution.rpartition(":")[2]
            story.told[name] = place.finish_watched(execution)
            story.records |= by_id(place, execution)
    story.records = {name: story.records[each.id] for name, each in servers.items()}
    story.after = everything(place)
    return story


def onto(name: str) -> Json:
    """What's asked for one that's written onto its own disks."""
    return {"original": name, "way": "original", "overwrite": True}


def test_each_kind_of_fault_was_met(place: Place, story: Story) -> None:
    assert story.after
    met = Counter((each.call.service, each.action.kind) for each in place.clouds.faults.records)
    print(f"\n{met.total()} faults:", ", ".join(f"{one} {kind} {met[one, kind]}" for one, kind in sorted(met)))
    for action in KINDS:
        assert met["compute", action.kind]
        assert met["drs", action.kind]
    for stage in ("boot_client", "cut_over"):
        assert "signal: killed" in place.clouds.aws.runner.logs(place.function(stage)), stage


def test_those_that_can_come_home_do(story: Story) -> None:
    assert {name: outcome_of(each).outcome for name, each in story.records.items()} == {
        "keyed": "home", "own": "home", "unlaunched": "failed", "drill": "rehearsed"
    }, story.records  # fmt: skip
    assert failure_of(story.records["unlaunched"]) == ("await_launch", "LaunchFailed")
    assert story.told["home"]["error"] == "ServersFailed"
    assert story.told["rehearsal"]["status"] == "SUCCEEDED"


def test_keys_were_given_as_they_were_asked_for_and_taken_back(place: Place, story: Story) -> None:
    check_disks(place, story.servers["keyed"], plan_of(story.records["keyed"]))
    guest, *_ = (each for each in place.driver.guests if each.spec.name == "keyed")
    assert "credentials-wanted home" in guest.console().decode()
    machine = of_kind(at_home(place), "instances")["keyed"]
    assert "serviceAccounts" not in machine
    texts = [(name, str(each)) for name, each in at_home(place).items()]
    assert list(secrets_in(texts, minted_in(place))) == []
    assert "access_key" not in str(texts)


def test_one_that_was_written_onto_its_own_disks_has_them_and_what_has_changed_alone_was_sent(
    place: Place, story: Story
) -> None:
    server, plan, machine = story.servers["own"], plan_of(story.records["own"]), story.originals["own"]
    assert plan.way == "original"
    assert plan.overwrite
    check_disks(place, server, plan)
    for device in server.volumes:
        assert place.clouds.drs.replication.sent(server.id, device) <= MIB + 5 * BLOCK
    was, is_now = (each["google"][machine.path] for each in (story.before, story.after))
    assert was == is_now
    assert {path.rpartition("/")[2] for path in machine.disks.values()} == {each.name for each in plan.disks}


def test_one_that_was_given_back_after_that_is_what_it_was_and_its_snapshots_are_kept(story: Story) -> None:
    machine = story.originals["unlaunched"]
    was, is_now = (each["google"][machine.path] for each in (story.before, story.after))
    assert was == is_now
    kept = {each["belonging"]["kind"] for each in given_back(story.records["unlaunched"])["left"]}
    assert kept == {"snapshot"}


def test_a_rehearsal_shows_that_a_server_comes_up_and_removes_all_of_it(place: Place, story: Story) -> None:
    record = story.records["drill"]
    assert record.record.milestones.started is not None
    assert given_back(record)["left"] == []
    (proof,) = (each.facts for each in record.stages if each.stage == "verify_server")
    assert isinstance(proof, dict)
    assert (proof["verified"], proof["signal"]) == (True, "serial")
    assert not any(each.is_running for each in place.driver.guests if each.spec.name == plan_of(record).own_machine)


def test_nothing_else_is_left_of_it(story: Story) -> None:
    home = [story.servers[name] for name in ("keyed", *OVERWRITTEN)]
    check_all_as_before(story.before, story.after, *home)
    assert story.after["leases"] == {}


def test_what_a_call_makes_after_its_execution_was_stopped_goes_too(place: Place, story: Story) -> None:
    assert story.after
    server = failed_over(place, LATE)
    before = everything(place)
    rule = FaultRule(service="compute", operation="instances.insert", body=LATE, nth=(1,), action=HELD_LONG)
    with place.faults(rule):
        asked = [{"recovery_instance": server.id}]
        execution = place.start("stopped", goal="failback", target=place.target, servers=asked, cutover=UNATTENDED)
        place.wait_until(lambda: any(each.action == HELD_LONG for each in place.clouds.faults.records), "it to be held")
        stop_execution(place, execution)
        cleaned = cleaned_up(place, execution)
    assert cleaned["status"] == "SUCCEEDED", cleaned
    assert place.driver.guests[-1].spec.name.startswith("late"), "it was made after all"
    after = everything(place)
    check_all_as_before(before, after)
    assert after["leases"] == {}
    assert failure_of(by_id(place, execution)[server.id])[1] == ABORTED
