"""`make demo`: the product's own commands on embedded clouds, from a client ISO to a machine that booted at home.

Each command line is shown before it's run, and can be typed by hand. The clouds are the demo's own: others that run
from this checkout aren't touched, and these are gone when it ends, however it ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from textwrap import indent
from typing import TYPE_CHECKING, NoReturn

from pydantic import BaseModel
from rich.console import Console

from failback.errors import FailbackError, LocalCloudError
from failback.model.record import RunHistory
from failback.model.report import Provenance
from localcloud.embedded.control import ROOT, starting, status
from localcloud.embedded.image_hashes import hash_file, image_hashes
from localcloud.embedded.state_file import start_of
from localcloud.embedded.synthesis import TARGET
from localcloud.guests.console_follower import following
from localcloud.lambda_runner.usage import descendants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localcloud.embedded.clouds import Client
    from localcloud.embedded.state_file import EmbeddedState

FOLDER = ROOT / "build" / "demo"
IMAGE = FOLDER / "client.raw"
FIRST, SECOND = "demo", "demo-again"
SEARCH_ONLY = ["find_client_image", "write_report"]
"""The stages of a run that finds everything there already."""
GRACE_SECONDS = 5.0
"""What a command gets to end by itself: Ctrl-C reaches it as well as the demo."""
END_SECONDS = 60.0
"""What it gets to end once it was asked to: longer than the clouds' own orderly end."""


class _Account(BaseModel):
    """What the demo reads of `failback report --format json`."""

    history: RunHistory
    provenance: Provenance | None


@dataclass(slots=True)
class Demo:
    """What was done, how long it took, what came of it; and the commands that do it."""

    console: Console
    rows: list[tuple[str, float, str]] = field(default_factory=list)

    def run(self, command: str, result: str = "") -> float:
        """Run a command of the product before everybody's eyes; the seconds it took. One that fails ends the demo."""
        self.console.rule(style="dim")
        self.say(f"$ {command}", style="bold")
        began = time.monotonic()
        with _child(command.split()) as child:
            code = child.wait()
        seconds = time.monotonic() - began
        self.rows.append((command, seconds, result if code == 0 else f"exit code {code}"))
        if code:
            message = f"`{command}` has ended with exit code {code}; what it said of the cause is above."
            raise LocalCloudError(message)
        return seconds

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


def main() -> int:
    """Run it all; returns the process's exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    demo, code = Demo(Console(soft_wrap=True)), 0
    try:
        refuse_company(FOLDER)
        _show(demo)
    except FailbackError as error:
        demo.say(demo.closing())
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        code = 130
    demo.say(demo.closing())
    return code


def _end(number: int, _frame: object) -> NoReturn:
    """Leave as after Ctrl-C, by the way of every block."""
    sys.exit(128 + number)


def refuse_company(folder: Path) -> None:
    """Raise LocalCloudError where clouds run from that folder already."""
    running = status(folder)
    pid = running.pid if running else starting(folder)
    if pid is not None:
        message = (
            f"The clouds of another demo run already (process {pid}): it's still under way, or was killed. "
            f"End them with: DRS_FAILBACK_LOCAL={folder} failback local down"
        )
        raise LocalCloudError(message)


def _show(demo: Demo) -> None:
    demo.say("AWS and Azure on this machine, the product deployed into them. To try by hand what follows:")
    demo.say(f"$ export DRS_FAILBACK_LOCAL={FOLDER.relative_to(ROOT)}", style="bold")
    with _clouds(demo) as clouds:
        _first(demo)
        _again(demo)
        demo.run(f"failback report {FIRST}", "its timeline, and what the image at home is made of")
        _same_bytes(demo, clouds)


@contextmanager
def _clouds(demo: Demo) -> Iterator[EmbeddedState]:
    """The clouds for the length of a `with` block, from their start on; raises LocalCloudError if any of them stays."""
    try:
        demo.run("failback local up")
        state = status(FOLDER)
        if state is None:
            message = "The embedded clouds have ended right after their start."
            raise LocalCloudError(message)
        demo.result(f"AWS {state.aws_url}, Azure {state.azure_url}")
        yield state
    finally:
        # A second Ctrl-C doesn't keep the first one from being carried out.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        _down(demo)
        signal.signal(signal.SIGINT, before)


def _down(demo: Demo) -> None:
    running = status(FOLDER)
    pid = running.pid if running else starting(FOLDER)
    processes = [pid, *descendants(pid)] if pid is not None else []
    demo.run("failback local down")
    left = [each for each in processes if start_of(each) is not None]
    demo.result(f"{len(processes)} processes ended, {len(left)} left")
    if left:
        message = f"Of the embedded clouds these processes are left: {', '.join(map(str, left))}"
        raise LocalCloudError(message)


def _first(demo: Demo) -> None:
    """Everything is made, brought home and booted; the machine's console is shown, where that doesn't disturb."""
    drawn, said = sys.stdout.isatty(), list[str]()

    def on_line(seconds: float, line: str) -> None:
        text = f"{'':9}serial console, {seconds:5.1f} s: {line}"
        if drawn:
            said.append(text)
        else:
            print(text, flush=True)

    with following(FOLDER / "clouds" / "machines", on_line):
        demo.run(f"failback prepare {TARGET} --run {FIRST}")
    if said:
        demo.say("\n".join(said))
    account = _account(FIRST)
    stages = {entry.stage: entry for entry in account.history.stages}
    demo.result(f"{len(stages)} stages done in {sum(entry.calls for entry in stages.values())} calls of functions")
    boot = stages["boot_test"]
    mark = account.provenance.mark if account.provenance else ""
    demo.note("of this, the boot test", (boot.updated - boot.began).total_seconds(), f"the agent in it said: {mark}")


def _again(demo: Demo) -> None:
    demo.run(f"failback prepare {TARGET} --run {SECOND}")
    stages = [entry.stage for entry in _account(SECOND).history.stages]
    demo.result(f"no image work: {', '.join(stages)}")
    if stages != SEARCH_ONLY:
        message = f"The second run should have found everything there; it came through {', '.join(stages)}."
        raise LocalCloudError(message)


def _same_bytes(demo: Demo, clouds: EmbeddedState) -> None:
    """The image in all its places against one that's built by hand from the same ISO."""
    iso = os.path.relpath(clouds.iso, ROOT)
    demo.run(f"failback image build {iso} --format raw --cloud azure --cloud aws -o {IMAGE.relative_to(ROOT)}")
    wanted = hash_file(IMAGE)
    demo.result(f"{wanted}  the image that the run should have made, SHA-256")
    made = _account(FIRST).provenance
    if made is None:
        message = "The run's report doesn't say what it has made."
        raise LocalCloudError(message)
    began = time.monotonic()
    found = image_hashes(made, _client(clouds), bucket=clouds.outputs["ImageBucket"], azure=FOLDER / "clouds" / "azure")
    others = [place for place, sha256 in found.items() if sha256 != wanted]
    lines = [f"{sha256}  {'DIFFERENT' if at in others else 'the same'}: {at}" for at, sha256 in found.items()]
    demo.note("the run's image read back, SHA-256", time.monotonic() - began, "\n".join(lines))
    if others:
        message = f"The bytes aren't those of the image built by hand: {'; '.join(others)}"
        raise LocalCloudError(message)


def _client(clouds: EmbeddedState) -> Client:
    """What makes boto3's client of a service of the embedded AWS."""
    from boto3.session import Session
    from botocore.config import Config

    session: Client = Session("local", "local", region_name=clouds.region)
    config = Config(s3={"addressing_style": "path"})
    return lambda service: session.client(service, endpoint_url=clouds.aws_url, config=config)


def _account(run: str) -> _Account:
    with _child(["failback", "report", run, "--format", "json"], stdout=subprocess.PIPE) as child:
        told, _ = child.communicate()
    return _Account.model_validate_json(told)


@contextmanager
def _child(words: list[str], stdout: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A command of the product on the demo's clouds; it doesn't outlive the block."""
    command = [sys.executable, "-m", "cli.main", *words[1:]]
    environment = {**os.environ, "DRS_FAILBACK_LOCAL": str(FOLDER)}
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stdout)
    try:
        yield child
    finally:
        finish(child)


def finish(child: subprocess.Popen[bytes], *, grace: float = GRACE_SECONDS) -> None:
    """Wait for a command's own end; where it doesn't come in `grace` seconds, make it."""
    for seconds, ask in ((grace, child.terminate), (END_SECONDS, child.kill)):
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            ask()
    child.wait()


if __name__ == "__main__":
    sys.exit(main())
