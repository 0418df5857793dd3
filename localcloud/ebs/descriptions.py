"""Snapshots and images as EC2 describes them, and the fields that they can be filtered by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.ebs.query_call import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from localcloud.ebs.record import ImageMapping, ImageRecord, SnapshotRecord, Status

NO_VOLUME = "vol-ffffffff"
"""The volume id of a snapshot that was made by the EBS direct APIs, of no volume."""

Values = dict[str, Any]
SnapshotRow = tuple["SnapshotRecord", "Status"]


def describe_snapshot(row: SnapshotRow, present: int) -> Values:
    """The model's Snapshot; `present` is the bytes of its blocks."""
    record, status = row
    completed = record.completed_at() if status == "completed" else None
    return {
        "SnapshotId": record.id,
        "OwnerId": record.owner,
        "VolumeId": NO_VOLUME,
        "VolumeSize": record.size,
        "Description": record.description or "",
        "State": status,
        "StateMessage": "The snapshot wasn't completed in time" if status == "error" else None,
        "StartTime": record.started,
        "CompletionTime": completed,
        "Progress": _progress(row),
        "Encrypted": record.encrypted,
        "KmsKeyId": record.kms_key,
        "StorageTier": "standard",
        "SseType": "sse-kms" if record.encrypted else "none",
        "FullSnapshotSizeInBytes": present,
        "Tags": describe_tags(record.tags),
    }


def _progress(row: SnapshotRow) -> str:
    """A sealed snapshot that still settles isn't at 100 yet."""
    record, status = row
    return "100%" if status == "completed" else f"{min(record.progress, 99)}%"


def describe_image(record: ImageRecord) -> Values:
    """The model's Image."""
    return {
        "ImageId": record.id,
        "ImageLocation": f"{record.owner}/{record.name}",
        "State": "available",
        "OwnerId": record.owner,
        "CreationDate": timestamp(record.created),
        "Public": False,
        "Architecture": record.architecture,
        "ImageType": "machine",
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "Name": record.name,
        "Description": record.description,
        "RootDeviceType": "ebs",
        "RootDeviceName": record.root_device,
        "BlockDeviceMappings": [_describe_mapping(each) for each in record.mappings],
        "VirtualizationType": record.virtualization,
        "Hypervisor": "xen",
        "EnaSupport": record.ena or None,
        "SriovNetSupport": record.sriov,
        "ImdsSupport": record.imds,
        "BootMode": record.boot_mode,
        "TpmSupport": record.tpm,
        "Tags": describe_tags(record.tags),
    }


def _describe_mapping(mapping: ImageMapping) -> Values:
    if mapping.virtual is not None:
        return {"DeviceName": mapping.device, "VirtualName": mapping.virtual}
    ebs = {
        "SnapshotId": mapping.snapshot,
        "VolumeSize": mapping.size,
        "VolumeType": mapping.type,
        "DeleteOnTermination": mapping.delete_on_termination,
        "Encrypted": mapping.encrypted,
        "Iops": mapping.iops,
        "Throughput": mapping.throughput,
    }
    return {"DeviceName": mapping.device, "Ebs": ebs}


def describe_tags(tags: Mapping[str, str]) -> list[Values] | None:
    """The model's TagList; no element where there are none."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())] or None


def _word(value: bool) -> str:
    return "true" if value else "false"


IMAGE_FIELDS: Mapping[str, Callable[[ImageRecord], Iterable[str]]] = {
    "architecture": lambda image: [image.architecture],
    "block-device-mapping.device-name": lambda image: [each.device for each in image.mappings],
    "block-device-mapping.snapshot-id": lambda image: [each.snapshot for each in image.mappings if each.snapshot],
    "block-device-mapping.volume-size": lambda image: [str(each.size) for each in image.mappings if each.size],
    "creation-date": lambda image: [timestamp(image.created)],
    "description": lambda image: [image.description or ""],
    "ena-support": lambda image: [_word(image.ena)],
    "image-id": lambda image: [image.id],
    "image-type": lambda _: ["machine"],
    "is-public": lambda _: ["false"],
    "name": lambda image: [image.name],
    "owner-id": lambda image: [image.owner],
    "root-device-name": lambda image: [image.root_device],
    "root-device-type": lambda _: ["ebs"],
    "state": lambda _: ["available"],
    "virtualization-type": lambda image: [image.virtualization],
}

SNAPSHOT_FIELDS: Mapping[str, Callable[[SnapshotRow], Iterable[str]]] = {
    "description": lambda row: [row[0].description or ""],
    "encrypted": lambda row: [_word(row[0].encrypted)],
    "owner-id": lambda row: [row[0].owner],
    "progress": lambda row: [_progress(row)],
    "snapshot-id": lambda row: [row[0].id],
    "start-time": lambda row: [timestamp(row[0].started)],
    "status": lambda row: [row[1]],
    "storage-tier": lambda _: ["standard"],
    "volume-id": lambda _: [NO_VOLUME],
    "volume-size": lambda row: [str(row[0].size)],
}
