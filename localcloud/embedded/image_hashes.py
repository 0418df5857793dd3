"""A client image's SHA-256 wherever it lies after a run: AWS's snapshot, the exported object, the disk at home."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from failback.clouds.aws.snapshots import EbsSnapshots
from failback.errors import LocalCloudError
from failback.sinks.ebs import BLOCK
from localcloud.azure.state import STATE_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from failback.model.report import Provenance
    from localcloud.embedded.clouds import Client

PIECE = 4 << 20
GIB = 1 << 30


def image_hashes(made: Provenance, client: Client, *, bucket: str, azure: Path) -> dict[str, str]:
    """The SHA-256 by place, without the footer that only a VHD has.

    `client` makes a service's client, `azure` is the embedded Azure's folder. Raises LocalCloudError for a run that
    made no image.
    """
    ami, export, image = made.ami, made.export, made.image
    if ami is None or export is None or image is None:
        message = "The run has made no image: there's nothing to compare."
        raise LocalCloudError(message)
    return {
        f"snapshot {ami.snapshot} of {ami.id}": hash_snapshot(client("ebs"), client("ec2"), ami.snapshot),
        f"object {export.key}": hash_object(client("s3"), bucket, export.key, size=export.disk_size),
        f"disk {image.name}": hash_file(disk_file(azure, image.id)),
    }


def hash_file(path: Path) -> str:
    """The SHA-256 of a whole file."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def hash_snapshot(ebs: Client, ec2: Client, snapshot: str) -> str:
    """The SHA-256 of a snapshot's volume, read as its owner does: block by block; what has no block is zeros."""
    (told,) = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    snapshots, digest, at, zeros = EbsSnapshots(ebs, ec2), hashlib.sha256(), 0, bytes(BLOCK)
    for block in snapshots.blocks(snapshot):
        for _ in range(at, block.index):
            digest.update(zeros)
        digest.update(snapshots.get(snapshot, block))
        at = block.index + 1
    for _ in range(at, told["VolumeSize"] * GIB // BLOCK):
        digest.update(zeros)
    return digest.hexdigest()


def hash_object(s3: Client, bucket: str, key: str, *, size: int) -> str:
    """The SHA-256 of an object's first `size` bytes."""
    body, digest = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{size - 1}")["Body"], hashlib.sha256()
    for piece in body.iter_chunks(PIECE):
        digest.update(piece)
    return digest.hexdigest()


def disk_file(azure: Path, disk: str) -> Path:
    """The file of a managed disk, by its resource id, in an embedded Azure's folder; also while that one runs.

    Raises LocalCloudError where there's no such disk.
    """
    resources = json.loads((azure / STATE_FILE).read_bytes())
    found = [each["hidden"]["file"] for each in resources if each["document"]["id"].lower() == disk.lower()]
    if not found:
        message = f"The embedded Azure in {azure} has no disk {disk}."
        raise LocalCloudError(message)
    return azure / str(found[0])
