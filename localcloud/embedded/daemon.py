"""The process that the embedded clouds live in: `python -m localcloud.embedded.daemon --folder .local`.

Every start begins with empty clouds: what moto holds lives in this process's memory, and objects, snapshots and disks
that nobody knows of any more would contradict it. The stand-in ISO, the functions' packages and the synthesised
template are kept. Ends by SIGTERM or SIGINT, and takes with it whatever it has started.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from failback.errors import FailbackError, LocalCloudError
from failback.model.target import HomeName
from localcloud.embedded.clouds import CloudSettings, run_clouds
from localcloud.embedded.control import PROGRESS, ROOT, StartOptions
from localcloud.embedded.control_door import ControlDoor
from localcloud.embedded.deploy import deploy
from localcloud.embedded.guest_network import GuestNetwork
from localcloud.embedded.servers import MOST_SERVERS, Workload, add_servers
from localcloud.embedded.state_file import LOCK_FILE, STATE_FILE, TARGETS, EmbeddedState, start_of, write_holder
from localcloud.embedded.synthesis import synthesise, write_deployment
from localcloud.faults import FaultPlan
from localcloud.guests.qemu_driver import QemuDriver
from localcloud.guests.scripted import ScriptedDriver
from localcloud.serving import serve_application
from localcloud.standin.build import build_standin
from localcloud.workload.system import build_system

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.embedded.clouds import EmbeddedClouds
    from localcloud.embedded.deploy import Deployed
    from localcloud.embedded.state_file import FailedOver
    from localcloud.guests.guest import GuestDriver

TICK_SECONDS = 1.0
"""How often schedules are looked at: theirs is the minute, or as much of one as `--schedule-scale` says."""
LEAST_SCALE = TICK_SECONDS / 60
"""By which a schedule of each minute fires with each look."""
STANDIN = ROOT / "build" / "standin"


def main(arguments: list[str]) -> int:
    """Run until told to end; returns the process's exit code."""
    folder, options = _parse(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        with _alone(folder):
            _live(folder, options)
    except FailbackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parse(arguments: list[str]) -> tuple[Path, StartOptions]:
    parser = argparse.ArgumentParser(prog="python -m localcloud.embedded.daemon", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    for name in ("--iso", "--assembly", "--faults"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--standin", choices=("small", "real"), default="small")
    parser.add_argument("--machines", choices=("qemu", "scripted"), default="qemu")
    parser.add_argument("--wait-scale", type=float, default=StartOptions().wait_scale)
    parser.add_argument("--schedule-scale", type=float, default=StartOptions().schedule_scale)
    parser.add_argument("--port", type=int, default=0)
    numbers = range(MOST_SERVERS + 1)
    parser.add_argument("--servers", type=int, choices=numbers, metavar="N", default=StartOptions().servers)
    parser.add_argument("--home", dest="homes", action="append", choices=get_args(HomeName))
    given = vars(parser.parse_args(arguments))
    homes = tuple(given.pop("homes") or StartOptions().homes)
    return given.pop("folder"), StartOptions(homes=homes, **given)


def _end(_number: int, _frame: object) -> None:
    """Leave by the way of every `with` block; asked again, it doesn't begin anew."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The only one in this folder, for the length of a `with` block."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("a", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"Embedded clouds run or start from {folder} already. Wait for them, or end them first."
            raise LocalCloudError(message) from error
        write_holder(lock)
        yield


def _live(folder: Path, options: StartOptions) -> None:
    data = folder / "clouds"
    shutil.rmtree(data, ignore_errors=True)
    iso = options.iso or build_standin(STANDIN, size=options.standin, progress=_say)
    plan = FaultPlan.read(options.faults) if options.faults else None
    real = options.machines == "qemu"
    if real and options.servers:
        build_system(progress=_say)
    _say("starting the clouds")
    network = GuestNetwork()
    with _driver(folder / "clouds" / "machines", options, network) as driver:
        settings = CloudSettings(
            data, iso, driver, plan, options.wait_scale, options.port, network=network, google_driver=driver
        )
        try:
            with run_clouds(settings) as clouds, serve_application(ControlDoor(clouds.drs)) as control:
                deployed = _deploy(clouds, folder, options)
                servers = add_servers(clouds.drs, options.servers, scratch=data, real=real)
                state = _state(clouds, deployed, iso, options, servers)
                _say("ready")
                state.model_copy(update={"control_url": control}).write(folder)
                _keep(clouds, options.schedule_scale)
        finally:
            (folder / STATE_FILE).unlink(missing_ok=True)


def _driver(folder: Path, options: StartOptions, network: GuestNetwork) -> GuestDriver:
    around: Any = {"surroundings": network.surroundings, "signer": network.signer}
    return QemuDriver(folder, **around) if options.machines == "qemu" else ScriptedDriver(folder, **around)


def _deploy(clouds: EmbeddedClouds, folder: Path, options: StartOptions) -> Deployed:
    assembly = options.assembly
    if assembly is None:
        assembly = folder / "cdk.out"
        at_home = clouds.azure_settings
        homes = {home: home in options.homes for home in get_args(HomeName)}
        file = write_deployment(
            folder / "deployment.json", subscription=at_home.subscription, tenant=at_home.tenant, **homes
        )
        _say("synthesising the template (packages are fetched the first time)")
        synthesise(file, assembly)
    _say("deploying")
    return deploy(clouds, assembly)


def _state(
    clouds: EmbeddedClouds, deployed: Deployed, iso: Path, options: StartOptions, servers: tuple[FailedOver, ...]
) -> EmbeddedState:
    return EmbeddedState(
        pid=os.getpid(),
        pid_started=cast("int", start_of(os.getpid())),
        started=datetime.now(UTC),
        region=clouds.region,
        aws_url=clouds.aws.url,
        azure_url=clouds.azure_at.base_url,
        blob_url=clouds.azure_at.blob_url,
        ca_file=clouds.azure_at.ca_file,
        google_url=clouds.google.endpoints["google_compute"],
        google_storage_url=clouds.google.endpoints["google_storage"],
        iso=iso.resolve(),
        iso_is_standin=options.iso is None,
        stack=deployed.stack,
        outputs=dict(deployed.outputs),
        targets={TARGETS[home]: home for home in options.homes},
        servers=servers,
    )


def _keep(clouds: EmbeddedClouds, scale: float) -> None:
    """Fire schedules, and let servers go on with their work, until a signal ends it."""
    began, workload = datetime.now(UTC), Workload(clouds.drs)
    while True:
        clouds.aws.clock.tick(schedule_time(datetime.now(UTC), began=began, scale=scale))
        workload.go_on(time.monotonic())
        time.sleep(TICK_SECONDS)


def schedule_time(now: datetime, *, began: datetime, scale: float) -> datetime:
    """The time by which schedules go: a second of theirs lasts `scale` seconds, so that a run needn't wait for them."""
    return began + (now - began) / max(scale, LEAST_SCALE)


def _say(step: str) -> None:
    print(f"{PROGRESS}{step}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
