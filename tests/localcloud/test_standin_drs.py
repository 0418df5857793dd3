"""The stand-in's client program and the embedded DRS: a failback as both play it, on files of this machine."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from localcloud.drs.plans import ClientPlan
from localcloud.machines.command_line import FORWARDER
from localcloud.sts_sessions import GivenSessions, SessionRequest
from tests.localcloud.failback_place import HOME_ADDRESS, MIB, REGION, open_place
from tests.localcloud.standin_client import StandinPlace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from localcloud.sts_sessions import GivenSession
    from tests.localcloud.failback_place import FailbackPlace


pytestmark = pytest.mark.embedded

ROLE = "arn:aws:iam::123456789012:role/client"


@contextmanager
def guest_network(port: int, address: str) -> Iterator[str]:
    """What QEMU does: a process of the forwarder for each connection that the guest makes."""
    words = [sys.executable, "-S", "-E", str(FORWARDER), str(port), HOME_ADDRESS, address, "1500"]
    processes: list[subprocess.Popen[bytes]] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    processes.append(subprocess.Popen(words, stdin=connection.fileno(), stdout=connection.fileno()))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for process in processes:
                process.wait(5)


def wait_for(condition: Callable[[], bool], what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


def installed(folder: Path, instance_at: str) -> StandinPlace:
    """The client's scripts, to be run by the shell that the live system has."""
    folder.mkdir()
    return StandinPlace(shutil.which("dash") or "sh", folder, instance=instance_at).install()


def started(place: StandinPlace, at: FailbackPlace, session: GivenSession, mapping: str) -> subprocess.Popen[str]:
    """The client, told what the agent tells it."""
    return place.start(
        AWS_DRS_ENDPOINT=at.door,
        AWS_ACCESS_KEY=session.access_key,
        AWS_SECRET_KEY=session.secret_key,
        AWS_SESSION_TOKEN=session.session_token,
        AWS_REGION=REGION,
        RECOVERY_INSTANCE_ID=at.instance.id,
        DEVICE_MAPPING=mapping,
    )


def test_a_failback_from_the_first_call_to_the_launch(tmp_path: Path) -> None:
    noise = random.Random(5).randbytes
    boot = tmp_path / "boot.raw"
    boot.write_bytes(noise(9 * MIB) + bytes(3 * MIB) + noise(4 * MIB))
    given = GivenSessions()
    session = given.give(SessionRequest(ROLE, "web-1", 3600))
    volumes: dict[str, int | Path] = {"/dev/xvda": boot, "/dev/xvdb": 8 * MIB, "/dev/xvdc": MIB}
    with (
        open_place(tmp_path / "drs", volumes, given=given) as at,
        guest_network(at.port, at.instance.private_address) as instance_at,
    ):
        place = installed(tmp_path / "client", instance_at)
        disks = [place.add_disk(name, size) for name, size in (("sdb", 16 * MIB), ("sdc", 8 * MIB))]
        process = started(place, at, session, f"/dev/xvda={disks[0]},/dev/xvdb={disks[1]},/dev/xvdc=EXCLUDE")
        try:
            wait_for(lambda: at.state() == "FAILBACK_READY_FOR_LAUNCH", at.described)
            assert disks[0].read_bytes() == boot.read_bytes()
            for disk in at.described()["dataReplicationInfo"]["replicatedDisks"]:
                assert disk["replicatedStorageBytes"] == disk["totalStorageBytes"]
            at.write("/dev/xvdb", 5 * MIB, b"written while it was copied")
            at.launch()
            out, errors = process.communicate(timeout=20)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        assert (process.returncode, errors) == (0, ""), out
        assert disks[1].read_bytes() == at.content("/dev/xvdb")
        assert at.state() == "FAILBACK_COMPLETED"
        assert not at.drs.replication.refused
        assert at.drs.replication.sent(at.instance.id, "/dev/xvda") == 13 * MIB


def test_the_original_server_gets_what_has_changed_and_nothing_more(tmp_path: Path) -> None:
    before = tmp_path / "boot.raw"
    before.write_bytes(random.Random(6).randbytes(12 * MIB))
    given = GivenSessions()
    session = given.give(SessionRequest(ROLE, "web-1", 3600))
    with (
        open_place(tmp_path / "drs", {"/dev/xvda": before}, given=given) as at,
        guest_network(at.port, at.instance.private_address) as instance_at,
    ):
        at.drs.plan(at.instance.id, ClientPlan(original=True))
        at.write("/dev/xvda", 3 * MIB, b"written on AWS")
        at.write("/dev/xvda", 9 * MIB, b"and once more")
        place = installed(tmp_path / "client", instance_at)
        disk = place.add_disk("sdb", 16 * MIB)
        with disk.open("r+b") as file:
            file.write(before.read_bytes())
        process = started(place, at, session, f"/dev/xvda={disk}")
        try:
            wait_for(lambda: at.state() == "FAILBACK_READY_FOR_LAUNCH", at.described)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=20)
        assert at.described()["failback"]["failbackToOriginalServer"]
        assert disk.read_bytes()[: 12 * MIB] == at.content("/dev/xvda")
        assert at.drs.replication.sent(at.instance.id, "/dev/xvda") == 2 * 64 * 1024
