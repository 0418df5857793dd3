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
from localcloud.embedded.clouds import REGION, CloudSettings, run_clouds
from localcloud.embedded.deploy import deploy
from localcloud.embedded.guest_network import GuestNetwork
from localcloud.embedded.iso_bucket import HASH_KEY, ISO_KEY, iso_buckets, publish_iso
from localcloud.embedded.listing import listing
from localcloud.embedded.synthesis import TARGET, synthesise, write_deployment
from localcloud.faults import FaultPlan
from localcloud.guests.scripted import GuestPlan, ScriptedDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from failback.model.record import RunHistory
    from localcloud.embedded.clouds import EmbeddedClouds
    from localcloud.embedded.deploy import Deployed
    from localcloud.faults import FaultRule
    from localcloud.guests.client import ClientTask

ROOT = Path(__file__).resolve().parents[3]
LONGEST = 240.0
"""Seconds that a run may take on a busy machine; they take ten."""
Sdk = Any


@dataclass
class Place:
    """Two clouds with the product deployed, and one who starts runs in them."""

    clouds: EmbeddedClouds
    deployed: Deployed
    machines: list[GuestPlan]
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def bucket(self) -> str:
        return self.deployed.outputs["ImageBucket"]

    def start(self, name: str, **request: object) -> str:
        """Start a run; gives its execution's ARN."""
        states = self.clouds.client("stepfunctions")
        given = json.dumps(request or {"goal": "prepare", "target": TARGET})
        arn = self.deployed.outputs["StateMachineArn"]
        started: str = states.start_execution(stateMachineArn=arn, name=name, input=given)["executionArn"]
        return started

    def finish(self, execution: str) -> Sdk:
        """Wait for a run's end; gives what DescribeExecution says of it."""
        states, end = self.clouds.client("stepfunctions"), time.monotonic() + LONGEST
        while (told := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < end, f"the run didn't end: {self.history(execution)}"
            time.sleep(0.05)
        return told

    def finish_watched(self, execution: str) -> Sdk:
        """Wait for a run's end, with a clock that goes a minute ahead with each look."""
        states, end = self.clouds.client("stepfunctions"), time.monotonic() + LONGEST
        while (told := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < end, f"the run didn't end: {self.history(execution)}"
            self.tick()
            time.sleep(0.1)
        return told

    def tick(self, *, minutes: float = 1.0) -> None:
        """Let the schedules' clock go on."""
        self.moment += timedelta(minutes=minutes)
        self.clouds.aws.clock.tick(self.moment)

    def wait_for(self, execution: str, state: str) -> None:
        """Wait until the run enters that state of the machine."""
        states, end = self.clouds.client("stepfunctions"), time.monotonic() + LONGEST
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
        self.clouds.faults.use(FaultPlan(rules=rules, seed=seed))
        try:
            return self.run(name)
        finally:
            self.clouds.faults.use(FaultPlan())

    def history(self, execution: str) -> RunHistory | None:
        """What the run log has of it."""
        log = DynamoRunLog(self.clouds.client("dynamodb"), self.deployed.outputs["RunLogTable"])
        return log.read(execution.rsplit(":", 1)[1])

    def function(self, stage: str) -> str:
        """The name of a stage's function."""
        ending = stage.replace("_", "-")
        return next(name for name in self.deployed.functions if name.removesuffix("-azure").endswith(ending))

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
        """Everything in both clouds but runs' own reports and the functions' packages."""
        found = listing(self.clouds)
        mine = found["objects"].get(self.bucket, {})
        found["objects"][self.bucket] = {key: what for key, what in mine.items() if not key.startswith("reports/")}
        return found


@contextmanager
def open_place(folder: Path, iso: Path, **settings: Any) -> Iterator[Place]:  # noqa: ANN401
    """The clouds, deployed; what's staged and synthesised is kept between tests under `build`."""
    machines: list[GuestPlan] = []
    client: list[Callable[[ClientTask], bool]] = []

    def plan(_spec: object) -> GuestPlan:
        return machines.pop(0) if machines else GuestPlan(client=client[0])

    network = GuestNetwork()
    around: Sdk = {"surroundings": network.surroundings, "signer": network.signer}
    with ScriptedDriver(folder / "machines", plan=plan, **around) as driver:
        given = CloudSettings(folder / "clouds", iso, driver, network=network, **{"wait_scale": 0.02, **settings})
        with run_clouds(given) as clouds:
            client.append(
                scripted_client(clouds.drs, door_url=clouds.drs_url, replication_port=clouds.replication_port)
            )
            at_home = clouds.azure_settings
            file = write_deployment(
                ROOT / "build/test-deployment.json", subscription=at_home.subscription, tenant=at_home.tenant
            )
            out = ROOT / "build/test-cdk.out"
            synthesise(file, out)
            yield Place(clouds, deploy(clouds, out), machines)
