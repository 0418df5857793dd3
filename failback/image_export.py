"""Exports an AMI's disk from its snapshot to the image bucket, as a home takes it: a fixed VHD, or Google's archive."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Literal, Protocol

from failback.errors import AmiUnsuitable, ObjectMissing
from failback.export_gce import GceExport
from failback.export_vhd import VhdExport
from failback.image.plan import GIB, MIB
from failback.model.run import Ami, CopyCursor, ExportedImage
from failback.model.stage import Progress, StageResult
from failback.naming import export_key, export_proof_key
from failback.proofs import proven
from failback.upload_slice import MOST_PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.ports import ObjectStore, SnapshotStore, StoredObject, UploadStore

ImageFormat = Literal["vhd", "gce"]
ExportResult = StageResult[ExportedImage, CopyCursor]

# Whole blocks, and whole parts of a whole GiB, so that a VHD's footer is a part by itself. An archive's parts end with
# the block that fills them.
PART_SIZE = 16 * MIB
# Parts in memory at once: 4 x 16 MiB, 48 blocks of half a MiB on their way, and 100 MiB for Python. The readers fill
# one and a half at a time, and two being sent at 80 MB/s each are twice what a function's line carries.
WORKERS = 4
# Blocks being read at once: a read takes about 50 ms, so these are some 1,000 a second, the quota of a snapshot.
READERS = 48
# 512 MiB at 75 MB/s are 7 seconds each way: whoever watches sees it go on, and little is lost with a call.
LIMIT = 512 * MIB
LARGEST_GIB = (MOST_PARTS - 1) * PART_SIZE // GIB


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

    Raises AmiUnsuitable for a disk that's too large.
    """
    _check(ami)
    found = exported_image(objects, key, image_format) if cursor is None else None
    if found is not None:
        return StageResult(status="done", facts=found)
    export = _export(ami, key, image_format, snapshots)
    cursor = cursor or _begin(export, uploads, tags)
    try:
        if cursor.next_byte < export.size:
            return _more(export, export.upload(uploads, cursor, limit=limit, workers=workers))
        stored: StoredObject | None = uploads.finish(export.key, cursor.upload)
    except ObjectMissing:
        stored = None
    if stored is None or stored.size != export.uploaded(cursor):
        # A lifecycle rule has removed the upload; an object that's there all the same is somebody else's.
        return _more(export, _begin(export, uploads, tags))
    exported = ExportedImage(
        key=stored.key,
        format=image_format,
        size=stored.size,
        disk_size=ami.size_gib * GIB,
        data_blocks=export.data_blocks(),
    )
    objects.write(export_proof_key(key, image_format), exported.model_dump_json().encode(), tags=tags)
    return StageResult(status="done", progress=Progress(done=export.size, total=export.size), facts=exported)


def exported_image(objects: ObjectStore, key: str, image_format: ImageFormat) -> ExportedImage | None:
    """The exported image with that key, if it's there as a whole."""
    return proven(objects, export_key(key, image_format), export_proof_key(key, image_format), ExportedImage)


class _Export(Protocol):
    """An image on its way into the bucket, in one format."""

    key: str

    @property
    def size(self) -> int:
        """Where a cursor's `next_byte` ends."""
        ...

    def uploaded(self, cursor: CopyCursor) -> int:
        """The object's size in bytes if it ends at `cursor`."""
        ...

    def upload(self, uploads: UploadStore, cursor: CopyCursor, *, limit: int, workers: int) -> CopyCursor:
        """Put the parts of about `limit` bytes, one at least; at most `workers` parts are in memory."""
        ...

    def data_blocks(self) -> str:
        """ExportedImage's."""
        ...


def _export(ami: Ami, key: str, image_format: ImageFormat, snapshots: SnapshotStore) -> _Export:
    object_key = export_key(key, image_format)
    if image_format == "gce":
        return GceExport(ami, object_key, snapshots, part_size=PART_SIZE, readers=READERS)
    return VhdExport(ami, object_key, snapshots, part_size=PART_SIZE, readers=READERS, disk_id=_disk_id(key))


def _disk_id(key: str) -> uuid.UUID:
    return uuid.UUID(bytes=hashlib.sha256(key.encode()).digest()[:16], version=4)


def _check(ami: Ami) -> None:
    if ami.size_gib > LARGEST_GIB:
        message = (
            f"{ami.id} has a disk of {ami.size_gib} GiB, and at most {LARGEST_GIB} can be exported. A client image "
            "needs 5 GiB; make the AMI from a smaller volume."
        )
        raise AmiUnsuitable(message)


def _begin(export: _Export, uploads: UploadStore, tags: Mapping[str, str]) -> CopyCursor:
    return CopyCursor(upload=uploads.begin(export.key, tags=tags))


def _more(export: _Export, cursor: CopyCursor) -> ExportResult:
    progress = Progress(done=cursor.next_byte, total=export.size, note="exporting the snapshot")
    return StageResult(status="more", progress=progress, cursor=cursor)
