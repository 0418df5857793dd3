"""The demo's way of running commands: told before, timed, summed up; what fails ends it with the cause."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from failback.errors import LocalCloudError
from localcloud.demo import refuse_company
from localcloud.demo_commands import Demo, finish
from localcloud.demo_server import Pair, compare
from localcloud.embedded.state_file import LOCK_FILE, start_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_command_that_fails_ends_it(capfd: pytest.CaptureFixture[str]) -> None:
    shown = Demo(Console(soft_wrap=True))
    shown.note("something before", 1.25, "two\nlines")
    with pytest.raises(LocalCloudError, match=r"`failback image inspect nowhere\.iso` has ended with exit code"):
        shown.run("failback image inspect nowhere.iso")
    assert "$ failback image inspect nowhere.iso\n" in capfd.readouterr().out
    lines = shown.closing().splitlines()
    assert lines[1:4] == ["      1.2  something before", f"{'':13}two", f"{'':13}lines"]
    assert lines[4].endswith("  failback image inspect nowhere.iso")
    assert "exit code" in lines[5]


def test_a_command_that_does_not_end_is_made_to() -> None:
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        finish(child, grace=0.1)
    assert child.returncode == -signal.SIGTERM
    assert time.monotonic() - began < 20


def test_clouds_of_another_demo_are_left_alone(tmp_path: Path) -> None:
    refuse_company(tmp_path)
    (tmp_path / LOCK_FILE).write_text(f"{os.getpid()} {start_of(os.getpid())}\n")
    with pytest.raises(LocalCloudError, match=rf"process {os.getpid()}\).*DRS_FAILBACK_LOCAL={tmp_path} failback"):
        refuse_company(tmp_path)


def test_what_a_machine_says_is_kept_while_a_command_draws(capfd: pytest.CaptureFixture[str]) -> None:
    shown = Demo(Console(soft_wrap=True))
    shown.hear(1.5, "Linux")
    assert capfd.readouterr().out == f"{'':9}serial console,   1.5 s: Linux\n"
    shown = Demo(Console(soft_wrap=True), drawn=True)
    shown.hear(1.5, "Linux")
    assert capfd.readouterr().out == ""
    shown.run("failback --help")
    assert capfd.readouterr().out.splitlines()[-1] == f"{'':9}serial console,   1.5 s: Linux"
    assert shown.heard == []


def pair(folder: Path, volume: bytes, disk: bytes) -> Pair:
    (folder / "volume").write_bytes(volume)
    (folder / "disk").write_bytes(disk)
    return Pair("/dev/xvda", folder / "volume", "web-1-data-0", folder / "disk")


def test_a_disk_may_be_larger_than_its_volume(tmp_path: Path) -> None:
    shown = Demo(Console(soft_wrap=True))
    compare(shown, [pair(tmp_path, b"content", b"content" + bytes(9))], patience=0.0)
    first, second = shown.rows[0][2].splitlines()
    assert first.split()[0] == second.split()[0] == hashlib.sha256(b"content").hexdigest()
    assert "the same: disk web-1-data-0 at home" in second


@pytest.mark.parametrize("disk", [b"contenT", b"conten"])
def test_bytes_that_differ_end_it(tmp_path: Path, disk: bytes) -> None:
    shown = Demo(Console(soft_wrap=True))
    with pytest.raises(LocalCloudError, match="aren't those in AWS: web-1-data-0"):
        compare(shown, [pair(tmp_path, b"content", disk)], patience=0.0)
    assert "DIFFERENT: disk web-1-data-0" in shown.closing()
