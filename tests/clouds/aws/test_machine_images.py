"""AMIs by real boto3: how one is registered, and which ones are of no use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from failback.clouds.aws.machine_images import Ec2MachineImages
from failback.clouds.aws.snapshots import EbsSnapshots
from failback.errors import AmiUnsuitable
from tests.clouds.aws.embedded import EmbeddedParts, client_at, embedded_parts

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedParts]:
    with embedded_parts(tmp_path_factory.mktemp("aws")) as parts:
        yield parts


def completed(parts: EmbeddedParts, token: str) -> str:
    snapshots = EbsSnapshots(parts.ebs, parts.ec2)
    snapshot = snapshots.start(size_gib=1, token=token, tags={})
    snapshots.complete(snapshot, blocks=0)
    return snapshot


def test_an_ami_boots_by_bios_and_uefi(parts: EmbeddedParts) -> None:
    ami = Ec2MachineImages(parts.ec2).register(
        "client", snapshot=completed(parts, "a"), size_gib=1, tags={"drs-failback:run": "r"}
    )
    (image,) = parts.ec2.describe_images(ImageIds=[ami.id])["Images"]
    expected = {
        "Architecture": "x86_64",
        "VirtualizationType": "hvm",
        "EnaSupport": True,
        "BootMode": "uefi-preferred",
        "Tags": [{"Key": "drs-failback:run", "Value": "r"}],
    }
    assert {name: image[name] for name in expected} == expected
    (mapping,) = image["BlockDeviceMappings"]
    assert mapping["DeviceName"] == image["RootDeviceName"]
    assert (mapping["Ebs"]["VolumeType"], mapping["Ebs"]["DeleteOnTermination"]) == ("gp3", True)


def test_what_cannot_be_a_client_image_says_why(parts: EmbeddedParts) -> None:
    snapshot = completed(parts, "b")
    plain: dict[str, Any] = {
        "RootDeviceName": "/dev/sda1",
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}],
    }
    arm = parts.ec2.register_image(Name="arm", Architecture="arm64", VirtualizationType="hvm", **plain)["ImageId"]
    images = Ec2MachineImages(parts.ec2)
    with pytest.raises(AmiUnsuitable, match="arm64"):
        images.describe(arm)
    with pytest.raises(AmiUnsuitable, match="there is no AMI nonsense"):
        images.describe("nonsense")
    fit = parts.ec2.register_image(Name="fit", Architecture="x86_64", VirtualizationType="hvm", **plain)["ImageId"]
    assert images.describe(fit).size_gib == 1
    # A snapshot that wasn't shared looks as if it weren't there.
    parts.store.remove(snapshot)
    with pytest.raises(AmiUnsuitable, match="Share the snapshot"):
        images.describe(fit)


def test_an_image_of_another_kind_is_told_all_its_faults() -> None:
    ec2 = client_at("ec2", "http://127.0.0.1:9")
    images = Ec2MachineImages(ec2)
    # The embedded AWS has available images on volumes only; the service's own model judges these answers.
    other = {"ImageId": "ami-1", "State": "pending", "Architecture": "i386", "RootDeviceName": "/dev/sda1"}
    with Stubber(ec2) as stub:
        stub.add_response("describe_images", {"Images": [other]})
        with pytest.raises(AmiUnsuitable, match=r"pending.*i386.*root device"):
            images.describe("ami-1")
        stub.add_response("describe_images", {"Images": []})
        with pytest.raises(AmiUnsuitable, match="no AMI ami-1"):
            images.describe("ami-1")
        stub.add_response("describe_images", {"Images": [other]})
        assert images.find("client") is None


def test_a_refusal_is_not_taken_for_an_absence() -> None:
    ec2 = client_at("ec2", "http://127.0.0.1:9")
    images = Ec2MachineImages(ec2)
    sound = {
        "ImageId": "ami-1",
        "Name": "client",
        "State": "available",
        "Architecture": "x86_64",
        "RootDeviceName": "/dev/sda1",
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": "snap-1", "VolumeSize": 1}}],
    }
    with Stubber(ec2) as stub:
        stub.add_client_error("describe_images", "UnauthorizedOperation")
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            images.describe("ami-1")
        stub.add_response("describe_images", {"Images": [sound]})
        stub.add_client_error("describe_snapshots", "UnauthorizedOperation")
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            images.describe("ami-1")
        stub.add_client_error("register_image", "UnauthorizedOperation")
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            images.register("client", snapshot="snap-1", size_gib=1, tags={"a": "b"})
