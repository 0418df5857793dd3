"""A client image's SHA-256 wherever it lies after a run: AWS's snapshot, the exported object, the image at home."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from typing import IO, TYPE_CHECKING, Any

from failback.clouds.aws.snapshots import EbsSnapshots
from failback.errors import LocalCloudError
from failback.sinks.ebs import BLOCK
from localcloud.azure.state import STATE_FILE
from localcloud.google.archive import MEMBER

if TYPE_CHECKING:
    from pathlib import Path

    from failback.model.report import Provenance
    from localcloud.embedded.clouds import Client

Json = dict[str, Any]
PIECE = 4 << 20
GIB = 1 << 30


def image_hashes(
    made: Provenance, client: Client, *, bucket: str, azure: Path | None = None, google: Path | None = None
) -> dict[str, str]:
    """The SHA-256 by place: of the disk in it, without a VHD's footer, or an archive around it.

    `client` makes a service's client. Whichever home the run was to, its folder has to be given: the embedded Azure's,
    or the embedded Compute Engine's. Raises LocalCloudError for a run that made no image.
    """
    ami, export, image = made.ami, made.export, made.image
    if ami is None or export is None or image is None:
        message = "The run has made no image: there's nothing to compare."
        raise LocalCloudError(message)
    archived = export.format == "gce"
    home = google if archived else azure
    assert home is not None, f"nothing was given of the home that takes {export.format}"
    stored = hash_archived if archived else hash_object
    return {
        f"snapshot {ami.snapshot} of {ami.id}": hash_snapshot(client("ebs"), client("ec2"), ami.snapshot),
        f"object {export.key}": stored(client("s3"), bucket, export.key, size=export.disk_size),
        f"{'image' if archived else 'disk'} {image.name}": hash_file(disk_file(home, image.id)),
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
    body: IO[bytes] = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{size - 1}")["Body"]
    return _hash(body)


def hash_archived(s3: Client, bucket: str, key: str, *, size: int) -> str:
    """The SHA-256 of the disk in an object that's an archive as Google takes it: a gzip of a tar with disk.raw alone.

    Read as any tar is, holes as zeros. Raises LocalCloudError where something else is in it, or the disk isn't `size`
    bytes.
    """
    body: IO[bytes] = s3.get_object(Bucket=bucket, Key=key)["Body"]
    digest = ""
    with gzip.GzipFile(fileobj=body) as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
        held = list[tuple[str, int]]()
        for member in tar:
            held.append((member.name, member.size))
            content = tar.extractfile(member)
            digest = _hash(content) if content else ""
    if held != [(MEMBER, size)]:
        message = f"The archive {key} should hold {MEMBER} of {size:,} bytes, and nothing else; it holds {held}."
        raise LocalCloudError(message)
    return digest


def _hash(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while piece := content.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()


def disk_file(home: Path, disk: str) -> Path:
    """The file of a disk or an image, by its id, in the folder of an embedded home; also while that one runs.

    An id is a resource's at Azure, a path at Google. Raises LocalCloudError where there's none of it.
    """
    resources = json.loads((home / STATE_FILE).read_bytes())
    found = [each["hidden"]["file"] for each in resources if _id(each).lower() == disk.lower()]
    if not found:
        message = f"The embedded home in {home} has no disk {disk}."
        raise LocalCloudError(message)
    return home / str(found[0])


def _id(record: Json) -> str:
    """Both homes keep such records, but Azure's ids stand in the documents, where Google's are numbers."""
    return str(record["id"] if isinstance(record["id"], str) else record["document"]["id"])
