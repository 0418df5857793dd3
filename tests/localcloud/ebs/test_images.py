"""Images, snapshots and tags by boto3's EC2 client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from localcloud.ebs.images import ImageService
from localcloud.ebs.store import register_disk

if TYPE_CHECKING:
    from pathlib import Path

# Clients of boto3 are made from models at run time, they've no types of their own.
Dynamic = Any


@pytest.fixture
def snapshot(cloud: Dynamic, tmp_path: Path) -> str:
    disk = tmp_path / "disk"
    disk.write_bytes(b"data" * 1000)
    return register_disk(cloud.store, disk)


def register(
    ec2: Dynamic, snapshot: str, name: str = "client image", ebs: dict[str, Any] | None = None, **more: Dynamic
) -> str:
    mapping = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot, **(ebs or {})}}
    call = {"Name": name, "RootDeviceName": "/dev/xvda", "BlockDeviceMappings": [mapping], **more}
    image: str = ec2.register_image(**call)["ImageId"]
    return image


def code(call: Dynamic, *arguments: Dynamic, **named: Dynamic) -> str:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **named)
    found: str = caught.value.response["Error"]["Code"]
    return found


def test_an_image_is_kept_as_it_was_registered(cloud: Dynamic, ec2: Dynamic, snapshot: str) -> None:
    image = register(
        ec2,
        snapshot,
        ebs={"VolumeSize": 5, "VolumeType": "gp3", "DeleteOnTermination": False},
        Architecture="x86_64",
        VirtualizationType="hvm",
        EnaSupport=True,
        ImdsSupport="v2.0",
        BootMode="legacy-bios",
        Description="boots both ways",
        TagSpecifications=[{"ResourceType": "image", "Tags": [{"Key": "drs-failback:run", "Value": "r1"}]}],
    )
    expected = {
        "Name": "client image",
        "State": "available",
        "OwnerId": "123456789012",
        "RootDeviceName": "/dev/xvda",
        "RootDeviceType": "ebs",
        "Architecture": "x86_64",
        "VirtualizationType": "hvm",
        "EnaSupport": True,
        "ImdsSupport": "v2.0",
        "BootMode": "legacy-bios",
        "Description": "boots both ways",
        "Tags": [{"Key": "drs-failback:run", "Value": "r1"}],
    }
    found = ec2.describe_images(ImageIds=[image])["Images"][0]
    assert {name: found[name] for name in expected} == expected
    ebs = {"SnapshotId": snapshot, "VolumeSize": 5, "VolumeType": "gp3", "DeleteOnTermination": False}
    assert found["BlockDeviceMappings"] == [{"DeviceName": "/dev/xvda", "Ebs": {**ebs, "Encrypted": False}}]
    ec2.get_waiter("image_available").wait(ImageIds=[image])
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot])
    # Another service over the same folder knows it too.
    assert ImageService(cloud.store).images == cloud.images.images


def test_images_are_found_by_filters_and_in_pages(cloud: Dynamic, ec2: Dynamic, snapshot: str) -> None:
    images = sorted(register(ec2, snapshot, f"image {number}") for number in range(7))
    ec2.create_tags(Resources=[images[2], snapshot], Tags=[{"Key": "k", "Value": "v*w"}])

    def found(**call: Dynamic) -> list[str]:
        return [each["ImageId"] for each in ec2.describe_images(**call)["Images"]]

    def by(name: str, *values: str) -> list[str]:
        return found(Filters=[{"Name": name, "Values": list(values)}])

    assert found(Owners=["self"]) == images
    assert found(Owners=["amazon"]) == []
    assert by("tag:k", r"v\*w") == by("tag-key", "?") == [images[2]]
    assert (
        by("block-device-mapping.snapshot-id", snapshot) == by("name", "image *") == by("state", "available") == images
    )
    assert len(by("name", "image 1", "image 2")) == 2
    pages = ec2.get_paginator("describe_images").paginate(Owners=["self"], PaginationConfig={"PageSize": 5})
    assert [len(page["Images"]) for page in pages] == [5, 2]
    assert code(by, "colour", "red") == "InvalidParameterValue"
    assert code(found, NextToken="%") == "InvalidParameterValue"
    assert code(found, ImageIds=images, MaxResults=5) == "InvalidParameterCombination"
    assert cloud.client("ec2", "AKIAOTHER").describe_images()["Images"] == []


def test_a_snapshot_in_use_stays(ec2: Dynamic, snapshot: str) -> None:
    image = register(ec2, snapshot)
    assert code(ec2.delete_snapshot, SnapshotId=snapshot) == "InvalidSnapshot.InUse"
    assert ec2.deregister_image(ImageId=image)["Return"] is True
    assert code(ec2.describe_images, ImageIds=[image]) == "InvalidAMIID.NotFound"
    ec2.delete_snapshot(SnapshotId=snapshot)
    assert code(ec2.describe_snapshots, SnapshotIds=[snapshot]) == "InvalidSnapshot.NotFound"
    assert code(ec2.delete_snapshot, SnapshotId=snapshot) == "InvalidSnapshot.NotFound"
    assert code(ec2.delete_snapshot, SnapshotId="disk") == "InvalidSnapshotID.Malformed"


def test_an_image_can_take_its_snapshot_along(ec2: Dynamic, snapshot: str) -> None:
    image = register(ec2, snapshot)
    answer = ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    assert answer["DeleteSnapshotResults"] == [{"SnapshotId": snapshot, "ReturnCode": "success"}]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "x"}, "InvalidAMIName.Malformed"),
        ({"name": "taken"}, "InvalidAMIName.Duplicate"),
        ({"snapshot": "snap-0123456789abcdef0"}, "InvalidSnapshot.NotFound"),
        ({"ebs": {"VolumeSize": 0}}, "InvalidBlockDeviceMapping"),
        ({"ebs": {"Encrypted": True}}, "InvalidParameterCombination"),
        ({"ebs": {"KmsKeyId": "k"}}, "UnsupportedOperation"),
        ({"ebs": {"VolumeType": "gp9"}}, "InvalidParameterValue"),
        ({"RootDeviceName": "/dev/sda1"}, "InvalidBlockDeviceMapping"),
        ({"BlockDeviceMappings": []}, "InvalidBlockDeviceMapping"),
        ({"ImageLocation": "bucket/manifest.xml"}, "UnsupportedOperation"),
        ({"BootMode": "coreboot"}, "InvalidParameterValue"),
        ({"VirtualizationType": "pv"}, "InvalidParameterValue"),
        ({"DryRun": True}, "DryRunOperation"),
        ({"TagSpecifications": [{"ResourceType": "instance", "Tags": []}]}, "InvalidParameterValue"),
    ],
)
def test_a_registration_that_is_refused(ec2: Dynamic, snapshot: str, changes: dict[str, Any], expected: str) -> None:
    register(ec2, snapshot, "taken")
    assert code(register, ec2, **{"snapshot": snapshot, **changes}) == expected


def test_snapshots_that_no_image_is_made_of(cloud: Dynamic, ebs: Dynamic, ec2: Dynamic) -> None:
    pending = ebs.start_snapshot(VolumeSize=2)["SnapshotId"]
    assert code(register, ec2, pending) == "IncorrectState"
    ebs.complete_snapshot(SnapshotId=pending, ChangedBlocksCount=0)
    assert code(register, ec2, pending, ebs={"VolumeSize": 1}) == "InvalidBlockDeviceMapping"
    register(ec2, pending)


def test_snapshots_are_described(ebs: Dynamic, ec2: Dynamic) -> None:
    tags = [{"Key": "a", "Value": "1"}]
    ids = [ebs.start_snapshot(VolumeSize=1, Description=f"s{n}", Tags=tags)["SnapshotId"] for n in range(6)]
    ebs.complete_snapshot(SnapshotId=ids[0], ChangedBlocksCount=0)
    first = ec2.describe_snapshots(SnapshotIds=ids[:1])["Snapshots"][0]
    assert (first["State"], first["Progress"], first["VolumeSize"], first["Tags"]) == ("completed", "100%", 1, tags)
    assert (first["Description"], first["OwnerId"], first["Encrypted"]) == ("s0", "123456789012", False)
    pending = [{"Name": "status", "Values": ["pending"]}]
    assert len(ec2.describe_snapshots(OwnerIds=["self"], Filters=pending)["Snapshots"]) == 5
    pages = ec2.get_paginator("describe_snapshots").paginate(PaginationConfig={"PageSize": 5})
    assert [len(page["Snapshots"]) for page in pages] == [5, 1]
    assert code(ec2.describe_snapshots, MaxResults=4) == "InvalidParameterValue"


def test_tags_come_and_go(ec2: Dynamic, snapshot: str) -> None:
    image = register(ec2, snapshot)
    ec2.create_tags(Resources=[image, snapshot], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "<&>"}])

    def tags(resource: str) -> dict[str, str]:
        found = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [resource]}])["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found}

    assert tags(image) == tags(snapshot) == {"a": "1", "b": "<&>"}
    ec2.delete_tags(Resources=[image], Tags=[{"Key": "a", "Value": "2"}, {"Key": "b"}])
    assert tags(image) == {"a": "1"}
    ec2.delete_tags(Resources=[snapshot])
    assert tags(snapshot) == {}
    many = [{"Key": str(number), "Value": ""} for number in range(50)]
    assert code(ec2.create_tags, Resources=[image], Tags=many) == "TagLimitExceeded"
    assert code(ec2.create_tags, Resources=[image], Tags=[{"Key": "aws:a", "Value": ""}]) == "InvalidParameterValue"
    assert code(ec2.create_tags, Resources=["ami-01234567"], Tags=many[:1]) == "InvalidAMIID.NotFound"


def test_what_is_not_ours(cloud: Dynamic, ec2: Dynamic) -> None:
    handles = cloud.images.handles
    assert handles("RegisterImage", {})
    assert not handles("RunInstances", {})
    assert handles("CreateTags", {"ResourceId.1": "snap-1"})
    assert not handles("CreateTags", {"ResourceId.1": "i-1"})
    assert handles("DescribeTags", {"Filter.1.Name": "resource-type", "Filter.1.Value.1": "image"})
    assert not handles("DescribeTags", {"Filter.1.Name": "resource-type", "Filter.1.Value.1": "instance"})
    assert code(ec2.describe_instances) == "InvalidAction"
    assert code(ec2.register_image) == "MissingParameter"
    assert code(ec2.register_image, Name="abc", BillingProducts=["x"]) == "UnsupportedOperation"
