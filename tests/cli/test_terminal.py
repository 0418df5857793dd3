"""Watching as a person does: a process of its own on a terminal, and Ctrl-C."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.cli import histories
from tests.cli.test_image import heed_interrupts
from tests.cli.test_runs import begin, keep

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Cloud


def on_a_terminal(cloud: Cloud, run: str, on_output: Callable[[subprocess.Popen[bytes], str], None]) -> tuple[int, str]:
    """The exit code and everything written; `on_output` is called with all of it whenever there's more."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, **cloud.variables, "COLUMNS": "120", "LINES": "40", "TERM": "xterm"}
    command = [sys.executable, "-m", "cli.main", "watch", run]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, preexec_fn=heed_interrupts
    ) as process:
        os.close(theirs)
        written = b""
        # Linux reports the end of a terminal that nobody holds any more as an error.
        with suppress(OSError):
            while part := os.read(ours, 65536):
                written += part
                on_output(process, written.decode(errors="replace"))
        os.close(ours)
    return process.returncode, written.decode()


def test_a_terminal_gets_a_table(cloud: Cloud) -> None:
    keep(cloud, "terminal", histories.failed())
    begin(cloud, "terminal", "broken")
    code, written = on_a_terminal(cloud, "terminal", lambda _process, _written: None)
    assert code == 1, written
    for part in ("terminal for azure-home, failed, 0:45", "━━━━", "300 MiB", "30 MiB/s", "remove it by"):
        assert part in written


@pytest.mark.timeout(30)
def test_ctrl_c_leaves_the_run_alone(cloud: Cloud) -> None:
    keep(cloud, "left-alone", histories.running())
    begin(cloud, "left-alone", "long")
    sent: list[bool] = []

    def press(process: subprocess.Popen[bytes], written: str) -> None:
        if "build_image" in written and not sent:
            process.send_signal(signal.SIGINT)
            sent.append(True)

    code, written = on_a_terminal(cloud, "left-alone", press)
    assert code == 130, written
    assert "the run goes on" in written
    assert "Traceback" not in written
    told = cloud.deployment.execution("left-alone")
    assert told is not None
    assert told.status == "RUNNING"
