"""The emulated operations of EBS direct, of EC2's images, snapshots and tags, and of both STS."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from tests.localcloud.models.emulated import Call, Emulated, With
from tests.localcloud.models.place import AUDIENCE, OWNER, ROLE, WEB, block, registration

if TYPE_CHECKING:
    from tests.localcloud.models.place import Place

KEY = f"arn:aws:kms:us-east-1:{OWNER}:key/1"
EMPTY = base64.b64encode(hashlib.sha256(b"").digest()).decode()
AGGREGATE = {"Checksum": EMPTY, "ChecksumAlgorithm": "SHA256", "ChecksumAggregationMethod": "LINEAR"}
DRY = {"DryRun": "DryRunOperation"}
TAG = {"Key": "k", "Value": "v"}
PAGE = 5
"""The smallest page of EC2's lists."""


def _started_with_all(place: Place) -> With:
    """A parent; and of the same call whatever else its answer may tell."""
    return With(place.snapshot(1, Encrypted=True), {"Tags": [TAG], "Description": "d"})


def _readable(place: Place) -> Call:
    snapshot = place.snapshot(4)
    (found,) = place.clients["ebs"].list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
    return {"SnapshotId": snapshot, "BlockIndex": 4, "BlockToken": found["BlockToken"]}


def _blocks_page(place: Place) -> With:
    """A first page and its token: of 100 blocks, the smallest page there is."""
    snapshot = place.snapshot(*range(101))
    page = place.clients["ebs"].list_snapshot_blocks(SnapshotId=snapshot, MaxResults=100)
    return With(page["NextToken"], {"SnapshotId": snapshot})


def _changes_page(place: Place) -> With:
    snapshot = place.snapshot(*range(101))
    page = place.clients["ebs"].list_changed_blocks(SecondSnapshotId=snapshot, MaxResults=100)
    return With(page["NextToken"], {"SecondSnapshotId": snapshot})


def _parent(place: Place) -> With:
    parent = place.snapshot(1, 3)
    return With(parent, {"SecondSnapshotId": place.snapshot(5, ParentSnapshotId=parent)})


EBS = (
    Emulated(
        "ebs",
        "StartSnapshot",
        lambda _: {"VolumeSize": 1},
        {
            "ParentSnapshotId": _started_with_all,
            "Tags.Key": With("k", {"Tags": [{"Value": "v"}]}),
            "Tags.Value": With("v", {"Tags": [{"Key": "k"}]}),
            "Description": "d",
            "ClientToken": "t",
            "Encrypted": True,
            "KmsKeyArn": With(KEY, {"Encrypted": True}),
            "Timeout": 10,
        },
    ),
    Emulated("ebs", "PutSnapshotBlock", lambda place: block(place.started(), 3), {"Progress": 50}),
    Emulated(
        "ebs",
        "CompleteSnapshot",
        lambda place: {"SnapshotId": place.started(), "ChangedBlocksCount": 0},
        {name: With(value, AGGREGATE) for name, value in AGGREGATE.items()},
    ),
    Emulated(
        "ebs",
        "ListSnapshotBlocks",
        lambda place: {"SnapshotId": place.snapshot(1, 3)},
        {"NextToken": _blocks_page, "MaxResults": 100, "StartingBlockIndex": 2},
    ),
    Emulated(
        "ebs",
        "ListChangedBlocks",
        lambda place: {"SecondSnapshotId": place.snapshot(1, 3)},
        {"FirstSnapshotId": _parent, "NextToken": _changes_page, "MaxResults": 100, "StartingBlockIndex": 2},
    ),
    Emulated("ebs", "GetSnapshotBlock", _readable),
)


def _images(place: Place) -> Call:
    """Nothing said; and an image that has whatever an image can have."""
    call = registration(place)
    call["BlockDeviceMappings"][0]["Ebs"] |= {"VolumeSize": 3, "VolumeType": "gp3", "Iops": 3000, "Throughput": 125}
    call["BlockDeviceMappings"] += [
        {"DeviceName": "/dev/xvdb", "Ebs": {"VolumeSize": 1, "Encrypted": True}},
        {"DeviceName": "/dev/xvdc", "VirtualName": "ephemeral0"},
    ]
    tags = [{"ResourceType": "image", "Tags": [TAG]}]
    more = {"BootMode": "uefi", "TpmSupport": "v2.0", "ImdsSupport": "v2.0", "SriovNetSupport": "simple"}
    place.image(**call | more, Description="d", EnaSupport=True, TagSpecifications=tags, Architecture="x86_64")
    return {}


def _snapshots(place: Place) -> Call:
    """Nothing said; and snapshots of every state that a caller can bring about."""
    place.snapshot(1, Description="d", Tags=[TAG], Encrypted=True)
    place.started()
    return {}


def _next_page(action: str) -> Any:  # noqa: ANN401 - a function of the place
    def token(place: Place) -> str:
        for number in range(PAGE + 1):
            place.image(TagSpecifications=[{"ResourceType": "image", "Tags": [{"Key": str(number), "Value": ""}]}])
        return str(getattr(place.clients["ec2"], action)(MaxResults=PAGE)["NextToken"])

    return token


DISKS = "BlockDeviceMappings.Ebs."
LABELS = {"TagSpecifications": [{"ResourceType": "image", "Tags": [{"Key": "k"}]}]}
EC2 = (
    Emulated(
        "ec2",
        "RegisterImage",
        registration,
        {
            "BootMode": "uefi-preferred",
            "TpmSupport": "v2.0",
            "ImdsSupport": "v2.0",
            "TagSpecifications.ResourceType": "image",
            "TagSpecifications.Tags.Key": With("k", LABELS),
            "TagSpecifications.Tags.Value": With("v", LABELS),
            "Description": "d",
            "Architecture": "x86_64",
            "RootDeviceName": "/dev/xvda",
            "VirtualizationType": "hvm",
            "SriovNetSupport": "simple",
            "EnaSupport": True,
            f"{DISKS}DeleteOnTermination": True,
            f"{DISKS}Iops": 3000,
            f"{DISKS}SnapshotId": lambda place: place.snapshot(),
            f"{DISKS}VolumeSize": 5,
            f"{DISKS}VolumeType": "gp3",
            f"{DISKS}Throughput": 125,
            f"{DISKS}Encrypted": lambda place: _before_root(place, {"Ebs": {"VolumeSize": 1}}, value=True),
            "BlockDeviceMappings.DeviceName": "/dev/xvda",
            "BlockDeviceMappings.VirtualName": lambda place: _before_root(place, {}, value="ephemeral0"),
        },
        {**DRY, "BlockDeviceMappings.NoDevice": "InvalidBlockDeviceMapping"},
    ),
    Emulated(
        "ec2",
        "DescribeImages",
        _images,
        {
            "ExecutableUsers": ["self"],
            "ImageIds": lambda place: [place.image()],
            "Owners": ["self"],
            # No image of the embedded AWS is ever deprecated or disabled: the list is whole already.
            "IncludeDeprecated": True,
            "IncludeDisabled": True,
            "MaxResults": PAGE,
            "NextToken": _next_page("describe_images"),
            "Filters.Name": With("name", {"Filters": [{"Values": ["image-*"]}]}),
            "Filters.Values": With(["image-*"], {"Filters": [{"Name": "name"}]}),
        },
        DRY,
    ),
    Emulated(
        "ec2", "DeregisterImage", lambda place: {"ImageId": place.image()}, {"DeleteAssociatedSnapshots": True}, DRY
    ),
    Emulated(
        "ec2",
        "DescribeSnapshots",
        _snapshots,
        {
            "MaxResults": PAGE,
            "NextToken": _next_page("describe_snapshots"),
            "OwnerIds": ["self"],
            "RestorableByUserIds": ["self"],
            "SnapshotIds": lambda place: [place.started()],
            "Filters.Name": With("status", {"Filters": [{"Values": ["pending"]}]}),
            "Filters.Values": With(["pending"], {"Filters": [{"Name": "status"}]}),
        },
        DRY,
    ),
    Emulated("ec2", "DeleteSnapshot", lambda place: {"SnapshotId": place.snapshot()}, {}, DRY),
    Emulated(
        "ec2",
        "CreateTags",
        lambda place: {"Resources": [place.snapshot()], "Tags": [{"Key": "k"}]},
        {"Tags.Key": "k", "Tags.Value": "v"},
        DRY,
    ),
    Emulated(
        "ec2",
        "DeleteTags",
        lambda place: {"Resources": [place.image()]},
        {"Tags.Key": "k", "Tags.Value": With("v", {"Tags": [{"Key": "k"}]})},
        DRY,
    ),
    Emulated(
        "ec2",
        "DescribeTags",
        _images,
        {
            "Filters.Name": With("resource-type", {"Filters": [{"Values": ["image"]}]}),
            "Filters.Values": With(["k"], {"Filters": [{"Name": "key"}]}),
            "MaxResults": PAGE,
            "NextToken": _next_page("describe_tags"),
        },
        DRY,
    ),
)


def _before_root(place: Place, disk: Call, *, value: object) -> With:
    """A disk before the root's: the member goes into the first one."""
    mappings = registration(place)["BlockDeviceMappings"]
    return With(value, {"BlockDeviceMappings": [{"DeviceName": "/dev/xvdb", **disk}, *mappings]})


STS = (
    Emulated(
        "sts",
        "GetWebIdentityToken",
        lambda _: {"Audience": [AUDIENCE], "SigningAlgorithm": "RS256"},
        {
            "DurationSeconds": 60,
            "Tags.Key": With("k", {"Tags": [{"Value": "v"}]}),
            "Tags.Value": With("v", {"Tags": [{"Key": "k"}]}),
        },
    ),
    Emulated(
        WEB,
        "AssumeRoleWithWebIdentity",
        lambda place: {"RoleArn": ROLE, "RoleSessionName": "machine", "WebIdentityToken": place.token()},
        {"DurationSeconds": 900},
    ),
)
