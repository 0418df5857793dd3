"""Whole runs all the way home: every way, with what was written on AWS during the run on the server's own console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from localcloud.drs.plans import ClientPlan
from localcloud.drs.volume import BLOCK
from localcloud.embedded.originals import OriginalServer, add_original
from localcloud.workload.layout import UP
from localcloud.workload.marker import write_nonce
from tests.localcloud.runs.safety import EVERY_CALL, check_safety
from tests.localcloud.runs.servers import (
    ATTENDED,
    MIB,
    by_id,
    check_disks,
    check_transitions,
    decide,
    failed_over,
    history_of,
    outcome_of,
    plan_of,
    wait_for,
)

if TYPE_CHECKING:
    from failback.model.record import ServerHistory
    from localcloud.drs.records import RecoveryInstance
    from tests.localcloud.runs.place import Place

RUN = "all-the-way"
Json = Any
Servers = dict[str, "RecoveryInstance"]
Records = dict[str, "ServerHistory"]
WAY = [
    *("boot_client", "register_client", "await_replication", "await_approval", "quiesce", "await_launch"),
    *("cut_over", "verify_server", "await_commit", "close_server"),
]


def nonce_of(name: str) -> str:
    return f"written-on-aws-to-{name}"


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
    return {name: add_original(place.clouds, servers[name]) for name in ("original", "helped")}


@pytest.fixture(scope="module")
def before(place: Place, originals: dict[str, OriginalServer]) -> Json:
    """What was at home before the run."""
    assert originals
    return place.clouds.azure.listing()


@pytest.fixture(scope="module")
def execution(place: Place, servers: Servers, originals: dict[str, OriginalServer], before: Json) -> str:
    """All of them in one run, approved and accepted by a person; their workloads go on writing while they wait."""
    assert before
    asked = [
        {"recovery_instance": each.id, **({"original": name} if name in originals else {})}
        for name, each in servers.items()
    ]
    with place.faults(EVERY_CALL):
        execution = place.start(
            RUN, goal="failback", target="azure-home", servers=asked, cutover={**ATTENDED, "launch": {"per": "run"}}
        )
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


def test_all_are_home(place: Place, records: Records, execution: str) -> None:
    for record in records.values():
        assert outcome_of(record).outcome == "home", outcome_of(record)
        assert [each.stage for each in record.stages] == WAY
    assert {name: plan_of(record).way for name, record in records.items()} == {
        "web": "new", "original": "original", "helped": "helper", "windows": "new"
    }  # fmt: skip
    assert place.report(RUN)["outcome"]["outcome"] == "done"
    assert place.listing()["leases"] == {}
    check_transitions(execution, most=35)


def test_no_rule_was_broken_on_the_way(place: Place, before: Json, execution: str) -> None:
    count = check_safety(place.clouds.faults.records, history_of(place, execution), before)
    print(f"{count} calls")
    assert count > 500


def test_each_says_on_its_own_console_what_was_written_on_aws(place: Place, records: Records) -> None:
    for name, record in records.items():
        machine = plan_of(record).own_machine
        guest = [each for each in place.driver.guests if each.spec.name == machine][-1]
        assert guest.is_running
        assert f"{UP}{nonce_of(name)}" in guest.console().decode()
        (verified,) = (each.facts for each in record.stages if each.stage == "verify_server")
        assert isinstance(verified, dict)
        assert verified["verified"]


@pytest.mark.parametrize("name", ["web", "helped", "windows"])
def test_the_disks_hold_the_volumes_bytes(place: Place, servers: Servers, records: Records, name: str) -> None:
    check_disks(place, servers[name], plan_of(records[name]))


def test_of_the_original_only_what_has_changed_is_sent(place: Place, servers: Servers, records: Records) -> None:
    """Everything was written since the failover but zeros: a MiB, both ends, the record, and the record once more."""
    server = servers["original"]
    check_disks(place, server, plan_of(records["original"]))
    for device in server.volumes:
        assert place.clouds.drs.replication.sent(server.id, device) <= MIB + 5 * BLOCK


@pytest.mark.parametrize("name", ["original", "helped"])
def test_the_machine_that_was_failed_over_is_what_it_was_but_for_its_disks(
    place: Place, before: Json, originals: dict[str, OriginalServer], records: Records, execution: str, name: str
) -> None:
    assert execution
    after, machine = place.clouds.azure.listing(), originals[name].id
    was, is_now = without_disks(before[machine]), without_disks(after[machine])
    assert was == is_now
    assert [each["lun"] for each in data_disks(after[machine])] == [each["lun"] for each in data_disks(before[machine])]
    assert [each["caching"] for each in data_disks(after[machine])] == [
        each["caching"] for each in data_disks(before[machine])
    ]
    assert after[originals[name].nic] == before[originals[name].nic]
    planned = {disk.name for disk in plan_of(records[name]).disks}
    assert {each["managedDisk"]["id"].rsplit("/", 1)[1] for each in disks_of(after[machine])} == planned
    for disk in originals[name].disks.values():
        # Untouched, and nobody's: going back would have been attaching them.
        assert after[disk]["properties"]["diskState"] == "Unattached"
        assert after[disk]["tags"] == before[disk]["tags"]


def test_nothing_else_of_the_run_is_left(place: Place, servers: Servers, records: Records, before: Json) -> None:
    after = place.clouds.azure.listing()
    more = [each for name, each in after.items() if name not in before]
    kept = {disk.name for record in records.values() for disk in plan_of(record).disks}
    kept |= {plan_of(record).own_machine for record in records.values()}
    image = place.report(RUN)["provenance"]["image"]["name"]
    for each in more:
        ours = each.get("tags", {}).keys() & {"drs-failback:run"}
        kind = each["type"].rsplit("/", 1)[1]
        assert each["name"] in {*kept, image} or kind in {"networkInterfaces", "snapshots"}, each
        assert not ours or each["name"] == image or kind == "snapshots", each
    ec2 = place.clouds.client("ec2")
    for server in servers.values():
        asked = [{"Name": "group-id", "Values": [server.security_group]}]
        rules = ec2.describe_security_group_rules(Filters=asked)["SecurityGroupRules"]
        assert not [each for each in rules if not each["IsEgress"]]
        found = place.clouds.drs.listing()[server.id]
        assert found["failback"] == "FAILBACK_COMPLETED"
        assert not found["tags"].keys() & {"drs-failback:target"}


def test_the_report_says_who_decided_and_what_is_left_to_do(place: Place, servers: Servers, execution: str) -> None:
    assert execution
    report = place.report(RUN)
    said = [(each["subject"], each["verdict"], each["actor"], each["why"]) for each in report["history"]["decisions"]]
    assert said == [
        ("approval", "approve", "a person", "the maintenance window is open"),
        ("commit", "accept", "a person", ""),
    ]
    batches = report["history"]["batches"]
    assert sorted(each for batch in batches for each in batch["servers"]) == sorted(
        each.id for each in servers.values()
    )
    for each in report["servers"]:
        advice = " ".join(each["record"]["outcome"]["ending"]["advice"])
        assert "terminate-recovery-instances" in advice


def disks_of(machine: Json) -> list[Json]:
    storage = machine["properties"]["storageProfile"]
    return [storage["osDisk"], *storage["dataDisks"]]


def data_disks(machine: Json) -> list[Json]:
    found: list[Json] = machine["properties"]["storageProfile"]["dataDisks"]
    return sorted(found, key=lambda each: each["lun"])


def without_disks(machine: Json) -> Json:
    """A machine's document without which disks it has."""
    properties = {name: what for name, what in machine["properties"].items() if name != "storageProfile"}
    storage = machine["properties"]["storageProfile"]
    boot = {name: what for name, what in storage["osDisk"].items() if name not in {"managedDisk", "name"}}
    return {**machine, "properties": {**properties, "controller": storage.get("diskControllerType"), "boot": boot}}
