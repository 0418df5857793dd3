"""The stand-in's client program: real requests by curl and real writes by dd, under the shells that it may meet."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from typing import TYPE_CHECKING

import pytest

from localcloud.serving import serve_application
from tests.localcloud.recovery_source import EXTENT, KIB64, RecoverySource
from tests.localcloud.standin_client import INSTANCE, SECRET, TOKEN, StandinPlace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.embedded

DEVICE = "/dev/xvda"
SIZE = 48 << 20
NOISE = random.Random(3).randbytes(EXTENT * 9 + KIB64)
STEPS = [
    "ESTABLISH_RECOVERY_INSTANCE_COMMUNICATION",
    "DOWNLOAD_REPLICATION_SOFTWARE_TO_FAILBACK_CLIENT",
    "CONFIGURE_REPLICATION_SOFTWARE",
    "PAIR_AGENT_WITH_REPLICATION_SOFTWARE",
    "ESTABLISH_AGENT_REPLICATOR_SOFTWARE_COMMUNICATION",
]


@pytest.fixture
def source() -> Iterator[RecoverySource]:
    """A recovery instance with one volume: a long run of data, and a block far behind."""
    source = RecoverySource(volumes={DEVICE: bytearray(SIZE)})
    source.write(DEVICE, 3 * KIB64, NOISE)
    source.write(DEVICE, SIZE - KIB64, NOISE[:KIB64])
    with serve_application(source) as url:
        source.port = int(url.rpartition(":")[2])
        yield source


@pytest.fixture(params=["dash", "bash"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StandinPlace]:
    """The scripts, and no kernel argument that plays a launch."""
    shell = shutil.which(request.param)
    if shell is None or shutil.which("curl") is None:
        pytest.skip(f"{request.param} or curl isn't installed")
    place = StandinPlace(shell, tmp_path).install()
    place.boot_with("")
    yield place
    for process in place.processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def begin(place: StandinPlace, source: RecoverySource, size: int = SIZE) -> tuple[Path, Callable[[], tuple[int, str]]]:
    """Start the client for the source's volume; gives the local disk, and the end's status and output."""
    disk = place.add_disk("sdb", size)
    process = place.start(AWS_DRS_ENDPOINT=f"http://127.0.0.1:{source.port}/", DEVICE_MAPPING=f"{DEVICE}={disk}")

    def end() -> tuple[int, str]:
        out, errors = process.communicate(timeout=20)
        assert errors == ""
        return process.returncode, out

    return disk, end


def wait_for(condition: Callable[[], bool], what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.01)


def copied(source: RecoverySource, disk: Path) -> bool:
    return disk.read_bytes() == bytes(source.volumes[DEVICE])


def test_a_volume_is_copied_and_what_changes_then_too(place: StandinPlace, source: RecoverySource) -> None:
    disk, end = begin(place, source)
    wait_for(lambda: "NotifyConsistencyAttainedForDrs" in source.calls, lambda: source.calls)
    assert copied(source, disk)
    source.write(DEVICE, 40 << 20, b"written later")
    wait_for(lambda: copied(source, disk), lambda: source.calls)
    source.write(DEVICE, 41 << 20, b"written last")
    source.launch = "true"
    status, out = end()
    assert status == 0, out
    assert copied(source, disk)
    assert [each["step"] for each in source.said["UpdateAgentReplicationInfoForDrs"]] == STEPS
    assert {each["status"] for each in source.said["UpdateAgentReplicationInfoForDrs"]} == {"SUCCEEDED"}
    assert source.said["UpdateAgentReplicationProcessStateForDrs"] == [
        {"recoveryInstanceID": INSTANCE, "state": "COMPLETED"}
    ]
    total = len(NOISE) + KIB64
    assert f"STANDIN-CLIENT replicating {DEVICE} {total} of {total} bytes\n" in out
    assert out.endswith("Failback finished; the machine restarts.\nRESTART\n")
    assert SECRET not in out
    assert TOKEN not in out
    assert not [path for path in place.folder.glob("tmp.*")]


def test_what_drs_is_told_of_the_machine_and_of_progress(place: StandinPlace, source: RecoverySource) -> None:
    place.add_disk("sda", 1 << 30)
    source.launch = "true"
    disk, end = begin(place, source)
    assert end()[0] == 0
    (about,) = source.said["AssociateFailbackClientToRecoveryInstanceForDrs"]
    assert about["disks"] == [
        {"deviceName": str(place.folder / "sda"), "bytes": 1 << 30}, {"deviceName": str(disk), "bytes": SIZE}
    ]  # fmt: skip
    (mapped,) = source.said["UpdateFailbackClientDeviceMappingForDrs"]
    pair = {"recoveryInstanceDeviceName": DEVICE, "failbackClientDeviceName": str(disk), "bytes": SIZE}
    assert mapped["mapping"] == [pair]
    progress = source.said["NotifyAgentReplicationProgressForDrs"]
    whose = {"recoveryInstanceID": INSTANCE, "deviceName": DEVICE, "rescannedStorageBytes": 0}
    assert progress == [
        {**whose, "replicatedStorageBytes": done, "backloggedStorageBytes": 0}
        for done in (3 * KIB64 + 8 * EXTENT, SIZE)
    ]


def test_a_disk_that_was_used_has_nothing_else_afterwards(place: StandinPlace, source: RecoverySource) -> None:
    """Zeros aren't sent."""
    source.launch = "true"
    disk = place.add_disk("sdb", SIZE)
    disk.write_bytes(b"x" * SIZE)
    process = place.start(AWS_DRS_ENDPOINT=f"http://127.0.0.1:{source.port}", DEVICE_MAPPING=f"{DEVICE}={disk}")
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0, out
    assert copied(source, disk)


def test_a_bandwidth_limit_is_kept(place: StandinPlace, source: RecoverySource) -> None:
    """After the first batch 3 MiB are left: at 8 Mbit/s that's three seconds."""
    source.launch, source.throttle = "true", "8"
    source.changed[DEVICE] = [set(range(8 * EXTENT // KIB64 + 48))]
    began = time.monotonic()
    _, end = begin(place, source)
    assert end()[0] == 0
    assert time.monotonic() - began > 1.5


def test_few_processes_copy_many_extents(place: StandinPlace, source: RecoverySource) -> None:
    source.launch = "true"
    _, end = begin(place, source)
    status, out = end()
    assert status == 0
    assert source.calls.count("blocks") == 11
    assert out.count("STANDIN-CLIENT replicating") == 2


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("DescribeRecoveryInstances", "DescribeRecoveryInstances: HTTP 403 not now"),
        ("UpdateFailbackClientDeviceMappingForDrs", "UpdateFailbackClientDeviceMappingForDrs: HTTP 403 not now"),
        ("pair", "PAIR_AGENT_WITH_REPLICATION_SOFTWARE: HTTP 403 not now"),
        ("replication-software", "DOWNLOAD_REPLICATION_SOFTWARE_TO_FAILBACK_CLIENT: HTTP 403"),
        ("NotifyConsistencyAttainedForDrs", "NotifyConsistencyAttainedForDrs: HTTP 403 not now"),
    ],
)
def test_a_refusal_ends_the_client_with_its_reason(
    place: StandinPlace, source: RecoverySource, path: str, said: str
) -> None:
    source.refused[path] = [403]
    _, end = begin(place, source)
    status, out = end()
    assert status == 1
    assert out.endswith(f"ERROR: {said}\nThe failback failed; see failback.log.\n")
    if path == "pair":
        failed = source.said["UpdateAgentReplicationInfoForDrs"][-1]
        assert (failed["step"], failed["status"]) == ("PAIR_AGENT_WITH_REPLICATION_SOFTWARE", "FAILED")
        assert failed["rawError"] == "HTTP 403 not now"


def test_an_instance_that_is_never_reached_is_a_failed_step(place: StandinPlace, source: RecoverySource) -> None:
    source.refused["hello"] = [503] * 100
    _, end = begin(place, source)
    status, out = end()
    assert status == 1
    assert source.calls.count("hello") == 10
    assert source.said["UpdateAgentReplicationInfoForDrs"][-1]["step"] == STEPS[0]
    assert f"ERROR: {STEPS[0]}: HTTP 503 not now" in out


def test_what_is_busy_or_breaks_off_is_asked_again(place: StandinPlace, source: RecoverySource) -> None:
    source.refused = {"IssueAgentCertificateForDrs": [429, 500], "changes": [503], "blocks": [500, 403], "hello": [503]}
    source.short = {f"device={DEVICE}&offset={3 * KIB64 + EXTENT}&length={EXTENT}"}
    source.launch = "true"
    disk, end = begin(place, source)
    status, out = end()
    assert status == 0, out
    assert copied(source, disk)
    assert not source.short
    assert "STANDIN-CLIENT waiting: HTTP 429 not now" in out


def test_a_client_that_is_told_to_stop_stays_and_does_nothing(place: StandinPlace, source: RecoverySource) -> None:
    source.command = "stop"
    begin(place, source)
    (process,) = place.processes
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert next(line for line in lines if "stopped" in line).startswith("STANDIN-CLIENT stopped")
    before = len(source.calls)
    time.sleep(0.2)
    assert (len(source.calls), process.poll()) == (before, None)


def test_a_disk_that_is_too_small_is_not_written_to(place: StandinPlace, source: RecoverySource) -> None:
    disk, end = begin(place, source, size=8 << 20)
    status, out = end()
    assert status == 1
    assert "lies beyond the end" in out
    assert disk.stat().st_size == 8 << 20
