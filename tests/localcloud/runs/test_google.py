"""Whole runs to Google Cloud: the client image brought there, and servers by every way, to their own consoles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.drs.plans import ClientPlan
from localcloud.drs.volume import BLOCK
from localcloud.embedded.google import CLIENT_ACCOUNT, SERVER_ACCOUNT
from localcloud.google.originals import OriginalServer, Wishes, add_original
from localcloud.workload.layout import UP
from localcloud.workload.marker import write_nonce
from tests.client_iso import ClientIso
from tests.localcloud.runs.google_place import (
    at_home,
    carries_run,
    check_home,
    disk_file,
    everything,
    google_place,
    of_kind,
)
from tests.localcloud.runs.servers import (
    ATTENDED,
    MIB,
    by_id,
    check_disks,
    check_transitions,
    decide,
    failed_over,
    outcome_of,
    plan_of,
    same_bytes,
    wait_for,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.model.record import ServerHistory
    from localcloud.drs.records import RecoveryInstance
    from tests.localcloud.runs.place import Place

# All of a run is one fixture; on a busy machine it takes minutes.
pytestmark = pytest.mark.timeout(480)
RUN = "all-the-way"
Json = Any
Servers = dict[str, "RecoveryInstance"]
Records = dict[str, "ServerHistory"]
WAYS = {"web": "new", "original": "original", "helped": "helper", "windows": "new"}


def nonce_of(name: str) -> str:
    return f"written-on-aws-to-{name}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    iso = ClientIso().write(tmp_path_factory.mktemp("iso"))
    with google_place(tmp_path_factory.mktemp("place"), iso) as opened:
        yield opened


@pytest.fixture(scope="module")
def prepared(place: Place) -> Json:
    told = place.run("prepared")
    assert told["status"] == "SUCCEEDED", (told, place.history(told["executionArn"]))
    return json.loads(told["output"])


def test_the_image_is_the_snapshots_bytes_and_has_booted(place: Place, prepared: Json) -> None:
    image = prepared["import_image"]["facts"]
    snapshot = place.clouds.snapshots.raw_path(prepared["build_image"]["facts"]["snapshot"])
    (path,) = [path for path in at_home(place) if path.endswith(f"/images/{image['name']}")]
    assert same_bytes(disk_file(place, path), snapshot)
    assert prepared["boot_test"]["facts"]["mark"].startswith("ready")


def test_nothing_but_the_image_is_left_at_home(place: Place, prepared: Json) -> None:
    assert prepared
    found = at_home(place)
    assert {path.split("/")[-2] for path in found} == {"networks", "subnetworks", "images", "buckets"}
    (bucket,) = [each for path, each in found.items() if path.startswith("buckets/")]
    assert bucket == {"objects": {}, "uploads": 0}


@pytest.mark.usefixtures("prepared")
def test_a_second_run_does_no_image_work(place: Place) -> None:
    before = everything(place)
    told = place.run("second-run")
    assert told["status"] == "SUCCEEDED"
    history = place.history(told["executionArn"])
    assert history is not None
    assert [each.stage for each in history.stages if each.stage != "write_report"] == ["find_client_image"]
    assert everything(place) == before


@pytest.fixture(scope="module")
def servers(place: Place) -> Servers:
    """One of each kind; two of them have left a machine at home."""
    windows = {"os": "Windows Server 2019 Datacenter", "devices": ("c:0", "d:0"), "boot_mode": "uefi"}
    made = {
        "web": failed_over(place, "web", devices=("/dev/xvda", "/dev/xvdb")),
        "original": failed_over(place, "original", devices=("/dev/sda", "/dev/sdb")),
        "helped": failed_over(place, "helped", devices=("/dev/nvme0n1", "/dev/nvme1n1"), boot_mode="uefi"),
        "windows": failed_over(place, "windows", **windows),
    }
    place.clouds.drs.plan(made["original"].id, ClientPlan(original=True))
    return made


@pytest.fixture(scope="module")
def originals(place: Place, servers: Servers) -> dict[str, OriginalServer]:
    """One with a service account of its own, one without."""
    compute, wishes = place.clouds.google.compute, Wishes(account=SERVER_ACCOUNT.email)
    return {
        "original": add_original(compute, servers["original"], wishes=wishes),
        "helped": add_original(compute, servers["helped"]),
    }


@pytest.fixture(scope="module")
def before(place: Place, prepared: Json, originals: dict[str, OriginalServer]) -> Json:
    """What was at home before the run."""
    assert prepared
    assert originals
    return at_home(place)


@pytest.fixture(scope="module")
def execution(place: Place, servers: Servers, originals: dict[str, OriginalServer], before: Json) -> str:
    """All of them in one run, approved and accepted by a person; their workloads go on writing while they wait."""
    assert before
    asked = [
        {"recovery_instance": each.id, **({"original": name} if name in originals else {})}
        for name, each in servers.items()
    ]
    cutover = {**ATTENDED, "launch": {"per": "run"}}
    execution = place.start(RUN, goal="failback", target=place.target, servers=asked, cutover=cutover)
    everyone = list(servers.values())
    wait_for(place, execution, "approval", everyone)
    for name, each in servers.items():
        write_nonce(next(iter(each.volumes.values())), nonce_of(name))
    decide(place, RUN, "approval", "approve", why="the maintenance window is open")
    wait_for(place, execution, "commit", everyone)
    decide(place, RUN, "commit", "accept")
    told = place.finish_watched(execution)
    assert told["status"] == "SUCCEEDED", (told, place.history(execution))
    return execution


@pytest.fixture(scope="module")
def records(place: Place, servers: Servers, execution: str) -> Records:
    found = by_id(place, execution)
    return {name: found[each.id] for name, each in servers.items()}


def test_all_are_home_by_their_ways(place: Place, records: Records, execution: str) -> None:
    for record in records.values():
        assert outcome_of(record).outcome == "home", outcome_of(record)
    assert {name: plan_of(record).way for name, record in records.items()} == WAYS
    assert place.report(RUN)["outcome"]["outcome"] == "done"
    assert place.listing()["leases"] == {}
    check_transitions(execution, most=35)


def test_no_rule_was_broken_at_home(place: Place, before: Json, execution: str) -> None:
    assert check_home(place, execution, before) > 10


def test_each_says_on_its_own_console_what_was_written_on_aws(place: Place, records: Records) -> None:
    for name, record in records.items():
        machine = plan_of(record).own_machine
        guest = [each for each in place.driver.guests if each.spec.name == machine][-1]
        assert guest.is_running
        assert f"{UP}{nonce_of(name)}" in guest.console().decode()


@pytest.mark.parametrize("name", ["web", "helped", "windows"])
def test_the_disks_hold_the_volumes_bytes(place: Place, servers: Servers, records: Records, name: str) -> None:
    check_disks(place, servers[name], plan_of(records[name]))


def test_of_the_original_only_what_has_changed_is_sent(place: Place, servers: Servers, records: Records) -> None:
    server = servers["original"]
    check_disks(place, server, plan_of(records["original"]))
    for device in server.volumes:
        assert place.clouds.drs.replication.sent(server.id, device) <= MIB + 5 * BLOCK


@pytest.mark.parametrize("name", ["original", "helped"])
def test_the_machine_that_was_failed_over_is_what_it_was_but_for_its_disks(
    place: Place, before: Json, originals: dict[str, OriginalServer], records: Records, name: str
) -> None:
    after, machine = at_home(place), originals[name].path
    was, is_now = before[machine], after[machine]
    assert {**was, "disks": None} == {**is_now, "disks": None}
    assert [_how(each) for each in is_now["disks"]] == [_how(each) for each in was["disks"]]
    boots_by = [
        {each["type"] for each in machine["disks"][0]["guestOsFeatures"]} & {"UEFI_COMPATIBLE", "WINDOWS"}
        for machine in (was, is_now)
    ]
    assert boots_by[0] == boots_by[1]
    # None of those that came home goes with its machine.
    assert not any(each["autoDelete"] for each in is_now["disks"])
    planned = {disk.name for disk in plan_of(records[name]).disks}
    assert {each["source"].rpartition("/")[2] for each in is_now["disks"]} == planned
    for disk in originals[name].disks.values():
        # Untouched, and nobody's: going back would have been attaching them.
        assert "users" not in after[disk]
        assert after[disk]["labels"] == before[disk]["labels"]


def _how(attached: Json) -> Json:
    """How a disk is attached, whichever it is, and whatever its features are."""
    return {name: each for name, each in attached.items() if name not in {"source", "autoDelete", "guestOsFeatures"}}


def test_a_new_machine_is_its_owners_alone(place: Place, records: Records) -> None:
    """No label, no setting, no service account of the client's on a machine that was handed over."""
    for name in ("web", "windows"):
        machine = of_kind(at_home(place), "instances")[plan_of(records[name]).own_machine]
        assert not carries_run(machine)
        assert CLIENT_ACCOUNT.email not in str(machine.get("serviceAccounts"))
        assert "failback-settings" not in str(machine["metadata"])
        boot = of_kind(at_home(place), "disks")[machine["disks"][0]["source"].rpartition("/")[2]]
        features = {each["type"] for each in boot["guestOsFeatures"]}
        assert ("WINDOWS" in features, "UEFI_COMPATIBLE" in features) == ((name == "windows",) * 2)


def test_nothing_else_of_the_run_is_left(place: Place, servers: Servers, records: Records, before: Json) -> None:
    after = at_home(place)
    kept = {disk.name for record in records.values() for disk in plan_of(record).disks}
    kept |= {plan_of(record).own_machine for record in records.values()}
    for path in after.keys() - before.keys():
        name, kind = path.rpartition("/")[2], path.split("/")[-2]
        assert name in kept or kind in {"addresses", "snapshots"}, path
        assert not carries_run(after[path]) or kind == "snapshots", after[path]
    for server in servers.values():
        found = place.clouds.drs.listing()[server.id]
        assert found["failback"] == "FAILBACK_COMPLETED"
        assert not found["tags"].keys() & {"drs-failback:target"}
