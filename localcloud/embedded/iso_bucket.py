"""AWS's buckets of the client ISO and of its hash, filled with an ISO of ours.

Names, keys and owner: Elastic Disaster Recovery user guide, "Failback Client", and AWS's public sample.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from localcloud.objects.record import ObjectRecord, Segment
from localcloud.objects.store import now, put_file
from localcloud.sparse_files import copy_sparse

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.objects.service import ObjectService
    from localcloud.objects.store import Bucket

OWNER = "088819544517"
ISO_KEY = "latest/failback_livecd/aws-failback-livecd-64bit.iso"
HASH_KEY = f"{ISO_KEY}.sha512"
_PART = 8 * 1024 * 1024
"""The size of parts that an uploader would have used: an ETag of a multipart upload ends with their number."""


def iso_buckets(region: str) -> tuple[str, str]:
    """The names of the two buckets: of the ISO and of its hash."""
    return f"aws-elastic-disaster-recovery-{region}", f"aws-elastic-disaster-recovery-hashes-{region}"


def publish_iso(objects: ObjectService, iso: Path, *, region: str, scratch: Path) -> str:
    """Make both buckets and their objects; the ISO isn't copied where that can be helped. Gives its SHA-512."""
    isos, hashes = iso_buckets(region)
    digest = sha512_of(iso)
    _put_linked(objects.add_bucket(isos, owner=OWNER, public=True), ISO_KEY, iso, digest)
    text = scratch / "iso.sha512"
    text.write_text(digest, encoding="ascii")
    put_file(objects.add_bucket(hashes, owner=OWNER, public=True), HASH_KEY, text)
    text.unlink()
    return digest


class _KnownHash(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    modified_ns: int
    sha512: str


def sha512_of(iso: Path) -> str:
    """The file's SHA-512 in hexadecimal; kept beside it, for as long as its size and date stay the same."""
    kept, status = iso.with_name(f"{iso.name}.sha512.json"), iso.stat()
    with suppress(OSError, ValidationError):
        known = _KnownHash.model_validate_json(kept.read_bytes())
        if (known.size, known.modified_ns) == (status.st_size, status.st_mtime_ns):
            return known.sha512
    with iso.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").hexdigest()
    fresh = _KnownHash(size=status.st_size, modified_ns=status.st_mtime_ns, sha512=digest)
    # A user's own ISO may lie where we may not write: it's then read again next time.
    with suppress(OSError):
        kept.write_text(fresh.model_dump_json(), encoding="ascii")
    return digest


def _put_linked(bucket: Bucket, key: str, path: Path, digest: str) -> None:
    segment, size = bucket.new_file(), path.stat().st_size
    try:
        segment.hardlink_to(path.resolve())
    except OSError:
        # Another file system, or no right to link somebody else's file.
        copy_sparse(path, segment, size=size)
    etag = f"{digest[:32]}-{max(1, -(-size // _PART))}"
    bucket.keep(ObjectRecord(key=key, etag=etag, modified=now(), segments=(Segment(file=segment.name, size=size),)))
