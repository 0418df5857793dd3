"""Whole runs with goal failback: servers of all kinds come to ready, and what's made for them is what was planned."""

from __future__ import annotations

import base64
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.azure.driver import MachineSpec
from localcloud.drs.plans import ClientPlan
from localcloud.drs.records import NewInstance
from localcloud.drs.volume import BLOCK
from localcloud.embedded.clouds import CLIENT_IDENTITY
from localcloud.embedded.synthesis import TARGET
from localcloud.faults import Delay, FaultRule, Lose, Status, Throttle
from localcloud.sparse_files import create_sparse
from tests.localcloud.runs.client_trust import ask_for_keys
from tests.localcloud.runs.servers import (
    ATTENDED,
    GIB,
    MIB,
    by_id,
    check_disks,
    failback,
    failed_over,
    plan_of,
    wait_for,
)

if TYPE_CHECKING:
    from pathlib import Path

    from failback.model.record import ServerHistory
    from failback.model.server import ServerPlan
    from localcloud.drs.records import RecoveryInstance
    from localcloud.faults import Action
    from tests.localcloud.runs.place import Place

RUN = "home"
Json = Any
Servers = dict[str, "RecoveryInstance"]
Records = dict[str, "ServerHistory"]


@pytest.fixture(scope="module")
def servers(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Servers:
    """One of each kind."""
    windows = {"os": "Windows Server 2019 Datacenter", "devices": ("c:0", "d:0"), "boot_mode": "uefi"}
    return {
        "web": failed_over(place, "web", devices=("/dev/xvda", "/dev/xvdb")),
        "original": left_at_home(place, tmp_path_factory.mktemp("volumes")),
        "helped": failed_over(place, "helped", devices=("/dev/nvme0n1", "/dev/nvme1n1"), boot_mode="uefi"),
        "windows": failed_over(place, "windows", **windows),
    }


def left_at_home(place: Place, folder: Path) -> RecoveryInstance:
    """One whose client counts as the original server; since its failover two blocks have changed."""
    file = folder / "original.raw"
    create_sparse(file, GIB)
    with file.open("r+b") as volume:
        volume.write(b"as it was at the failover".ljust(8 * MIB, b"-"))
    made = place.clouds.drs.world.add_recovery_instance(NewInstance({"/dev/sda": file}, name="original"))
    made.volumes["/dev/sda"].write(5 * BLOCK + 17, b"changed")
    made.volumes["/dev/sda"].write(GIB - 512, b"changed too")
    place.clouds.drs.plan(made.id, ClientPlan(original=True))
    return made


@pytest.fixture(scope="module")
def execution(place: Place, servers: Servers) -> str:
    """All of them in one run."""
    execution = failback(place, RUN, list(servers.values()), cutover=ATTENDED, bandwidth_mbps=800)
    wait_for(place, execution, "approval", list(servers.values()))
    return execution


@pytest.fixture(scope="module")
def records(place: Place, servers: Servers, execution: str) -> Records:
    found = by_id(place, execution)
    return {name: found[each.id] for name, each in servers.items()}


def test_all_come_to_wait_for_their_approval(records: Records) -> None:
    for record in records.values():
        assert record.record.outcome is None
        assert record.record.progress is not None
        assert record.record.progress.verdict == "ready"
        assert [each.stage for each in record.stages] == [
            *("boot_client", "register_client", "await_replication", "await_approval")
        ]
    assert {name: plan_of(record).way for name, record in records.items()} == {
        "web": "new", "original": "new", "helped": "helper", "windows": "new"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["web", "helped", "windows"])
def test_the_disks_hold_the_volumes_bytes(place: Place, servers: Servers, records: Records, name: str) -> None:
    check_disks(place, servers[name], plan_of(records[name]))
    for device, volume in servers[name].volumes.items():
        # What's zeros isn't sent: a MiB, both ends, and the system's record.
        assert MIB <= place.clouds.drs.replication.sent(servers[name].id, device) <= MIB + 4 * BLOCK, volume


def test_of_the_original_only_what_has_changed_is_sent(place: Place, servers: Servers, records: Records) -> None:
    server, plan = servers["original"], plan_of(records["original"])
    assert place.clouds.drs.replication.sent(server.id, "/dev/sda") == 2 * BLOCK
    volume, disk = server.volumes["/dev/sda"], place.disk_file(plan.disks[0].name)
    with disk.open("rb") as at_home:
        for offset in (5 * BLOCK, GIB - BLOCK):
            at_home.seek(offset)
            assert at_home.read(BLOCK) == volume.read(offset, BLOCK)
        # The new disk here never had what the original's has.
        at_home.seek(0)
        assert at_home.read(5 * BLOCK) == bytes(5 * BLOCK)
    (registered,) = (each for each in records["original"].stages if each.stage == "register_client")
    assert isinstance(registered.facts, dict)
    assert registered.facts["to_original"] is True


@pytest.mark.parametrize(
    ("name", "generation", "os_disk", "boot_volume"),
    [
        ("web", "V1", "Linux", ("Linux", "V1")),
        ("helped", "V1", "Linux", ("Linux", "V2")),
        ("windows", "V2", "Windows", ("Windows", "V2")),
    ],
    ids=["web", "helped", "windows"],
)
def test_the_machine_is_as_planned(
    place: Place, records: Records, name: str, generation: str, os_disk: str, boot_volume: tuple[str, str]
) -> None:
    plan, listed = plan_of(records[name]), place.clouds.azure.listing()
    machine = called(listed, "virtualMachines", plan.machine)
    properties = machine["properties"]
    assert properties["hardwareProfile"]["vmSize"] == plan.size
    assert properties["securityProfile"] == {"securityType": "Standard"}
    assert properties["diagnosticsProfile"]["bootDiagnostics"]["enabled"] is True
    (identity,) = machine["identity"]["userAssignedIdentities"]
    assert identity.rsplit("/", 1)[1] == CLIENT_IDENTITY.name
    assert machine["powerState"] == "running"
    storage = properties["storageProfile"]
    assert storage["osDisk"]["osType"] == os_disk
    assert disk_of(listed, storage["osDisk"])["properties"]["hyperVGeneration"] == generation
    assert [(each["lun"], disk_of(listed, each)["name"]) for each in storage["dataDisks"]] == [
        (disk.lun, disk.name) for disk in plan.disks
    ]
    kinds = [disk_of(listed, each)["properties"] for each in storage["dataDisks"]]
    assert (kinds[0]["osType"], kinds[0]["hyperVGeneration"]) == boot_volume
    assert all(each.get("osType") is None for each in kinds[1:])
    for thing in (machine, *(disk_of(listed, each) for each in (storage["osDisk"], *storage["dataDisks"]))):
        assert thing["tags"].items() >= {"drs-failback:run": RUN, "drs-failback:server": plan.id}.items()


def test_only_the_helping_machine_has_a_name_of_the_runs(records: Records) -> None:
    names = {name: plan_of(record).machine for name, record in records.items()}
    assert re.fullmatch("drs-failback-client-[0-9a-f]{10}", names.pop("helped"))
    assert {name: name for name in names} == names


def test_port_1500_is_open_to_exactly_the_client(place: Place, servers: Servers, records: Records) -> None:
    ec2, listed = place.clouds.client("ec2"), place.clouds.azure.listing()
    for name, record in records.items():
        plan = plan_of(record)
        asked = [{"Name": "group-id", "Values": [servers[name].security_group]}]
        rules = ec2.describe_security_group_rules(Filters=asked)["SecurityGroupRules"]
        (rule,) = (each for each in rules if not each["IsEgress"])
        assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 1500, 1500)
        assert rule["CidrIpv4"] == f"{address_of(listed, plan)}/32"
        tags = {each["Key"]: each["Value"] for each in rule["Tags"]}
        assert tags.items() >= {"drs-failback:run": RUN, "drs-failback:server": plan.id}.items()


def test_the_recovery_instance_replicates_as_asked_for(place: Place, servers: Servers, execution: str) -> None:
    for name, server in servers.items():
        found = place.clouds.drs.listing()[server.id]
        assert found["tags"]["drs-failback:target"] == TARGET, execution
        assert (found["failback"], found["replication"]) == ("FAILBACK_READY_FOR_LAUNCH", "CONTINUOUS")
        configuration = found["configuration"]
        assert (configuration["name"], configuration["usePrivateIP"]) == (name, True)
        assert configuration["bandwidthThrottling"] == 800


def test_what_the_workload_writes_meanwhile_comes_home_too(place: Place, servers: Servers, records: Records) -> None:
    volume = servers["web"].volumes["/dev/xvdb"]
    volume.write(77 * MIB, b"written after all was through")
    disk = place.disk_file(plan_of(records["web"]).disks[1].name)

    def arrived() -> bool:
        with disk.open("rb") as at_home:
            at_home.seek(77 * MIB)
            return at_home.read(BLOCK) == volume.read(77 * MIB, BLOCK)

    place.wait_until(arrived, "the blocks to come home")


KINDS: tuple[Action, ...] = (Throttle(), Status(code=500), Delay(seconds=1.0), Lose())
SHARE = 0.05
# Chance may leave one out: each kind happens to each of these services once at least.
CERTAIN = [
    FaultRule(service=service, action=action, nth=(2 + 2 * number,))
    for service in ("drs", "ec2", "arm", "dynamodb")
    for number, action in enumerate(KINDS)
]
BY_CHANCE = [FaultRule(action=action, probability=SHARE / len(KINDS)) for action in KINDS]


def test_under_five_per_cent_of_faults_servers_come_home_with_the_same_bytes(place: Place) -> None:
    servers = [failed_over(place, f"disturbed-{number}", devices=("/dev/sda", "/dev/sdb")) for number in range(3)]
    with place.faults(*CERTAIN, *BY_CHANCE, seed=1):
        execution = failback(place, "disturbed", servers)
        told = place.finish_watched(execution)
    assert told["status"] == "SUCCEEDED", (told, place.history(execution))
    records, ec2 = by_id(place, execution), place.clouds.client("ec2")
    for server in servers:
        check_disks(place, server, plan_of(records[server.id]))
        asked = [{"Name": "group-id", "Values": [server.security_group]}]
        rules = ec2.describe_security_group_rules(Filters=asked)["SecurityGroupRules"]
        assert not [each for each in rules if not each["IsEgress"]], "it's home: nobody has to get in any more"
    assert "disturbed" not in place.listing()["leases"].values()
    # Nothing else in this module meets faults.
    met = Counter((each.call.service, each.action.kind) for each in place.clouds.faults.records)
    print(f"\n{met.total()} faults:", ", ".join(f"{one} {kind} {met[one, kind]}" for one, kind in sorted(met)))
    for action in KINDS:
        assert met["drs", action.kind]
        assert met["ec2", action.kind]
        assert met["arm", action.kind]


def test_where_no_identity_is_trusted_keys_are_given_and_taken_back(place: Place) -> None:
    """The deployment's target is changed to keys, and AWS's role for client machines as the stack would make it."""
    server = failed_over(place, "keyed")
    ask_for_keys(place)
    execution = failback(place, "keyed", [server])
    told = place.finish_watched(execution)
    assert told["status"] == "SUCCEEDED", (told, place.history(execution))
    record = by_id(place, execution)[server.id]
    check_disks(place, server, plan_of(record))
    machine = called(place.clouds.azure.listing(), "virtualMachines", plan_of(record).machine)
    assert "identity" not in machine
    guest, *_ = (each for each in place.driver.guests if each.spec.name == "keyed")
    assert "credentials-wanted keyed" in guest.console().decode()
    assert isinstance(guest.spec, MachineSpec)
    assert "access_key" not in settings_of(guest.spec.user_data or "")


def settings_of(user_data: str) -> str:
    return base64.b64decode(user_data).decode()


def called(listed: Json, kind: str, name: str) -> Json:
    """A resource in Azure's listing."""
    (found,) = (
        each for each in listed.values() if each["type"] == f"Microsoft.Compute/{kind}" and each["name"] == name
    )
    return found


def disk_of(listed: Json, attached: Json) -> Json:
    return called(listed, "disks", attached["managedDisk"]["id"].rsplit("/", 1)[1])


def address_of(listed: Json, plan: ServerPlan) -> str:
    """The private address of a plan's machine."""
    (found,) = (
        each
        for each in listed.values()
        if each["type"] == "Microsoft.Network/networkInterfaces"
        and each.get("tags", {}).get("drs-failback:server") == plan.id
    )
    address: str = found["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"]
    return address
