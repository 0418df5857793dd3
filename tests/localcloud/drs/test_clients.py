"""Whole runs of a failback client: every byte comes home, the launch ends them, and what is refused is told."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from failback.model.recovery import INITIATION_STEPS
from localcloud.drs.plans import REPORTED_STEPS, ClientPlan
from localcloud.drs.volume import BLOCK
from localcloud.guests.client import Credentials
from tests.localcloud.drs.place import KIB, MIB, Place, await_, running

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.embedded
READY = ("FAILBACK_READY_FOR_LAUNCH", "CONTINUOUS")
STALLS = ("AGENT_NOT_SEEN", "FAILBACK_CLIENT_NOT_SEEN", "NOT_CONVERGING", "UNSTABLE_NETWORK", "SNAPSHOTS_FAILURE")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running(tmp_path_factory.mktemp("clients")) as place:
        yield place


def test_a_full_sync_is_launched_and_has_every_byte(place: Place) -> None:
    instance = place.add(9 * MIB, 2 * MIB + 512)
    place.open_port(instance)
    machine = place.machine(instance)
    # The disks weren't empty: nothing of that may stay.
    machine.files["/dev/xvda"].write_bytes(b"\xff" * 9 * MIB)
    machine.start()
    place.await_state(instance, *READY)
    machine.bytes_fit()
    told = place.described(instance)
    assert told["failback"]["failbackToOriginalServer"] is False
    lag = place.clock() - datetime.fromisoformat(told["dataReplicationInfo"]["lagDuration"])
    elapsed = place.clock() - datetime.fromisoformat(told["failback"]["elapsedReplicationDuration"])
    assert timedelta(0) <= lag <= elapsed < timedelta(seconds=30)
    disks = told["dataReplicationInfo"]["replicatedDisks"]
    assert [(disk["totalStorageBytes"], disk["replicatedStorageBytes"]) for disk in disks] == [
        (9 * MIB, 9 * MIB),
        (2 * MIB + 512, 2 * MIB + 512),
    ]
    steps = told["dataReplicationInfo"]["dataReplicationInitiation"]["steps"]
    assert [(step["name"], step["status"]) for step in steps] == [(name, "SUCCEEDED") for name in INITIATION_STEPS]
    instance.volumes["/dev/xvda"].write(5 * MIB - 10, b"written meanwhile")
    job = place.drs.start_failback_launch(recoveryInstanceIDs=[instance.id])["job"]["jobID"]
    assert machine.end().launched
    machine.bytes_fit()
    assert place.state(instance) == ("FAILBACK_COMPLETED", "STOPPED")
    (done,) = place.drs.describe_jobs(filters={"jobIDs": [job]})["items"]
    assert (done["status"], done["participatingServers"][0]["launchStatus"]) == ("COMPLETED", "LAUNCHED")
    assert place.described(instance)["failback"]["failbackJobID"] == job


def test_the_original_server_gets_only_what_changed(place: Place) -> None:
    instance = place.add(16 * MIB, plan=ClientPlan(original=True))
    place.open_port(instance)
    machine, volume = place.machine(instance), instance.volumes["/dev/xvda"]
    machine.files["/dev/xvda"].write_bytes(volume.path.read_bytes())
    volume.write(3 * MIB, b"new" * 100)
    volume.write(10 * MIB - 5, bytes(10))
    machine.start()
    place.await_state(instance, *READY)
    machine.bytes_fit()
    assert place.clouds.drs.replication.sent(instance.id, "/dev/xvda") == 3 * BLOCK
    told = place.described(instance)
    assert told["failback"]["failbackToOriginalServer"] is True
    assert told["dataReplicationInfo"]["replicatedDisks"][0]["rescannedStorageBytes"] == 16 * MIB
    assert machine.stop().launched is False


def test_the_original_disk_may_be_a_little_smaller_than_its_volume(place: Place) -> None:
    instance = place.add(MIB, plan=ClientPlan(original=True))
    place.open_port(instance)
    machine = place.machine(instance)
    machine.files["/dev/xvda"].write_bytes(bytes(700 * KIB))
    instance.volumes["/dev/xvda"].write(650 * KIB, b"\x11" * 100 * KIB)
    machine.start()
    place.await_state(instance, *READY)
    assert machine.stop().files["/dev/xvda"].read_bytes() == bytes(650 * KIB) + b"\x11" * 50 * KIB


def test_an_excluded_volume_is_left_out(place: Place) -> None:
    instance = place.add(MIB, MIB)
    place.open_port(instance)
    machine = place.machine(instance)
    machine.excluded = ("/dev/nvme1n1",)
    machine.start()
    place.await_state(instance, *READY)
    machine.bytes_fit()
    assert not any(machine.stop().files["/dev/nvme1n1"].read_bytes())
    disks = place.described(instance)["dataReplicationInfo"]["replicatedDisks"]
    assert [disk["deviceName"] for disk in disks] == ["/dev/xvda"]


def test_what_the_workload_writes_meanwhile_comes_too(place: Place) -> None:
    instance = place.add(4 * MIB)
    place.open_port(instance)
    machine = place.machine(instance).start()
    place.await_state(instance, *READY)
    sent = place.clouds.drs.replication.sent(instance.id, "/dev/xvda")
    instance.volumes["/dev/xvda"].write(2 * MIB, b"late")
    await_(
        lambda: place.clouds.drs.replication.sent(instance.id, "/dev/xvda") == sent + BLOCK, lambda: "nothing was sent"
    )
    machine.stop().bytes_fit()


def test_the_bandwidth_limit_is_kept(place: Place) -> None:
    instance = place.add(4 * MIB)
    # Two extents: the limit is known after the first, and 24 Mbit/s let 3 MB of the other through in a second.
    instance.volumes["/dev/xvda"].write(0, random.Random(1).randbytes(4 * MIB))
    instance.volumes["/dev/xvda"].write(MIB, bytes(MIB))
    place.open_port(instance)
    place.drs.update_failback_replication_configuration(recoveryInstanceID=instance.id, bandwidthThrottling=24)
    began = time.monotonic()
    machine = place.machine(instance).start()
    place.await_state(instance, *READY)
    assert time.monotonic() - began > 2 * MIB / 3_000_000
    machine.stop().bytes_fit()


def test_a_stopped_failback_stays_stopped_until_the_machine_is_booted_again(place: Place) -> None:
    instance = place.add()
    place.open_port(instance)
    machine = place.machine(instance).start()
    place.await_state(instance, *READY)
    place.drs.stop_failback(recoveryInstanceID=instance.id)
    await_(lambda: any("stopped" in line for line in machine.said), lambda: machine.said)
    assert place.state(instance) == ("FAILBACK_NOT_STARTED", "NOT_STARTED")
    assert machine.stop().launched is False
    again = place.machine(instance).start()
    place.await_state(instance, *READY)
    again.stop().bytes_fit()


@pytest.mark.parametrize("step", INITIATION_STEPS)
def test_each_initiation_step_can_fail(place: Place, step: str) -> None:
    instance = place.add(plan=ClientPlan(fail_step={step: "as planned"}))
    place.open_port(instance)
    machine = place.machine(instance).start().end()
    assert "HTTP 409 as planned" in machine.failure
    told = place.described(instance)["dataReplicationInfo"]
    assert told["dataReplicationState"] == "STALLED"
    word = {"error": f"FAILED_TO_{step}"} if step in REPORTED_STEPS else {}
    assert told["dataReplicationError"] == {**word, "rawError": "as planned"}
    statuses = {each["name"]: each["status"] for each in told["dataReplicationInitiation"]["steps"]}
    place_of = INITIATION_STEPS.index(step)
    assert [statuses[name] for name in INITIATION_STEPS[:place_of]] == ["SUCCEEDED"] * place_of
    assert statuses[step] == "FAILED"
    assert {statuses[name] for name in INITIATION_STEPS[place_of + 1 :]} <= {"NOT_STARTED"}


@pytest.mark.parametrize("word", STALLS)
def test_a_stall_lasts_until_its_taken_back(place: Place, word: str) -> None:
    instance = place.add(plan=ClientPlan(stall=word))
    place.open_port(instance)
    machine = place.machine(instance).start()
    await_(lambda: any("ready" in line for line in machine.said), lambda: machine.said)
    told = place.described(instance)
    assert told["dataReplicationInfo"]["dataReplicationState"] == "STALLED"
    assert told["dataReplicationInfo"]["dataReplicationError"]["error"] == word
    place.clouds.drs.plan(instance.id, ClientPlan())
    place.await_state(instance, *READY)
    machine.stop()


def test_replication_goes_no_further_than_it_is_held(place: Place) -> None:
    instance = place.add(8 * MIB, plan=ClientPlan(hold=0.25))
    place.open_port(instance)
    machine = place.machine(instance).start()
    await_(lambda: any("ready" in line for line in machine.said), lambda: machine.said)
    assert place.state(instance) == ("FAILBACK_IN_PROGRESS", "INITIAL_SYNC")
    place.clock.ahead += timedelta(seconds=90)
    told = place.described(instance)["dataReplicationInfo"]
    assert told["replicatedDisks"][0]["replicatedStorageBytes"] == 2 * MIB
    eta = datetime.fromisoformat(told["etaDateTime"])
    # A quarter came in about 90 seconds.
    assert timedelta(seconds=250) < eta - place.clock() < timedelta(seconds=400)
    with pytest.raises(place.drs.exceptions.ConflictException):
        place.drs.start_failback_launch(recoveryInstanceIDs=[instance.id])
    place.clouds.drs.plan(instance.id, ClientPlan())
    place.await_state(instance, *READY)
    machine.stop()


@pytest.mark.parametrize("cidr", [None, "10.20.1.0/24"], ids=["no-rule", "another-network"])
def test_port_1500_is_closed_without_a_rule_for_home(place: Place, cidr: str | None) -> None:
    instance = place.add()
    if cidr:
        place.open_port(instance, cidr)
    before = len(place.clouds.drs.replication.refused)
    machine = place.machine(instance).start().end()
    assert "ESTABLISH_RECOVERY_INSTANCE_COMMUNICATION: no answer" in machine.failure
    (refused,) = place.clouds.drs.replication.refused[before:]
    assert (refused.source, refused.destination) == ("10.20.0.5", instance.private_address)
    error = place.described(instance)["dataReplicationInfo"]["dataReplicationError"]
    assert error["error"] == "FAILED_TO_ESTABLISH_RECOVERY_INSTANCE_COMMUNICATION"
    assert "port 1500" in error["rawError"]


@pytest.mark.parametrize("ended", ["stopped", "plan"])
def test_a_recovery_instance_that_doesnt_answer_is_waited_for(place: Place, ended: str) -> None:
    instance = place.add()
    place.open_port(instance)
    machine = place.machine(instance)
    machine.pause = 0.02
    machine.start()
    place.await_state(instance, *READY)
    if ended == "stopped":
        place.ec2.stop_instances(InstanceIds=[instance.id])
    else:
        place.clouds.drs.plan(instance.id, ClientPlan(communication=False))
    instance.volumes["/dev/xvda"].write(0, b"meanwhile")
    await_(lambda: any("waiting" in line for line in machine.said), lambda: machine.said)
    place.ec2.start_instances(InstanceIds=[instance.id])
    place.clouds.drs.plan(instance.id, ClientPlan())
    await_(lambda: machine.files["/dev/xvda"].read_bytes()[:9] == b"meanwhile", lambda: machine.said)
    machine.stop().bytes_fit()


def test_a_key_that_nobody_gave_out_opens_nothing(place: Place) -> None:
    instance, good = place.add(), place.keys()
    forged = Credentials("ASIANOBODYGAVETHIS00", "x" * 40, good.session_token)
    without = Credentials(good.access_key, good.secret_key, "another session's token")
    for credentials in (forged, without, Credentials("local", "local", "")):
        machine = place.machine(instance, credentials=credentials).start().end()
        assert "DescribeRecoveryInstances: HTTP 403" in machine.failure
    place.clock.ahead += timedelta(hours=2)
    assert "HTTP 403" in place.machine(instance, credentials=good).start().end().failure
    place.clock.ahead -= timedelta(hours=2)
    assert place.state(instance) == ("FAILBACK_NOT_STARTED", "NOT_STARTED")


def test_a_client_that_isnt_seen_any_more_counts_as_stalled(place: Place) -> None:
    instance = place.add()
    place.open_port(instance)
    machine = place.machine(instance).start()
    place.await_state(instance, *READY)
    machine.stop()
    seen = place.described(instance)["failback"]["failbackClientLastSeenByServiceDateTime"]
    assert place.clock() - datetime.fromisoformat(seen) < timedelta(seconds=30)
    place.clock.ahead += timedelta(hours=1)
    told = place.described(instance)
    place.clock.ahead -= timedelta(hours=1)
    assert told["dataReplicationInfo"]["dataReplicationError"] == {"error": "FAILBACK_CLIENT_NOT_SEEN"}
    assert told["failback"]["state"] == "FAILBACK_NOT_READY_FOR_LAUNCH"
    assert told["failback"]["failbackClientLastSeenByServiceDateTime"] == seen


def test_last_seen_times_can_be_set(place: Place) -> None:
    instance = place.add()
    long_ago = datetime(2026, 1, 2, tzinfo=UTC)
    place.clouds.drs.plan(instance.id, ClientPlan(agent_seen=long_ago))
    told = place.described(instance)["failback"]
    assert told == {"state": "FAILBACK_NOT_STARTED", "agentLastSeenByServiceDateTime": "2026-01-02T00:00:00.000000Z"}


def test_a_disk_that_is_too_small_or_no_address_ends_the_client_early(place: Place) -> None:
    small, nowhere = place.add(2 * MIB), place.add()
    machine = place.machine(small)
    machine.files["/dev/xvda"].write_bytes(bytes(MIB))
    assert "no disk that volume /dev/xvda" in machine.start().end().failure
    place.drs.update_failback_replication_configuration(recoveryInstanceID=nowhere.id, usePrivateIP=False)
    assert "without a public address" in place.machine(nowhere).start().end().failure


def test_a_public_address_is_replicated_from_where_thats_wanted(place: Place) -> None:
    instance = place.add(public_address="169.254.65.9")
    place.open_port(instance)
    place.drs.update_failback_replication_configuration(recoveryInstanceID=instance.id, usePrivateIP=False)
    machine = place.machine(instance).start()
    place.await_state(instance, *READY)
    machine.stop().bytes_fit()
    (told,) = place.ec2.describe_instances(InstanceIds=[instance.id])["Reservations"][0]["Instances"]
    assert (told["PublicIpAddress"], told["PrivateIpAddress"]) == ("169.254.65.9", instance.private_address)
