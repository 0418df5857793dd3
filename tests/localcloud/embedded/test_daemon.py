"""The process that the clouds live in: started, asked, stopped; nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest

from failback.errors import LocalCloudError
from localcloud.embedded.control import StartOptions, start, starting, status, stop, write_nonce
from localcloud.embedded.daemon import _parse, schedule_time
from localcloud.embedded.servers import volume_files
from localcloud.embedded.state_file import STATE_FILE, EmbeddedState, start_of
from localcloud.lambda_runner.usage import descendants
from localcloud.workload.marker import read_nonce
from tests.localcloud.embedded.assembly import HandMade

if TYPE_CHECKING:
    from pathlib import Path

Sdk = Any


def options(folder: Path) -> StartOptions:
    iso = folder / "tiny.iso"
    iso.write_bytes(b"tiny")
    assembly = HandMade().write(folder / "assembly")
    return StartOptions(iso=iso, machines="scripted", assembly=assembly, wait_scale=0.01)


def client(state: EmbeddedState, service: str) -> Sdk:
    session: Sdk = boto3.session.Session("local", "local", region_name=state.region)
    return session.client(service, endpoint_url=state.aws_url)


def run_machine(state: EmbeddedState) -> Sdk:
    states = client(state, "stepfunctions")
    arn = states.start_execution(stateMachineArn=state.outputs["StateMachineArn"], input="{}")["executionArn"]
    end = time.monotonic() + 20
    while (told := states.describe_execution(executionArn=arn))["status"] == "RUNNING" and time.monotonic() < end:
        time.sleep(0.05)
    return told


def is_open(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", urlsplit(url).port)) == 0


def test_started_used_and_stopped_it_leaves_nothing(tmp_path: Path) -> None:
    folder, said = tmp_path / "local", list[str]()
    state = start(folder, options(tmp_path), said.append)
    try:
        assert said == ["starting the clouds", "deploying", "ready"]
        assert status(folder) == state
        assert start(folder) == state, "a second start changes nothing"
        assert not state.iso_is_standin
        items = client(state, "drs").describe_recovery_instances()["items"]
        assert [(each["recoveryInstanceID"], each["tags"]) for each in items] == [(state.servers[0].id, {})]
        assert [each.name for each in state.servers] == ["web-1"]
        assert state.ca_file.is_file()
        check_nonce(folder, state.servers[0].id)
        assert run_machine(state)["status"] == "SUCCEEDED"
        processes = [state.pid, *descendants(state.pid)]
        assert len(processes) >= 3, "the daemon, a guard, a function"
        urls = (state.aws_url, state.azure_url, state.blob_url, state.google_url, state.google_storage_url)
        assert all(is_open(url) for url in urls)
        assert state.targets == {"azure-home": "azure"}
    finally:
        assert stop(folder)
    assert status(folder) is None
    assert not (folder / STATE_FILE).exists()
    assert [pid for pid in processes if start_of(pid) is not None] == []
    assert not any(is_open(url) for url in (*urls, state.control_url))
    with pytest.raises(LocalCloudError, match="No embedded clouds run"):
        write_nonce(folder, state.servers[0].id, "n-1")
    assert not stop(folder)


@pytest.mark.parametrize(
    "given",
    [
        StartOptions(),
        StartOptions(homes=("google",), machines="scripted", servers=3, wait_scale=0.5, port=8000),
        StartOptions(homes=("google", "azure"), standin="real", schedule_scale=1.0),
    ],
    ids=["none", "google", "both"],
)
def test_options_reach_the_process(tmp_path: Path, given: StartOptions) -> None:
    assert _parse(["--folder", str(tmp_path), *given.arguments()]) == (tmp_path, given)
    assert _parse(["--folder", str(tmp_path)]) == (tmp_path, StartOptions())


def check_nonce(folder: Path, server: str) -> None:
    """A running server's volume takes a nonce, and it stands there and nowhere else."""
    write_nonce(folder, server, "of-the-outage")
    boot = next(iter(volume_files(folder / "clouds" / "drs", server).values()))
    assert read_nonce(boot) == "of-the-outage"
    texts = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size < 1 << 24 and path != boot]
    assert texts
    assert not [path for path in texts if b"of-the-outage" in path.read_bytes()]
    for name, nonce, why in (
        ("i-0", "n-1", "no server i-0"),
        (server, "a b", "is no nonce"),
        ("x", "n", "isn't known"),
    ):
        with pytest.raises(LocalCloudError, match=why):
            write_nonce(folder, name, nonce)


@pytest.mark.parametrize(("scale", "minutes"), [(1.0, 1), (0.1, 10), (0.0, 60)])
def test_schedules_go_quicker_but_never_more_than_once_a_look(scale: float, minutes: int) -> None:
    began = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    told = schedule_time(began + timedelta(minutes=1), began=began, scale=scale)
    assert told - began == timedelta(minutes=minutes)


def test_killed_it_leaves_a_file_that_nobody_believes(tmp_path: Path) -> None:
    folder = tmp_path / "local"
    state = start(folder, options(tmp_path))
    assert run_machine(state)["status"] == "SUCCEEDED"
    functions = descendants(state.pid)
    os.kill(state.pid, signal.SIGKILL)
    os.waitpid(state.pid, 0)
    assert (folder / STATE_FILE).exists()
    assert status(folder) is None
    end = time.monotonic() + 10
    while (left := [pid for pid in functions if start_of(pid) is not None]) and time.monotonic() < end:
        time.sleep(0.05)
    assert functions
    assert not left
    assert not stop(folder)
    assert not (folder / STATE_FILE).exists()


def test_a_number_that_is_another_process_by_now_is_no_cloud(tmp_path: Path) -> None:
    mine = os.getpid()
    fields = {"pid": mine, "pid_started": (start_of(mine) or 0) - 1, "started": "2026-11-22T12:00:00Z"}
    fields |= {"region": "us-east-1", "aws_url": "", "azure_url": "", "blob_url": "", "ca_file": "x", "iso": "x"}
    fields |= {"iso_is_standin": True, "stack": "s", "outputs": {}}
    (tmp_path / STATE_FILE).write_text(json.dumps(fields))
    assert status(tmp_path) is None
    (tmp_path / STATE_FILE).write_text(json.dumps(fields | {"pid_started": start_of(mine)}))
    assert status(tmp_path) is not None


def test_what_keeps_it_from_starting_is_said(tmp_path: Path) -> None:
    given = options(tmp_path)
    assert given.assembly
    (given.assembly / "manifest.json").unlink()
    with pytest.raises(LocalCloudError, match=r"(?s)couldn't be started.*manifest\.json isn't there"):
        start(tmp_path / "local", given)
    assert status(tmp_path / "local") is None


def test_a_start_under_way_is_found_and_ended(tmp_path: Path) -> None:
    folder, given, refused = tmp_path / "local", options(tmp_path), list[LocalCloudError]()

    def begin() -> None:
        try:
            start(folder, given)
        except LocalCloudError as error:
            refused.append(error)

    starter = threading.Thread(target=begin)
    starter.start()
    end = time.monotonic() + 30
    while (pid := starting(folder)) is None and time.monotonic() < end:
        time.sleep(0.01)
    assert pid is not None
    assert status(folder) is None
    with pytest.raises(LocalCloudError, match=f"already.*process {pid}"):
        start(folder, given)
    assert stop(folder)
    starter.join()
    assert start_of(pid) is None
    assert [str(error) for error in refused] == ["The embedded clouds were ended before they were ready."]
    assert starting(folder) is None
    assert not stop(folder)
