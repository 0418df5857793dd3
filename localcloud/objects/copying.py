"""The source of a copy and its bytes on their way to a new file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from localcloud.objects.intake import Digests, Received
from localcloud.objects.record import Segment
from localcloud.objects.refusal import S3Refusal

if TYPE_CHECKING:
    from localcloud.objects.record import ObjectRecord
    from localcloud.objects.store import Bucket


@dataclass(frozen=True, slots=True)
class Source:
    """An object that's copied."""

    bucket: Bucket
    record: ObjectRecord


def split_source(header: str) -> tuple[str, str]:
    """Bucket and key of an `x-amz-copy-source`."""
    path, _, version = header.partition("?")
    if version:
        raise S3Refusal(code="NotImplemented", message="Versions aren't emulated")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    if not bucket or not key:
        raise S3Refusal(code="InvalidArgument", message="Copy Source must mention the source bucket and key")
    return bucket, key


def copy_bytes(bucket: Bucket, source: Source, start: int, end: int, algorithm: str | None = None) -> Received:
    """Copy the bytes from `start` up to `end` of an object into a new segment of a bucket."""
    digests = Digests(algorithm=algorithm)
    path = bucket.new_file()
    with path.open("xb", buffering=0) as file:
        for chunk in source.bucket.read(source.record, start, end):
            digests.update(chunk)
            file.write(chunk)
    return Received(Segment(file=path.name, size=digests.size), digests.md5.hexdigest(), digests.checksums())
