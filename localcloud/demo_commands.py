"""What the demo does with commands and machines: run them before everybody's eyes, time them, sum them up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from textwrap import indent
from typing import TYPE_CHECKING

from pydantic import BaseModel

from failback.errors import LocalCloudError
from failback.model.record import RunHistory
from failback.model.report import Provenance, ServerReport
from localcloud.embedded.control import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

FOLDER = ROOT / "build" / "demo"
"""The demo's own clouds."""
GRACE_SECONDS = 5.0
"""What a command gets to end by itself: Ctrl-C reaches it as well as the demo."""
END_SECONDS = 60.0
"""What it gets to end once it was asked to: longer than the clouds' own orderly end."""
LOOK_SECONDS = 0.5
LAST_LOOK_SECONDS = 2.0
"""What a command that's watched gets to show what the demo has seen already."""
LEFT = 130
"""The exit code of a command whose watching was ended by Ctrl-C."""


class Account(BaseModel):
    """What the demo reads of `failback report --format json`."""

    history: RunHistory
    provenance: Provenance | None
    servers: tuple[ServerReport, ...] = ()


@dataclass(slots=True)
class Demo:
    """What was done, how long it took, what came of it; and the commands that do it.

    `drawn`: commands draw on a terminal, and what a machine's console says meanwhile would disturb.
    """

    console: Console
    drawn: bool = False
    rows: list[tuple[str, float, str]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def run(self, command: str, result: str = "") -> float:
        """Run a command of the product before everybody's eyes; the seconds it took. One that fails ends the demo."""
        began = self._begin(command)
        with child(command.split()) as running:
            code = running.wait()
        return self._end(command, time.monotonic() - began, code=code, wanted=0, result=result)

    def watch(self, command: str, until: Callable[[], bool], result: str = "") -> float:
        """Run one that watches, and leave it as by Ctrl-C once `until` has come; the seconds it took.

        One that ends before that ends the demo.
        """
        began = self._begin(command)
        with child(command.split()) as running:
            while running.poll() is None and not until():
                time.sleep(LOOK_SECONDS)
            if running.poll() is None:
                time.sleep(LAST_LOOK_SECONDS)
                running.send_signal(signal.SIGINT)
            code = running.wait()
        return self._end(command, time.monotonic() - began, code=code, wanted=LEFT, result=result)

    def _begin(self, command: str) -> float:
        self.console.rule(style="dim")
        self.say(f"$ {command}", style="bold")
        return time.monotonic()

    def _end(self, command: str, seconds: float, *, code: int, wanted: int, result: str) -> float:
        self._tell_heard()
        self.rows.append((command, seconds, result if code == wanted else f"exit code {code}"))
        if code != wanted:
            message = f"`{command}` has ended with exit code {code}; what it said of the cause is above."
            raise LocalCloudError(message)
        return seconds

    def hear(self, seconds: float, line: str) -> None:
        """Tell what a machine's serial console says, and when after its start; later where it would disturb."""
        text = f"{'':9}serial console, {seconds:5.1f} s: {line}"
        if self.drawn:
            self.heard.append(text)
        else:
            print(text, flush=True)

    def _tell_heard(self) -> None:
        heard, self.heard = self.heard, []
        if heard:
            self.say("\n".join(heard))

    def say(self, text: str, style: str = "") -> None:
        """Print text as it is."""
        self.console.print(text, style=style or None, markup=False, highlight=False)

    def note(self, step: str, seconds: float, result: str) -> None:
        """Add a row of something that isn't a command."""
        self.rows.append((step, seconds, result))

    def result(self, text: str) -> None:
        """Say what came of the command that was run last."""
        self.rows[-1] = (*self.rows[-1][:2], text)

    def closing(self) -> str:
        """What was done, as text: each step with its seconds, and below it what came of it."""
        lines = ["  seconds  step, and what came of it"]
        for step, seconds, result in self.rows:
            lines += [f"{seconds:9.1f}  {step}", *indent(result, " " * 13).splitlines()]
        return "\n".join(lines)


def account(run: str) -> Account:
    """A run's report."""
    with child(["failback", "report", run, "--format", "json"], stdout=subprocess.PIPE) as asked:
        told, _ = asked.communicate()
    return Account.model_validate_json(told)


@contextmanager
def child(words: list[str], stdout: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A command of the product on the demo's clouds; it doesn't outlive the block."""
    command = [sys.executable, "-m", "cli.main", *words[1:]]
    environment = {**os.environ, "DRS_FAILBACK_LOCAL": str(FOLDER)}
    running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stdout)
    try:
        yield running
    finally:
        finish(running)


def finish(running: subprocess.Popen[bytes], *, grace: float = GRACE_SECONDS) -> None:
    """Wait for a command's own end; where it doesn't come in `grace` seconds, make it."""
    for seconds, ask in ((grace, running.terminate), (END_SECONDS, running.kill)):
        try:
            running.wait(seconds)
        except subprocess.TimeoutExpired:
            ask()
    running.wait()
