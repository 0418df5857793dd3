"""How bytes become an object: by which rights, in one step, and what is left of those that don't."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.google_identity.refusal import ApiRefusal
from localcloud.google_storage.conditions import check_write
from localcloud.google_storage.record import ObjectRecord
from localcloud.objects.record import Segment

if TYPE_CHECKING:
    from datetime import datetime

    from localcloud.google_storage.digests import Digests
    from localcloud.google_storage.record import Condition, Promise, Properties
    from localcloud.google_storage.store import Bucket


def refuse_replacing(bucket: Bucket, name: str, may_replace: bool) -> None:
    """Putting an object in another one's place needs the right to delete that one."""
    if not may_replace and bucket.find(name) is not None:
        permission = "storage.objects.delete"
        message = (
            f"The caller does not have {permission} access to the Google Cloud Storage object. "
            f"Permission '{permission}' denied on resource (or it may not exist)."
        )
        raise ApiRefusal(403, "forbidden", message)


def make_object(
    bucket: Bucket,
    name: str,
    *,
    file: str,
    digests: Digests,
    promise: Promise,
    condition: Condition,
    properties: Properties,
    may_replace: bool,
    moment: datetime,
) -> ObjectRecord:
    """Make an object of a file of the bucket; one that's refused leaves nothing, its file neither."""
    try:
        digests.check(promise)
        with bucket.lock:
            check_write(condition, bucket.find(name))
            refuse_replacing(bucket, name, may_replace)
            record = ObjectRecord(
                name=name,
                generation=bucket.next_generation(moment),
                created=moment,
                updated=moment,
                segments=(Segment(file=file, size=digests.size),),
                crc32c=digests.crc32c,
                md5=digests.md5,
                properties=properties,
            )
            bucket.keep(record)
    except ApiRefusal:
        bucket.drop([file])
        raise
    return record
