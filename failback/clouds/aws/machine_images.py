"""AMIs by EC2 (botocore's service model ec2 2016-11-15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.clouds.aws.answers import code_of
from failback.errors import AmiUnsuitable, CloudRefused
from failback.model.run import Ami

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import EbsBlockDeviceTypeDef, FilterTypeDef, ImageTypeDef, TagTypeDef

ROOT_DEVICE = "/dev/xvda"
_UNKNOWN_IMAGE = frozenset({"InvalidAMIID.NotFound", "InvalidAMIID.Malformed", "InvalidAMIID.Unavailable"})
_UNKNOWN_SNAPSHOT = "InvalidSnapshot.NotFound"
_TAKEN = "InvalidAMIName.Duplicate"


class Ec2MachineImages:
    """MachineImages."""

    def __init__(self, ec2: EC2Client) -> None:
        self._ec2 = ec2

    def find(self, name: str) -> Ami | None:
        found = self._named(name, {"Name": "state", "Values": ["available"]})
        return found[0] if found else None

    def describe(self, image: str) -> Ami:
        try:
            images = self._ec2.describe_images(ImageIds=[image])["Images"]
        except self._ec2.exceptions.ClientError as error:
            if code_of(error) in _UNKNOWN_IMAGE:
                raise _absent(image) from error
            raise
        if not images:
            raise _absent(image)
        _check(images[0])
        ami = _ami(images[0])
        self._check_snapshot(ami)
        return ami

    def register(self, name: str, *, snapshot: str, size_gib: int, tags: Mapping[str, str]) -> Ami:
        labels: list[TagTypeDef] = [{"Key": key, "Value": value} for key, value in tags.items()]
        disk = {"SnapshotId": snapshot, "VolumeSize": size_gib, "VolumeType": "gp3", "DeleteOnTermination": True}
        try:
            made = self._ec2.register_image(
                Name=name,
                Architecture="x86_64",
                VirtualizationType="hvm",
                EnaSupport=True,
                BootMode="uefi-preferred",
                RootDeviceName=ROOT_DEVICE,
                BlockDeviceMappings=[{"DeviceName": ROOT_DEVICE, "Ebs": disk}],  # type: ignore[typeddict-item]
                TagSpecifications=[{"ResourceType": "image", "Tags": labels}],
            )
        except self._ec2.exceptions.ClientError as error:
            if code_of(error) != _TAKEN:
                raise
            return self._adopted(name, snapshot)
        return Ami(id=made["ImageId"], name=name, snapshot=snapshot, size_gib=size_gib)

    def _adopted(self, name: str, snapshot: str) -> Ami:
        """The AMI that has the name already, made by an answer that was lost."""
        for ami in self._named(name):
            if ami.snapshot == snapshot:
                return ami
        message = (
            f"an AMI called {name} is there already and has another snapshot than {snapshot}: another run is making "
            "the same image, or one was left over. Wait for that run, or deregister the AMI, and start again."
        )
        raise CloudRefused(message)

    def _named(self, name: str, *more: FilterTypeDef) -> Sequence[Ami]:
        filters: list[FilterTypeDef] = [{"Name": "name", "Values": [name]}, *more]
        images = self._ec2.describe_images(Owners=["self"], Filters=filters)["Images"]
        return [_ami(image) for image in images if _root(image)]

    def _check_snapshot(self, ami: Ami) -> None:
        try:
            found = self._ec2.describe_snapshots(SnapshotIds=[ami.snapshot])["Snapshots"]
        except self._ec2.exceptions.ClientError as error:
            if code_of(error) != _UNKNOWN_SNAPSHOT:
                raise
            found = []
        if not found or found[0]["State"] != "completed":
            message = (
                f"{ami.id}: its root volume's snapshot {ami.snapshot} can't be read from this account. Share the "
                "snapshot, and its key where it's encrypted, or copy the AMI into this account."
            )
            raise AmiUnsuitable(message)


def _absent(image: str) -> AmiUnsuitable:
    return AmiUnsuitable(
        f"there is no AMI {image} in this Region that this account may see. Check the id, copy the AMI to this Region, "
        "or share it with this account."
    )


def _check(image: ImageTypeDef) -> None:
    faults = []
    if image.get("State") != "available":
        faults.append(f"it's {image.get('State')}, not available")
    if image.get("Architecture") != "x86_64":
        faults.append(f"it's for {image.get('Architecture')}, and the client for x86_64")
    if not _root(image):
        faults.append("its root device isn't a volume made of a snapshot")
    if faults:
        message = f"{image['ImageId']} can't serve as client image: {'; '.join(faults)}. Name another one."
        raise AmiUnsuitable(message)


def _root(image: ImageTypeDef) -> EbsBlockDeviceTypeDef | None:
    """The root volume, where it has a snapshot."""
    for mapping in image.get("BlockDeviceMappings", ()):
        if mapping.get("DeviceName") == image.get("RootDeviceName"):
            volume = mapping.get("Ebs", {})
            return volume if volume.get("SnapshotId") else None
    return None


def _ami(image: ImageTypeDef) -> Ami:
    volume = _root(image) or {}
    return Ami(
        id=image["ImageId"],
        name=image.get("Name", ""),
        snapshot=volume["SnapshotId"],
        size_gib=volume["VolumeSize"],
    )
