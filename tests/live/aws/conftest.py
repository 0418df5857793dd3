"""The fixtures of the contracts' bodies, at a real account: the same names, nothing in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from failback.clouds.aws.belongings import AwsBelongings
from failback.clouds.aws.objects import S3Objects, S3Uploads
from tests.contracts.aws.conftest import Bucket, Images, Made, make_one_of_each
from tests.live.aws.account import Account, LiveBelongings, LiveImages, LiveSnapshots
from tests.live.giving_back import give_back
from tests.live.variables import AWS_BUCKET, AWS_REGION, needed, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.clouds.aws.snapshots import EbsSnapshots
    from failback.model.ending import Belonging
    from failback.model.run import Ami

# The contract's own names of runs.
RUNS = ("run-a", "run-b")


@pytest.fixture
def account(run: str) -> Iterator[Account]:
    """The account; snapshots and AMIs of this run are removed when the test has ended."""
    region = needed(AWS_REGION, "the Region for snapshots of 1 GiB and AMIs of them")
    account = Account.of(region, run)
    try:
        yield account
    finally:
        _remove_images(account)


def _remove_images(account: Account) -> None:
    """By tag, as all else; no bucket is needed for that."""
    filters = [{"Name": "tag:drs-failback:run", "Values": [account.run]}]

    def gone() -> bool:
        for image in account.ec2.describe_images(Owners=["self"], Filters=filters)["Images"]:
            account.ec2.deregister_image(ImageId=image["ImageId"])
        return not _snapshots_left(account, filters)

    wait_until(gone, f"the snapshots of run {account.run} are removed")


def _snapshots_left(account: Account, filters: Any) -> bool:  # noqa: ANN401 - boto3's own
    found = account.ec2.describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
    for each in found:
        try:
            account.ec2.delete_snapshot(SnapshotId=each["SnapshotId"])
        except account.ec2.exceptions.ClientError as error:
            # For a moment it still counts as the AMI's.
            if error.response["Error"]["Code"] not in {"InvalidSnapshot.InUse", "InvalidSnapshot.NotFound"}:
                raise
    return bool(found)


@pytest.fixture
def bucket_name(account: Account) -> Iterator[str]:
    """The bucket given: it has to be empty, and is emptied when the test has ended."""
    name = needed(AWS_BUCKET, "an empty bucket that the checks may write to")
    listed = account.s3.list_objects_v2(Bucket=name, MaxKeys=1)
    if listed["KeyCount"]:
        pytest.fail(f"the bucket {name} isn't empty: it's emptied after each check, so give one of its own")
    try:
        yield name
    finally:
        for page in account.s3.get_paginator("list_objects_v2").paginate(Bucket=name):
            for each in page.get("Contents", ()):
                account.s3.delete_object(Bucket=name, Key=each["Key"])
        for each in account.s3.list_multipart_uploads(Bucket=name).get("Uploads", ()):
            account.s3.abort_multipart_upload(Bucket=name, Key=each["Key"], UploadId=each["UploadId"])


@pytest.fixture
def bucket(account: Account, bucket_name: str) -> Bucket:
    return Bucket(S3Objects(account.s3, bucket_name), S3Uploads(account.s3, bucket_name))


@pytest.fixture
def snapshots(account: Account) -> EbsSnapshots:
    return LiveSnapshots(account)


@pytest.fixture
def images(account: Account) -> Images:
    def register(ami: Ami) -> str:
        disks = [
            {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 7}},
            {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": ami.snapshot, "VolumeSize": ami.size_gib}},
        ]
        labels = [{"Key": key, "Value": value} for key, value in account.tags.items()]
        made = account.ec2.register_image(
            Name=ami.name,
            Architecture="x86_64",
            VirtualizationType="hvm",
            RootDeviceName="/dev/sda1",
            BlockDeviceMappings=disks,
            TagSpecifications=[{"ResourceType": "image", "Tags": labels}],
        )
        return str(made["ImageId"])

    return Images(LiveImages(account), LiveSnapshots(account), register)


@pytest.fixture
def made(account: Account, bucket_name: str) -> Iterator[Made]:
    belongings = LiveBelongings(account.ec2, account.s3, bucket_name)
    for run in RUNS:
        if belongings.made_by(run):
            pytest.fail(f"there is something of a run called {run} in the account already: remove it first")

    def make(run: str) -> list[Belonging]:
        snapshots = LiveSnapshots(account)
        return make_one_of_each(run, snapshots=snapshots, ec2=account.ec2, s3=account.s3, bucket=bucket_name)

    try:
        yield Made(belongings, make)
    finally:
        for run in RUNS:
            give_back(AwsBelongings(account.ec2, account.s3, bucket_name), run)
