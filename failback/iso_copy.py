"""Copies the client ISO from AWS's bucket to ours, a slice a call, and checks its hash where it lies then."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from failback.errors import HashMismatch, ObjectMissing
from failback.image.plan import MIB
from failback.model.run import CopyCursor, PublishedIso, StoredIso
from failback.model.stage import Progress, StageResult
from failback.naming import iso_key, iso_proof_key
from failback.proofs import proven
from failback.read_ahead import ReadAhead
from failback.upload_slice import PartedObject, begin_upload, upload_slice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.ports import ObjectStore, UploadStore

# 10,000 parts of it are 156 GiB; an ISO of 1 GiB has 64, so that 16 workers are busy to the end.
PART_SIZE = 16 * MIB
# One connection carries about 80 MB/s; a function of 1 GiB takes in and gives out about 75 MB/s each, which fewer would
# do. A part is in memory once as it's read and once as it's sent: 8 x 2 x 16 MiB = 256 MiB, and 100 for Python.
WORKERS = 8
# 256 MiB in and out again at 75 MB/s are 7 seconds: whoever watches sees it go on, and little is lost with a call.
LIMIT = 256 * MIB
# One piece of the check: the hash goes through it while the next windows arrive.
_PIECE = 1 * MIB

IsoResult = StageResult[StoredIso, CopyCursor]


def copy_iso(
    published: PublishedIso,
    *,
    source: ObjectStore,
    objects: ObjectStore,
    uploads: UploadStore,
    cursor: CopyCursor | None,
    tags: Mapping[str, str],
    limit: int = LIMIT,
    part_size: int = PART_SIZE,
    workers: int = WORKERS,
) -> IsoResult:
    """Copy `published` from `source`, about `limit` bytes a call; the last call checks and gives the stored ISO.

    Raises ObjectChanged where AWS replaces the ISO meanwhile, HashMismatch where what was copied isn't what AWS says.
    """
    parted = PartedObject(iso_key(published.sha512), published.size, part_size)
    if cursor is not None and cursor.copied:
        return _check(published, parted, objects, tags)
    stored = stored_iso(objects, published.sha512) if cursor is None else None
    if stored is not None:
        return StageResult(status="done", facts=stored)
    cursor = cursor or begin_upload(parted, uploads, tags)

    def make(offset: int, length: int) -> bytes:
        return source.read(published.key, offset, length, etag=published.etag)

    try:
        if cursor.next_byte < published.size:
            cursor = upload_slice(parted, make, uploads=uploads, cursor=cursor, limit=limit, workers=workers)
        if cursor.next_byte == published.size:
            uploads.finish(parted.key, cursor.upload)
            cursor = cursor.model_copy(update={"copied": True})
    except ObjectMissing:
        if source.find(published.key) is None:
            raise
        # The upload is gone, not the ISO: a lifecycle rule has removed it.
        cursor = begin_upload(parted, uploads, tags)
    note = "checking the hash" if cursor.copied else "copying the ISO"
    progress = Progress(done=cursor.next_byte, total=published.size, note=note)
    return StageResult(status="more", progress=progress, cursor=cursor)


def stored_iso(objects: ObjectStore, sha512: str) -> StoredIso | None:
    """The ISO in the image bucket, if it's there as a whole and its hash was checked."""
    stored = proven(objects, iso_key(sha512), iso_proof_key(sha512), StoredIso)
    return stored if stored and stored.sha512 == sha512 else None


def _check(published: PublishedIso, parted: PartedObject, objects: ObjectStore, tags: Mapping[str, str]) -> IsoResult:
    found = objects.find(parted.key)
    if found is None:
        message = f"{parted.key} vanished from the image bucket before its hash was checked; start again"
        raise ObjectMissing(message)
    digest = _sha512(objects, parted.key, found.size, found.etag)
    if digest != published.sha512 or found.size != published.size:
        objects.remove(parted.key)
        message = (
            f"the ISO's SHA-512 is {digest}, and AWS publishes {published.sha512} for {published.bucket}/"
            f"{published.key}. Usually AWS was publishing a new ISO at that moment; start again in some minutes. If it "
            "stays so, don't use this ISO, and ask AWS. The copy was removed."
        )
        raise HashMismatch(message)
    stored = StoredIso(key=parted.key, size=found.size, sha512=digest)
    objects.write(iso_proof_key(digest), stored.model_dump_json().encode(), tags=tags)
    progress = Progress(done=found.size, total=found.size)
    return StageResult(status="done", progress=progress, facts=stored)


def _sha512(objects: ObjectStore, key: str, size: int, etag: str) -> str:
    digest = hashlib.sha512()
    with ReadAhead(lambda offset, length: objects.read(key, offset, length, etag=etag), size) as content:
        for offset in range(0, size, _PIECE):
            digest.update(content.read(offset, min(_PIECE, size - offset)))
    return digest.hexdigest()
