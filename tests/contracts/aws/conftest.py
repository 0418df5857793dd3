"""Each AWS-side port twice: by boto3 on the embedded AWS, and in memory, as the tests of the nouns have it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from failback.clouds.aws.belongings import AwsBelongings
from failback.clouds.aws.hosts import Ec2Hosts
from failback.clouds.aws.machine_images import Ec2MachineImages
from failback.clouds.aws.objects import S3Objects, S3Uploads
from failback.clouds.aws.run_log import DynamoRunLog
from failback.clouds.aws.server_book import DynamoServerBook
from failback.clouds.aws.snapshots import EbsSnapshots
from failback.model.ending import Belonging
from failback.naming import RUN_TAG, SERVER_TAG
from tests.clouds.aws.embedded import BUCKET, EmbeddedParts, embedded_parts
from tests.contracts.aws.estate import emulated, in_memory
from tests.memory.belongings import MemoryBelongings
from tests.memory.machine_images import MemoryMachineImages
from tests.memory.objects import MemoryObjects, MemoryUploads
from tests.memory.run_log import MemoryRunLog
from tests.memory.snapshots import MemorySnapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client

    from failback.model.run import Ami
    from failback.ports import Belongings, MachineImages, ObjectStore, RunLog, SnapshotStore, UploadStore
    from failback.recovery_ports import ServerBook
    from tests.contracts.aws.estate import Estate

KINDS = ("aws", "memory")
_buckets = itertools.count(1)


@dataclass(frozen=True)
class Bucket:
    """A bucket by both of its ports."""

    objects: ObjectStore
    uploads: UploadStore


@dataclass(frozen=True)
class Images:
    """AMIs, and the snapshots that they're made of."""

    images: MachineImages
    snapshots: SnapshotStore
    add: Callable[[Ami], str]


@dataclass(frozen=True)
class Logged:
    """The run log and the book of servers, of the same runs."""

    run_log: RunLog
    book: ServerBook


@dataclass(frozen=True)
class Made:
    """Belongings, and how a run comes to have something; `rule` makes one for a server of it, where that can be."""

    belongings: Belongings
    make: Callable[[str], list[Belonging]]
    rule: Callable[[str, str], Belonging] | None = None


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedParts]:
    with embedded_parts(tmp_path_factory.mktemp("aws")) as parts:
        yield parts


@pytest.fixture(params=KINDS)
def bucket(request: pytest.FixtureRequest) -> Bucket:
    if request.param == "memory":
        objects = MemoryObjects()
        return Bucket(objects, MemoryUploads(objects))
    parts: EmbeddedParts = request.getfixturevalue("parts")
    name = f"images-of-test-{next(_buckets)}"
    parts.objects.add_bucket(name)
    return Bucket(S3Objects(parts.s3, name), S3Uploads(parts.s3, name))


@pytest.fixture(params=KINDS)
def snapshots(request: pytest.FixtureRequest) -> SnapshotStore:
    if request.param == "memory":
        return MemorySnapshots()
    parts: EmbeddedParts = request.getfixturevalue("parts")
    return EbsSnapshots(parts.ebs, parts.ec2)


@pytest.fixture(params=KINDS)
def images(request: pytest.FixtureRequest) -> Images:
    if request.param == "memory":
        memory = MemorySnapshots()
        known = MemoryMachineImages(memory)

        def add(ami: Ami) -> str:
            known.add(ami)
            return ami.id

        return Images(known, memory, add)
    parts: EmbeddedParts = request.getfixturevalue("parts")

    def register(ami: Ami) -> str:
        made = parts.ec2.register_image(
            Name=ami.name,
            Architecture="x86_64",
            VirtualizationType="hvm",
            RootDeviceName="/dev/sda1",
            BlockDeviceMappings=[
                {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 7}},
                {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": ami.snapshot, "VolumeSize": ami.size_gib}},
            ],
        )
        return str(made["ImageId"])

    return Images(Ec2MachineImages(parts.ec2), EbsSnapshots(parts.ebs, parts.ec2), register)


@pytest.fixture(scope="module")
def moto() -> Iterator[None]:
    """moto's clouds behind boto3 of this process, for the tests of one module; their state machines run."""
    from moto import mock_aws

    with pytest.MonkeyPatch.context() as patch, mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "x")
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        yield


@pytest.fixture(params=KINDS, scope="module")
def estate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """One for all tests of a module: each has a failover of its own."""
    if request.param == "memory":
        yield in_memory()
        return
    request.getfixturevalue("moto")
    with emulated(tmp_path_factory.mktemp("drs")) as estate:
        yield estate


@pytest.fixture
def run_table(moto: None) -> Iterator[DynamoDBClient]:
    from tests.clouds.aws.tables import make_run_table

    client: DynamoDBClient = make_run_table("runs")
    yield client
    client.delete_table(TableName="runs")


@pytest.fixture(params=KINDS)
def logged(request: pytest.FixtureRequest) -> Logged:
    if request.param == "memory":
        log = MemoryRunLog()
        return Logged(log, log.servers)
    client: DynamoDBClient = request.getfixturevalue("run_table")
    return Logged(DynamoRunLog(client, "runs"), DynamoServerBook(client, "runs"))


@pytest.fixture
def run_log(logged: Logged) -> RunLog:
    return logged.run_log


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest) -> Made:
    if request.param == "memory":
        memory = MemoryBelongings()

        def note(run: str) -> list[Belonging]:
            things = [
                Belonging(cloud="aws", kind="ami", id=f"ami-{run}"),
                Belonging(cloud="aws", kind="object", id=run),
            ]
            for thing in things:
                memory.add(run, thing)
            return things

        def note_rule(run: str, server: str) -> Belonging:
            thing = Belonging(cloud="aws", kind="rule", id=f"sgr-{run}-{server}", name="sg-1")
            memory.add(run, thing, server=server)
            return thing

        return Made(memory, note, note_rule)
    parts: EmbeddedParts = request.getfixturevalue("parts")
    snapshots = EbsSnapshots(parts.ebs, parts.ec2)

    def make(run: str) -> list[Belonging]:
        return make_one_of_each(run, snapshots=snapshots, ec2=parts.ec2, s3=parts.s3, bucket=BUCKET)

    def admit(run: str, server: str) -> Belonging:
        group = parts.ec2.create_security_group(GroupName=f"{run}-{server}", Description="x")["GroupId"]
        tags = {RUN_TAG: run, SERVER_TAG: server}
        rule = Ec2Hosts(parts.ec2).admit(group, "192.0.2.1/32", tags=tags)
        return Belonging(cloud="aws", kind="rule", id=rule, name=group)

    return Made(AwsBelongings(parts.ec2, parts.s3, BUCKET), make, admit)


def make_one_of_each(
    run: str, *, snapshots: SnapshotStore, ec2: EC2Client, s3: S3Client, bucket: str
) -> list[Belonging]:
    """One of each kind, in the order in which they can go."""
    tags = {RUN_TAG: run}
    finished, pending = (snapshots.start(size_gib=1, token=f"{run}-{number}", tags=tags) for number in (1, 2))
    snapshots.complete(finished, blocks=0)
    ami = Ec2MachineImages(ec2).register(f"image-{run}", snapshot=finished, size_gib=1, tags=tags)
    objects, uploads = S3Objects(s3, bucket), S3Uploads(s3, bucket)
    upload = uploads.begin(f"images/{run}/client.vhd", tags=tags)
    keys = (f"iso/{run}.json", f"images/{run}/client.vhd", f"iso/{run}.iso")
    for key in (*keys, f"reports/{run}.json"):
        objects.write(key, b"{}", tags=tags)
    return [
        Belonging(cloud="aws", kind="ami", id=ami.id, name=ami.name),
        *(Belonging(cloud="aws", kind="snapshot", id=each) for each in sorted((finished, pending))),
        Belonging(cloud="aws", kind="upload", id=upload, name=f"images/{run}/client.vhd"),
        *(Belonging(cloud="aws", kind="object", id=key) for key in keys),
    ]
