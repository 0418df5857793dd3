"""`make demo [TARGET=google]`: the product's own commands on embedded clouds, from a client ISO to a server that has
booted at home.

Each command line is shown before it's run, and can be typed by hand. The clouds are the demo's own: others that run
from this checkout aren't touched, and these are gone when it ends, however it ends.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console

from failback.errors import FailbackError, LocalCloudError
from localcloud.demo_commands import FOLDER, Demo, account
from localcloud.demo_homes import home_named
from localcloud.demo_server import take_home
from localcloud.embedded.control import ROOT, starting, status
from localcloud.embedded.image_hashes import hash_file, image_hashes
from localcloud.embedded.state_file import start_of
from localcloud.guests.console_follower import following
from localcloud.lambda_runner.usage import descendants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localcloud.demo_homes import DemoHome
    from localcloud.embedded.clouds import Client
    from localcloud.embedded.state_file import EmbeddedState

IMAGE = FOLDER / "client.raw"
FIRST, SECOND = "demo", "demo-again"
SEARCH_ONLY = ["find_client_image", "write_report"]
"""The stages of a run that finds everything there already."""


def main(arguments: list[str]) -> int:
    """Run it all; returns the process's exit code. The first of the arguments is the home, Azure where there's none."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    demo, code = Demo(Console(soft_wrap=True), drawn=sys.stdout.isatty()), 0
    try:
        home = home_named(*(arguments[:1] or ["azure"]))
        refuse_company(FOLDER)
        _show(demo, home)
    except FailbackError as error:
        if demo.rows:
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


def _show(demo: Demo, home: DemoHome) -> None:
    demo.say(f"AWS and {home.title} on this machine, the product deployed into them. To try by hand what follows:")
    demo.say(f"$ export DRS_FAILBACK_LOCAL={FOLDER.relative_to(ROOT)}", style="bold")
    with _clouds(demo, home) as clouds:
        _first(demo, home)
        _again(demo, home)
        demo.run(f"failback report {FIRST}", "its timeline, and what the image at home is made of")
        _same_bytes(demo, home, clouds)
        take_home(demo, home, clouds, _client(clouds))


@contextmanager
def _clouds(demo: Demo, home: DemoHome) -> Iterator[EmbeddedState]:
    """The clouds for the length of a `with` block, from their start on; raises LocalCloudError if any of them stays."""
    try:
        demo.run(f"failback local up --home {home.name}")
        state = status(FOLDER)
        if state is None:
            message = "The embedded clouds have ended right after their start."
            raise LocalCloudError(message)
        demo.result(f"AWS {state.aws_url}, {home.title} {home.url(state)}")
        with following(FOLDER / "clouds" / "machines", demo.hear):
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


def _first(demo: Demo, home: DemoHome) -> None:
    """The client image is made, brought home and booted there."""
    demo.run(f"failback prepare {home.target} --run {FIRST}")
    told = account(FIRST)
    stages = {entry.stage: entry for entry in told.history.stages}
    demo.result(f"{len(stages)} stages done in {sum(entry.calls for entry in stages.values())} calls of functions")
    boot = stages["boot_test"]
    mark = told.provenance.mark if told.provenance else ""
    demo.note("of this, the boot test", (boot.updated - boot.began).total_seconds(), f"the agent in it said: {mark}")


def _again(demo: Demo, home: DemoHome) -> None:
    demo.run(f"failback prepare {home.target} --run {SECOND}")
    stages = [entry.stage for entry in account(SECOND).history.stages]
    demo.result(f"no image work: {', '.join(stages)}")
    if stages != SEARCH_ONLY:
        message = f"The second run should have found everything there; it came through {', '.join(stages)}."
        raise LocalCloudError(message)


def _same_bytes(demo: Demo, home: DemoHome, clouds: EmbeddedState) -> None:
    """The image in all its places against one that's built by hand from the same ISO."""
    iso = os.path.relpath(clouds.iso, ROOT)
    demo.run(f"failback image build {iso} --format raw --cloud {home.name} --cloud aws -o {IMAGE.relative_to(ROOT)}")
    wanted = hash_file(IMAGE)
    demo.result(f"{wanted}  the image that the run should have made, SHA-256")
    made = account(FIRST).provenance
    if made is None:
        message = "The run's report doesn't say what it has made."
        raise LocalCloudError(message)
    began = time.monotonic()
    at_home = {home.name: home.folder}
    found = image_hashes(made, _client(clouds), bucket=clouds.outputs["ImageBucket"], **at_home)
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
