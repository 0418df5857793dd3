"""What RegisterImage asks of a request, and the image that comes of it.

Source: botocore's service model ec2 2016-11-15 (RegisterImage) and EC2's list of error codes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from localcloud.ebs.record import ImageMapping, ImageRecord
from localcloud.ebs.refusal import Ec2Refusal
from localcloud.ebs.store import new_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from localcloud.ebs.store import SnapshotStore

_NAME = re.compile(r"[\w ()\[\]./'@-]{3,128}", re.ASCII)
_DEVICE = re.compile(r"(/dev/)?[a-z][a-z0-9]{1,31}")
_EMULATED_NOT = ("ImageLocation", "BillingProducts", "UefiData", "KernelId", "RamdiskId")
_EBS_KNOWN = frozenset(
    {"DeleteOnTermination", "Iops", "SnapshotId", "VolumeSize", "VolumeType", "Throughput", "Encrypted"}
)
_LONGEST_DESCRIPTION = 255


def new_image(
    store: SnapshotStore, owner: str, values: Mapping[str, Any], tags: Mapping[str, str], created: datetime
) -> ImageRecord:
    """Judge a request's parameters; the name's uniqueness is the caller's to judge."""
    _check_plain(values)
    mappings = tuple(_mapping(store, owner, each) for each in values.get("BlockDeviceMappings", ()))
    devices = [each.device for each in mappings]
    if len(set(devices)) != len(devices):
        raise Ec2Refusal(400, "InvalidBlockDeviceMapping", "A device name is given twice")
    root = values.get("RootDeviceName", "")
    if not any(each.device == root and each.snapshot for each in mappings):
        raise Ec2Refusal(400, "InvalidBlockDeviceMapping", "No root snapshot specified in device mapping.")
    return ImageRecord(
        id=new_id("ami"),
        owner=owner,
        name=values["Name"],
        created=created,
        root_device=root,
        mappings=mappings,
        architecture=values.get("Architecture", "i386"),
        virtualization=values.get("VirtualizationType", "paravirtual"),
        description=values.get("Description"),
        ena=values.get("EnaSupport", False),
        sriov=values.get("SriovNetSupport"),
        imds=values.get("ImdsSupport"),
        boot_mode=values.get("BootMode"),
        tpm=values.get("TpmSupport"),
        tags=dict(tags),
    )


def _check_plain(values: Mapping[str, Any]) -> None:
    for name in _EMULATED_NOT:
        if name in values:
            raise Ec2Refusal(400, "UnsupportedOperation", f"{name} isn't emulated")
    if _NAME.fullmatch(values["Name"]) is None:
        message = (
            "AMI names must be between 3 and 128 characters long, of letters, digits and ( ) [ ] space . / - ' @ _"
        )
        raise Ec2Refusal(400, "InvalidAMIName.Malformed", message)
    if len(values.get("Description", "")) > _LONGEST_DESCRIPTION:
        raise Ec2Refusal(400, "InvalidParameterValue", f"A description has at most {_LONGEST_DESCRIPTION} characters")
    if values.get("VirtualizationType", "hvm") not in {"hvm", "paravirtual"}:
        raise Ec2Refusal(400, "InvalidParameterValue", "VirtualizationType must be hvm or paravirtual")
    if values.get("SriovNetSupport", "simple") != "simple":
        raise Ec2Refusal(400, "InvalidParameterValue", "SriovNetSupport must be simple")


def _mapping(store: SnapshotStore, owner: str, given: Mapping[str, Any]) -> ImageMapping:
    device, ebs, virtual = given.get("DeviceName", ""), given.get("Ebs"), given.get("VirtualName")
    if _DEVICE.fullmatch(device) is None:
        raise Ec2Refusal(400, "InvalidBlockDeviceMapping", f"Invalid device name {device}")
    if "NoDevice" in given or (ebs is None) == (virtual is None):
        raise Ec2Refusal(400, "InvalidBlockDeviceMapping", f"{device} needs either Ebs or VirtualName")
    if ebs is None:
        return ImageMapping(device=device, virtual=virtual)
    foreign = sorted(set(ebs) - _EBS_KNOWN)
    if foreign:
        raise Ec2Refusal(400, "UnsupportedOperation", f"{', '.join(foreign)} of {device} isn't emulated")
    encrypted, smallest = _checked_source(store, owner, device, ebs)
    return ImageMapping(
        device=device,
        snapshot=ebs.get("SnapshotId"),
        size=ebs.get("VolumeSize", smallest),
        type=ebs.get("VolumeType", "standard"),
        delete_on_termination=ebs.get("DeleteOnTermination", True),
        iops=ebs.get("Iops"),
        throughput=ebs.get("Throughput"),
        encrypted=encrypted,
    )


def _checked_source(store: SnapshotStore, owner: str, device: str, ebs: Mapping[str, Any]) -> tuple[bool, int]:
    """Whether the volume is encrypted and its least size in GiB, both by its snapshot where it has one."""
    name, size = ebs.get("SnapshotId"), ebs.get("VolumeSize")
    if name is None:
        if size is None or size < 1:
            raise Ec2Refusal(400, "InvalidBlockDeviceMapping", f"{device} has neither a snapshot nor a size")
        return bool(ebs.get("Encrypted", False)), size
    if "Encrypted" in ebs:
        raise Ec2Refusal(400, "InvalidParameterCombination", f"The encryption of {device} is that of its snapshot")
    record = store.find(name)
    if record is None or record.owner != owner:
        raise Ec2Refusal(400, "InvalidSnapshot.NotFound", f"The snapshot '{name}' does not exist.")
    status = store.status(record)
    if status != "completed":
        raise Ec2Refusal(400, "IncorrectState", f"The snapshot '{name}' is {status}, it must be completed")
    if size is not None and size < record.size:
        message = f"Volume of size {size}GB is smaller than snapshot '{name}', expect size >= {record.size}GB"
        raise Ec2Refusal(400, "InvalidBlockDeviceMapping", message)
    return record.encrypted, record.size
