"""Whole runs on the embedded clouds: the synthesised template deployed, real functions, scripted machines."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from failback.clouds.aws.run_log import DynamoRunLog
from localcloud.drs.scripted_client import scripted_client
from localcloud.drs.settings import DrsSettings
from localcloud.embedded.clouds import REGION, CloudSettings, run_clouds
from localcloud.embedded.deploy import deploy
from localcloud.embedded.guest_network import GuestNetwork
from localcloud.embedded.iso_bucket import HASH_KEY, ISO_KEY, iso_buckets, publish_iso
from localcloud.embedded.listing import listing
from localcloud.embedded.synthesis import GOOGLE_TARGET, TARGET, synthesise, write_deployment
from localcloud.faults import FaultPlan
from localcloud.guests.qemu_driver import QemuDriver
from localcloud.guests.scripted import GuestPlan, ScriptedDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from failback.model.record import RunHistory
    from failback.model.target import HomeName
    from localcloud.embedded.clouds import EmbeddedClouds
    from localcloud.embedded.deploy import Deployed
    from localcloud.faults import FaultRule
    from localcloud.guests.client import ClientTask
    from localcloud.guests.guest import GuestDriver

ROOT = Path(__file__).resolve().parents[3]
LONGEST = 240.0
"""Seconds that a run may take on a busy machine; they take ten."""
LONGEST_REAL = 900.0
"""The same with real machines: a hundred when there's nothing else to do."""
TARGETS: Mapping[HomeName, str] = {"azure": TARGET, "google": GOOGLE_TARGET}
Sdk = Any


class MovedClock:
    """The real time put forward, for DRS and by a file for the functions (FAILBACK_CLOCK_FILE)."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.set(0.0)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def set(self, ahead: float) -> None:
        """Seconds ahead of the real time."""
        self.ahead = ahead
        # Whoever reads meanwhile finds the old number or the new one.
        new = self.file.with_suffix(".new")
        new.write_text(str(ahead))
        new.replace(self.file)


@dataclass
class Place:
    """The clouds with the product deployed, and one who starts runs in them; `home` is where these runs go."""

    clouds: EmbeddedClouds
    deployed: Deployed
    driver: GuestDriver
    machines: list[GuestPlan]
    clock: MovedClock
    longest: float = LONGEST
    home: HomeName = "azure"
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def bucket(self) -> str:
        return self.deployed.outputs["ImageBucket"]

    @property
    def target(self) -> str:
        """The target that runs go to."""
        return TARGETS[self.home]

    def start(self, name: str, **request: object) -> str:
        """Start a run; gives its execution's ARN."""
        states = self.clouds.client("stepfunctions")
        given = json.dumps(request or {"goal": "prepare", "target": self.target})
        arn = self.deployed.outputs["StateMachineArn"]
        started: str = states.start_execution(stateMachineArn=arn, name=name, input=given)["executionArn"]
        return started

    def finish(self, execution: str) -> Sdk:
        """Wait for a run's end; gives what DescribeExecution says of it."""
        states, end = self.clouds.client("stepfunctions"), time.monotonic() + self.longest
        while (told := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < end, f"the run didn't end: {self.history(execution)}"
            time.sleep(0.05)
        return told

    def finish_watched(self, execution: str) -> Sdk:
        """Wait for a run's end, with schedules that are due with each look."""
        states, end = self.clouds.client("stepfunctions"), time.monotonic() + self.longest
        while (told := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < end, f"the run didn't end: {self.history(execution)}"
            self.wake()
            # Not as often as it can: watchers that do nothing but look take the functions' time.
            time.sleep(0.4)
        return told

    def wake(self, *, minutes: float = 1.0) -> None:
        """Let the schedules' clock go on, and no other."""
        self.moment += timedelta(minutes=minutes)
        self.clouds.aws.clock.tick(self.moment)

    def tick(self, *, minutes: float = 1.0) -> None:
        """Let time go on, for schedules, functions and DRS; returns when the watcher has looked."""
        before = self.watches()
        self.clock.set(self.clock.ahead + 60 * minutes)
        self.let_clients_report()
        self.wake(minutes=minutes)
        self.wait_until(lambda: self.watches() > before, "the watcher to look")

    def let_clients_report(self) -> None:
        """Have every client that replicates tell DRS that it's there: its own clock didn't go on."""
        linked = [
            each
            for each in self.clouds.drs.world.instances
            if each.link and each.link.certificate and each.link.attained and not each.link.outcome
        ]
        for each in linked:
            each.bell.set()
        soon = self.clock.now() - timedelta(minutes=1)
        self.wait_until(
            lambda: all(each.link is None or each.link.seen > soon for each in linked), "clients to be heard of"
        )

    def watch(self) -> Sdk:
        """Call the watcher; gives what its sweep came to."""
        told = self.clouds.client("lambda").invoke(FunctionName=self.function("watch"), Payload=b"{}")
        swept = json.loads(told["Payload"].read())
        assert "FunctionError" not in told, swept
        return swept

    def watches(self) -> int:
        """How often the watcher has looked so far."""
        return self.clouds.aws.runner.logs(self.function("watch")).count("REPORT RequestId")

    def wait_until(self, come: Callable[[], bool], what: str) -> None:
        """Wait until it has come true."""
        end = time.monotonic() + self.longest
        while not come():
            assert time.monotonic() < end, f"waited for {what}"
            time.sleep(0.01)

    def wait_for(self, execution: str, state: str) -> None:
        """Wait until the run enters that state of the machine."""
        states, end = self.clouds.client("stepfunctions"), time.monotonic() + self.longest
        while time.monotonic() < end:
            pages = states.get_paginator("get_execution_history").paginate(executionArn=execution)
            entered = {
                each.get("stateEnteredEventDetails", {}).get("name") for page in pages for each in page["events"]
            }
            if state in entered:
                return
            assert states.describe_execution(executionArn=execution)["status"] == "RUNNING", entered
            time.sleep(0.2)
        message = f"the run didn't get to {state}"
        raise AssertionError(message)

    def run(self, name: str, **request: object) -> Sdk:
        return self.finish(self.start(name, **request))

    def run_under(self, name: str, *rules: FaultRule, seed: int = 0) -> Sdk:
        """A whole run under these faults; none is left when it has ended."""
        with self.faults(*rules, seed=seed):
            return self.run(name)

    @contextmanager
    def faults(self, *rules: FaultRule, seed: int = 0) -> Iterator[None]:
        """These faults for the length of a `with` block."""
        self.clouds.faults.use(FaultPlan(rules=rules, seed=seed))
        try:
            yield
        finally:
            self.clouds.faults.use(FaultPlan())

    def history(self, execution: str) -> RunHistory | None:
        """What the run log has of it."""
        log = DynamoRunLog(self.clouds.client("dynamodb"), self.deployed.outputs["RunLogTable"])
        return log.read(execution.rsplit(":", 1)[1])

    def function(self, stage: str) -> str:
        """The name of a stage's function; of one that works at home, this home's."""
        ending = stage.replace("_", "-")
        return next(name for name in self.deployed.functions if name.removesuffix(f"-{self.home}").endswith(ending))

    def disk_file(self, name: str) -> Path:
        """What a machine's disk of that name holds at home."""
        disks = (disk for guest in self.driver.guests for disk in guest.spec.data_disks)
        return next(disk.path for disk in disks if disk.resource_id.rsplit("/", 1)[1] == name)

    def publish(self, iso: Path) -> str:
        """Have AWS publish another ISO; gives its SHA-512."""
        for name, key in zip(iso_buckets(REGION), (ISO_KEY, HASH_KEY), strict=True):
            bucket = self.clouds.object_store.find(name)
            assert bucket is not None
            bucket.delete(key)
        return publish_iso(self.clouds.objects, iso, region=REGION, scratch=self.clouds.azure_settings.folder)

    def fetch(self, key: str, target: Path) -> Path:
        """An object of the image bucket as a file."""
        with target.open("wb") as out:
            s3 = self.clouds.client("s3", s3={"addressing_style": "path"})
            for piece in s3.get_object(Bucket=self.bucket, Key=key)["Body"].iter_chunks(1 << 20):
                out.write(piece)
        return target

    def report(self, name: str) -> Sdk:
        s3 = self.clouds.client("s3", s3={"addressing_style": "path"})
        return json.loads(s3.get_object(Bucket=self.bucket, Key=f"reports/{name}.json")["Body"].read())

    def listing(self) -> Sdk:
        """Everything in the clouds but runs' own reports and the functions' packages."""
        found = listing(self.clouds)
        mine = found["objects"].get(self.bucket, {})
        found["objects"][self.bucket] = {key: what for key, what in mine.items() if not key.startswith("reports/")}
        return found


@contextmanager
def open_place(
    folder: Path,
    iso: Path,
    *,
    real: bool = False,
    scripted: type[ScriptedDriver] = ScriptedDriver,
    home: HomeName = "azure",
    **settings: Any,  # noqa: ANN401
) -> Iterator[Place]:
    """The clouds, deployed, with scripted machines or real ones; what's synthesised is kept under `build`.

    Functions that work at Google are part of the deployment only where that's the `home`.
    """
    machines: list[GuestPlan] = []
    client: list[Callable[[ClientTask], bool]] = []

    def plan(_spec: object) -> GuestPlan:
        return machines.pop(0) if machines else GuestPlan(client=client[0])

    folder.mkdir(parents=True, exist_ok=True)
    network, clock = GuestNetwork(), MovedClock(folder / "clock")
    timed: Sdk = {
        "variables": {"FAILBACK_CLOCK_FILE": str(clock.file), **settings.pop("variables", {})},
        "drs": DrsSettings(clock=clock.now),
    }
    around: Sdk = {"surroundings": network.surroundings, "signer": network.signer}
    place_of_machines = folder / "machines"
    machines_of: GuestDriver = (
        QemuDriver(place_of_machines, **around) if real else scripted(place_of_machines, plan=plan, **around)
    )
    with machines_of as driver:
        given = CloudSettings(
            folder / "clouds",
            iso,
            driver,
            network=network,
            google_driver=driver,
            **{"wait_scale": 0.02, **timed, **settings},
        )
        with run_clouds(given) as clouds:
            client.append(
                scripted_client(clouds.drs, door_url=clouds.drs_url, replication_port=clouds.replication_port)
            )
            at_home = clouds.azure_settings
            google, kind = home == "google", "test-google" if home == "google" else "test"
            file = write_deployment(
                ROOT / f"build/{kind}-deployment.json",
                subscription=at_home.subscription,
                tenant=at_home.tenant,
                google=google,
            )
            out = ROOT / f"build/{kind}-cdk.out"
            synthesise(file, out)
            longest = LONGEST_REAL if real else LONGEST
            place = Place(clouds, deploy(clouds, out), driver, machines, clock, longest, home)
            # A schedule counts from when it's first looked at.
            place.wake()
            yield place
