"""Exports an AMI's disk from its snapshot to the image bucket, as a home takes it: a fixed VHD for Azure."""

from __future__ import annotations

import base64
import hashlib
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from failback.errors import AmiUnsuitable, ImportFailed, ObjectMissing
from failback.image.plan import GIB, MIB
from failback.model.run import Ami, CopyCursor, ExportedImage
from failback.model.stage import Progress, StageResult
from failback.naming import export_key, export_proof_key
from failback.pieces import Pieces
from failback.sinks.ebs import BLOCK
from failback.sinks.vhd import FOOTER_SIZE, vhd_footer
from failback.upload_slice import MOST_PARTS, PartedObject, begin_upload, upload_slice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.ports import BlockReference, ObjectStore, SnapshotStore, StoredObject, UploadStore

ImageFormat = Literal["vhd", "gce"]
ExportResult = StageResult[ExportedImage, CopyCursor]

# Whole blocks, and whole parts of a whole GiB, so that the footer is a part by itself.
PART_SIZE = 16 * MIB
# Parts in memory at once: 4 x 16 MiB, 48 blocks of half a MiB on their way, and 100 MiB for Python. The readers fill
# one and a half at a time, and two being sent at 80 MB/s each are twice what a function's line carries.
WORKERS = 4
# Blocks being read at once: a read takes about 50 ms, so these are some 1,000 a second, the quota of a snapshot.
READERS = 48
# 512 MiB at 75 MB/s are 7 seconds each way: whoever watches sees it go on, and little is lost with a call.
LIMIT = 512 * MIB
LARGEST_GIB = (MOST_PARTS - 1) * PART_SIZE // GIB
_ZEROS = bytes(BLOCK)


def export_ami(
    ami: Ami,
    key: str,
    image_format: ImageFormat,
    *,
    snapshots: SnapshotStore,
    objects: ObjectStore,
    uploads: UploadStore,
    cursor: CopyCursor | None,
    tags: Mapping[str, str],
    limit: int = LIMIT,
    workers: int = WORKERS,
) -> ExportResult:
    """Export the AMI's disk, about `limit` bytes a call; the last call writes the proof and gives the image.

    Raises AmiUnsuitable for a disk that's too large, ImportFailed for a format that isn't made.
    """
    _check(ami, image_format)
    disk = ami.size_gib * GIB
    parted = PartedObject(export_key(key, image_format), disk + FOOTER_SIZE, PART_SIZE)
    found = exported_image(objects, key, image_format) if cursor is None else None
    if found is not None:
        return StageResult(status="done", facts=found)
    cursor = cursor or begin_upload(parted, uploads, tags)
    try:
        if cursor.next_byte < parted.size:
            cursor = _slice(ami, key, parted, snapshots, uploads, cursor, limit=limit, workers=workers)
            return _more(parted, cursor)
        stored: StoredObject | None = uploads.finish(parted.key, cursor.upload)
    except ObjectMissing:
        stored = None
    if stored is None or stored.size != parted.size:
        # A lifecycle rule has removed the upload; an object that's there all the same is somebody else's.
        return _more(parted, begin_upload(parted, uploads, tags))
    exported = ExportedImage(
        key=stored.key, format=image_format, size=stored.size, disk_size=disk, data_blocks=_bitmap(ami, snapshots)
    )
    objects.write(export_proof_key(key, image_format), exported.model_dump_json().encode(), tags=tags)
    return StageResult(status="done", progress=Progress(done=parted.size, total=parted.size), facts=exported)


def exported_image(objects: ObjectStore, key: str, image_format: ImageFormat) -> ExportedImage | None:
    """The exported image with that key, if it's there as a whole."""
    proof = objects.find(export_proof_key(key, image_format))
    found = objects.find(export_key(key, image_format)) if proof else None
    if proof is None or found is None:
        return None
    try:
        exported = ExportedImage.model_validate_json(objects.read(proof.key, 0, proof.size))
    except ValidationError:
        # Not as this version writes it: the image is exported again.
        return None
    return exported if (exported.key, exported.size) == (found.key, found.size) else None


def _check(ami: Ami, image_format: ImageFormat) -> None:
    if image_format != "vhd":
        message = f"images in the format {image_format} can't be made yet: choose a target at Azure"
        raise ImportFailed(message)
    if ami.size_gib > LARGEST_GIB:
        message = (
            f"{ami.id} has a disk of {ami.size_gib} GiB, and at most {LARGEST_GIB} can be exported. A client image "
            "needs 5 GiB; make the AMI from a smaller volume."
        )
        raise AmiUnsuitable(message)


def _more(parted: PartedObject, cursor: CopyCursor) -> ExportResult:
    progress = Progress(done=cursor.next_byte, total=parted.size, note="exporting the snapshot")
    return StageResult(status="more", progress=progress, cursor=cursor)


def _slice(
    ami: Ami,
    key: str,
    parted: PartedObject,
    snapshots: SnapshotStore,
    uploads: UploadStore,
    cursor: CopyCursor,
    *,
    limit: int,
    workers: int,
) -> CopyCursor:
    disk = ami.size_gib * GIB
    held = _held(ami.snapshot, snapshots, cursor.next_byte // BLOCK, disk // BLOCK, (limit + parted.part_size) // BLOCK)
    footer = vhd_footer(disk, uuid.UUID(bytes=hashlib.sha256(key.encode()).digest()[:16], version=4))
    readers = ThreadPoolExecutor(READERS)

    def read(block: BlockReference) -> bytes:
        return snapshots.get(ami.snapshot, block)

    def make(offset: int, length: int) -> Pieces:
        if offset == disk:
            return Pieces([footer])
        indices = range(offset // BLOCK, (offset + length) // BLOCK)
        data = readers.map(read, [held[index] for index in indices if index in held])
        return Pieces([next(data) if index in held else _ZEROS for index in indices])

    try:
        return upload_slice(parted, make, uploads=uploads, cursor=cursor, limit=limit, workers=workers)
    finally:
        readers.shutdown(wait=True, cancel_futures=True)


def _held(snapshot: str, snapshots: SnapshotStore, first: int, end: int, most: int) -> Mapping[int, BlockReference]:
    """The blocks that the snapshot holds from `first` on, as far as a slice can reach."""
    held: dict[int, BlockReference] = {}
    for block in snapshots.blocks(snapshot, first=first) if first < end else ():
        if block.index >= first + most:
            break
        held[block.index] = block
    return held


def _bitmap(ami: Ami, snapshots: SnapshotStore) -> str:
    bits = bytearray(-(-ami.size_gib * GIB // BLOCK // 8))
    for block in snapshots.blocks(ami.snapshot):
        bits[block.index // 8] |= 1 << block.index % 8
    return base64.b64encode(bits).decode("ascii")
