"""`failback local` on clouds that run, have gone or never were: by the real state file and a real process."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from failback.errors import LocalCloudError
from localcloud.embedded.state_file import EmbeddedState, FailedOver, start_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def local(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["local", *words], env={"DRS_FAILBACK_LOCAL": str(folder)})


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in the clouds' place, and the file by which it's known."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as running:
        started = start_of(running.pid)
        assert started is not None
        state = EmbeddedState(
            pid=running.pid,
            pid_started=started,
            started=datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
            region="us-east-1",
            aws_url="http://127.0.0.1:1",
            azure_url="https://127.0.0.1:2",
            blob_url="https://127.0.0.1:3",
            ca_file=tmp_path / "ca.pem",
            google_url="http://127.0.0.1:4",
            google_storage_url="http://127.0.0.1:5",
            iso=tmp_path / "client.iso",
            iso_is_standin=True,
            stack="drs-failback",
            outputs={"RunLogTable": "runs", "RolesAtGoogle": "arn:one, arn:two"},
            targets={"google-home": "google"},
            servers=(FailedOver(id="i-0123456789abcdef0", name="web-1"),),
        )
        state.write(tmp_path)
        yield running
        running.kill()


def test_status_of_running_clouds(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    shown = local(tmp_path, "status")
    assert shown.exit_code == 0, shown.output
    lines = shown.output.splitlines()
    assert lines[0] == "The embedded clouds run."
    assert f"  process        {process.pid}, since 2026-03-01 12:00:00 UTC" in lines
    assert "  AWS            http://127.0.0.1:1 (us-east-1)" in lines
    assert "  Google         http://127.0.0.1:4, storage http://127.0.0.1:5" in lines
    assert lines[-5:] == [
        "  target         google-home, at Google",
        "  RolesAtGoogle  arn:one",
        "                 arn:two",
        "  RunLogTable    runs",
        "  server         i-0123456789abcdef0 (web-1): failback start google-home i-0123456789abcdef0",
    ]
    told = json.loads(local(tmp_path, "status", "--json").output)
    assert told["pid"] == process.pid
    assert told["targets"] == {"google-home": "google"}


@pytest.mark.parametrize("options", [(), ("--home", "google")], ids=["any", "the-same"])
def test_up_again_says_so(tmp_path: Path, process: subprocess.Popen[bytes], options: tuple[str, ...]) -> None:
    done = local(tmp_path, "up", *options)
    assert done.exit_code == 0, done.output
    assert f"run already (process {process.pid})" in done.output


def test_up_again_with_another_home_is_refused(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    done = local(tmp_path, "up", "--home", "google", "--home", "azure")
    assert isinstance(done.exception, LocalCloudError)
    said = str(done.exception)
    assert f"(process {process.pid}), with google-home alone. For azure end them with `failback local down`" in said
    assert start_of(process.pid) is not None


def test_down_ends_the_process(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    done = local(tmp_path, "down")
    assert done.output == "The embedded clouds have stopped.\n"
    assert start_of(process.pid) is None
    assert local(tmp_path, "status").exit_code == 3


def test_clouds_that_never_were(tmp_path: Path) -> None:
    shown = local(tmp_path, "status")
    assert (shown.exit_code, shown.output) == (3, "The embedded clouds don't run; start them with: failback local up\n")
    as_json = local(tmp_path, "status", "--json")
    assert (as_json.exit_code, json.loads(as_json.output)) == (3, None)
    down = local(tmp_path, "down")
    assert (down.exit_code, down.output) == (0, "The embedded clouds don't run.\n")


@pytest.mark.parametrize(
    ("option", "value"), [("--iso", "none.iso"), ("--servers", "-1"), ("--servers", "21"), ("--home", "mars")]
)
def test_what_cannot_be_is_wrong_usage(tmp_path: Path, option: str, value: str) -> None:
    assert local(tmp_path, "up", option, str(tmp_path / value) if option == "--iso" else value).exit_code == 2
