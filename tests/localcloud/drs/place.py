"""What the tests of DRS share: running clouds, checked answers, home machines with a client."""

from __future__ import annotations

import json
import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from failback.model.agent import AgentSettings
from localcloud.azure.driver import MachineDisk, MachineNic, MachineSpec
from localcloud.drs.events import DETAIL_TYPE
from localcloud.drs.records import NewInstance, RecoveryInstance
from localcloud.drs.scripted_client import scripted_client
from localcloud.drs.settings import DrsSettings
from localcloud.embedded.clouds import CloudSettings, EmbeddedClouds, run_clouds
from localcloud.guests.client import ClientFailed, ClientTask, Credentials
from tests.localcloud.azure.clients import RecordingDriver
from tests.localcloud.drs.answer_shapes import check_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from localcloud.drs.plans import ClientPlan

Sdk = Any
KIB, MIB = 1 << 10, 1 << 20
HOME_ADDRESS = "10.20.0.5"
LONGEST_WAIT = 20.0
ROLE = "arn:aws:iam::123456789012:role/failback-client"


class Clock:
    """The machine's clock, put forward by hand."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Place:
    """Running clouds, and a DRS client whose every answer is checked against the model."""

    clouds: EmbeddedClouds
    folder: Path
    clock: Clock
    drs: Sdk = field(init=False)
    _numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.drs = self.clouds.client("drs", parameter_validation=False)
        self.drs.meta.events.register("before-parse.drs.*", check_answer)
        self.ec2 = self.clouds.client("ec2")

    def add(self, *sizes: int, plan: ClientPlan | None = None, **fields: Sdk) -> RecoveryInstance:
        """A recovery instance with volumes of those bytes, noise at the start of each; private replication."""
        source = self.folder / f"source-{next(self._numbers)}"
        source.mkdir()
        names = ("/dev/xvda", "/dev/nvme1n1", "/dev/nvme2n1")
        volumes = {name: noisy(source / name[5:], size) for name, size in zip(names, sizes or (MIB,), strict=False)}
        added = self.clouds.drs.world.add_recovery_instance(NewInstance(volumes=volumes, **fields))
        self.drs.update_failback_replication_configuration(recoveryInstanceID=added.id, usePrivateIP=True)
        if plan:
            self.clouds.drs.plan(added.id, plan)
        return added

    def open_port(self, instance: RecoveryInstance, cidr: str = "10.20.0.0/24") -> None:
        """Let home reach port 1500."""
        rule = {"IpProtocol": "tcp", "FromPort": 1500, "ToPort": 1500, "IpRanges": [{"CidrIp": cidr}]}
        self.ec2.authorize_security_group_ingress(GroupId=instance.security_group, IpPermissions=[rule])

    def described(self, instance: RecoveryInstance) -> Sdk:
        """The recovery instance as DRS tells it."""
        filters = {"recoveryInstanceIDs": [instance.id]}
        return self.drs.describe_recovery_instances(filters=filters)["items"][0]

    def state(self, instance: RecoveryInstance) -> tuple[str, str]:
        """Failback's and replication's."""
        told = self.described(instance)
        return told["failback"]["state"], told["dataReplicationInfo"]["dataReplicationState"]

    def await_state(self, instance: RecoveryInstance, *wanted: str) -> None:
        """Until it's in that state of failback and of replication."""
        await_(lambda: self.state(instance) == wanted, lambda: f"{self.state(instance)}, not {wanted}")

    def listen_to_events(self) -> None:
        """Let a rule bring DRS's events into a queue."""
        events = self.clouds.client("events")
        pattern = {"source": ["aws.drs"], "detail-type": [DETAIL_TYPE]}
        events.put_rule(Name="failbacks", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="failbacks", Targets=[{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:123456789012:told"}])
        self.clouds.client("sqs").create_queue(QueueName="told")

    def events(self) -> list[tuple[str, str]]:
        """State and resource of the events so far; they're taken away."""
        sqs, found = self.clouds.client("sqs"), []
        queue = sqs.get_queue_url(QueueName="told")["QueueUrl"]
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", ()):
            for message in messages:
                event = json.loads(message["Body"])
                assert set(event["detail"]) == {"state"}
                found.append((event["detail"]["state"], event["resources"][0]))
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    def keys(self) -> Credentials:
        """A session's, from this AWS's STS."""
        given = self.clouds.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="home")["Credentials"]
        return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    def machine(self, instance: RecoveryInstance, **changes: Sdk) -> Machine:
        """A machine at home with empty disks of the volumes' sizes; it isn't on yet."""
        folder = self.folder / f"home-{next(self._numbers)}"
        folder.mkdir()
        return Machine(self, instance, folder, changes)


@dataclass
class Machine:
    """Runs the client in a thread; `changes` are of ClientTask's fields."""

    place: Place
    instance: RecoveryInstance
    folder: Path
    changes: dict[str, Any]
    said: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    launched: bool | None = None
    failure: str = ""
    excluded: tuple[str, ...] = ()
    pause: float = 2.0

    def __post_init__(self) -> None:
        self.files = {}
        for number, (device, volume) in enumerate(self.instance.volumes.items()):
            self.files[device] = self.folder / f"{number}.raw"
            with self.files[device].open("xb") as file:
                file.truncate(volume.size)

    def start(self) -> Machine:
        """Switch on."""
        clouds = self.place.clouds
        client = scripted_client(
            clouds.drs, door_url=clouds.drs_url, replication_port=clouds.replication_port, pause=self.pause
        )
        task = self.task()
        self._thread = threading.Thread(target=self._run, args=(client, task), daemon=True)
        self._thread.start()
        return self

    def end(self) -> Machine:
        """Wait for its end."""
        self._thread.join(LONGEST_WAIT)
        assert not self._thread.is_alive(), f"the client doesn't end: {self.said}"
        return self

    def stop(self) -> Machine:
        """Switch off."""
        self.stopping.set()
        return self.end()

    def bytes_fit(self) -> None:
        """Every file has its volume's bytes."""
        for device, volume in self.instance.volumes.items():
            if device not in self.excluded:
                assert self.files[device].read_bytes() == volume.path.read_bytes(), device

    def task(self) -> ClientTask:
        """What the agent hands over."""
        used = {device: path for device, path in self.files.items() if device not in self.excluded}
        names = {device: f"/dev/sd{chr(ord('b') + number)}" for number, device in enumerate(used)}
        mapping = [
            {"recovery_device": device, **({"exclude": True} if device in self.excluded else {"lun": number})}
            for number, device in enumerate(self.files)
        ]
        settings = AgentSettings.parse(
            {"run": "run-1", "server": "s-1", "region": "us-east-1", "recovery_instance": self.instance.id}
            | {"credentials": "keys", "mapping": mapping}
        )
        return ClientTask(
            settings=settings,
            credentials=self.changes.get("credentials") or self.place.keys(),
            files=used,
            devices=names,
            spec=home_machine(self.folder, self.changes.get("address", HOME_ADDRESS)),
            stopping=self.stopping,
            say=self.said.append,
        )

    def _run(self, client: Callable[[ClientTask], bool], task: ClientTask) -> None:
        try:
            self.launched = client(task)
        except ClientFailed as failure:
            self.failure = str(failure)


def home_machine(folder: Path, address: str) -> MachineSpec:
    """A small machine with one interface."""
    return MachineSpec(
        resource_id="/vm", vm_id="0b4a7a31-0000-4000-8000-5d1b7f3c9e10", name="vm", location="westeurope", size="s",
        cores=1, memory_mib=8192, firmware="bios", controller="SCSI", os_type="Linux",
        os_disk=MachineDisk("/os", folder / "os.raw", MIB), data_disks=(),
        nics=(MachineNic("/nic", "00:0d:3a:00:00:01", address),), identities=(), user_data=None, tags={},
    )  # fmt: skip


def noisy(path: Path, size: int) -> Path:
    """A file with noise in its first quarter and in its last bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(random.Random(size).randbytes(size // 4))
        file.truncate(size)
        file.seek(size - 512)
        file.write(b"\x5a" * 512)
    return path


def check_answer(operation_model: Sdk, response_dict: Sdk, **_: object) -> None:
    """Every member of a good answer is the model's."""
    if response_dict["status_code"] < 300 and operation_model.output_shape is not None:
        check_shape(operation_model.name, json.loads(response_dict["body"]), operation_model.output_shape)


def await_(ready: Callable[[], bool], what: Callable[[], object]) -> None:
    """Until it's so."""
    end = time.monotonic() + LONGEST_WAIT
    while not ready():
        assert time.monotonic() < end, what()
        time.sleep(0.01)


@contextmanager
def running(folder: Path, **settings: Sdk) -> Iterator[Place]:
    """Clouds whose DRS has those settings."""
    iso, clock = folder / "client.iso", Clock()
    iso.write_bytes(b"an ISO\n")
    drs = DrsSettings(clock=clock, **settings)
    with run_clouds(CloudSettings(folder / "clouds", iso, RecordingDriver(), wait_scale=0.01, drs=drs)) as clouds:
        place = Place(clouds, folder, clock)
        account = {"AWS": f"arn:aws:iam::{ROLE.split(':')[4]}:root"}
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": account}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        clouds.client("iam").create_role(RoleName=ROLE.rpartition("/")[2], AssumeRolePolicyDocument=trust)
        yield place
