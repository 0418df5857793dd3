"""Calls on one object: put, get, head, delete, copy, tags.

Source: botocore's service model s3 2006-03-01 and the Amazon S3 API reference.
"""

from __future__ import annotations

from email.utils import format_datetime
from typing import TYPE_CHECKING

from localcloud.objects import documents
from localcloud.objects.conditions import check_read, check_write, chosen_range
from localcloud.objects.copying import Source, copy_bytes
from localcloud.objects.exchange import Reply
from localcloud.objects.intake import LARGEST_PUT, receive
from localcloud.objects.properties import checked_tags, encryption_headers, read_headers, read_properties
from localcloud.objects.record import ObjectRecord
from localcloud.objects.refusal import S3Refusal
from localcloud.objects.store import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from localcloud.objects.exchange import S3Request
    from localcloud.objects.store import Bucket

_OVERRIDES = {
    f"response-{name}": name
    for name in (
        "content-type", "content-language", "expires", "cache-control", "content-disposition", "content-encoding",
    )
}  # fmt: skip
READ_QUERY = frozenset(_OVERRIDES)


def put_object(request: S3Request, bucket: Bucket) -> Reply:
    """PutObject."""
    check_write(request.headers, bucket.find(request.key))
    properties = read_properties(request.headers)
    received = receive(bucket, request.headers, request.stream)
    record = ObjectRecord(
        key=request.key,
        etag=received.etag,
        modified=now(),
        segments=(received.segment,),
        properties=properties,
        checksums=received.checksums,
    )
    try:
        with bucket.lock:
            check_write(request.headers, bucket.find(request.key))
            bucket.keep(record)
    except S3Refusal:
        bucket.drop(record.segments)
        raise
    return Reply(headers={"ETag": f'"{record.etag}"', **checksum_headers(record), **encryption_headers(properties)})


def get_object(request: S3Request, bucket: Bucket) -> Reply:
    """GetObject and HeadObject."""
    record = found(bucket, request.key)
    check_read(request.headers, record)
    chosen = chosen_range(request.headers.get("range"), record.size)
    start, end = chosen or (0, record.size)
    headers = {
        **read_headers(record.properties),
        "ETag": f'"{record.etag}"',
        "Last-Modified": format_datetime(record.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Length": str(end - start),
    }
    headers.update({_OVERRIDES[name]: value for name, value in request.query.items() if name in _OVERRIDES})
    if chosen:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{record.size}"
    elif request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        headers.update(checksum_headers(record))
    body = bucket.read(record, start, end) if request.method == "GET" else ()
    return Reply(206 if chosen else 200, headers, body)


def delete_object(request: S3Request, bucket: Bucket) -> Reply:
    """DeleteObject; of a key that isn't there too, as S3 has it."""
    bucket.delete(request.key)
    return Reply(204)


def copy_object(request: S3Request, bucket: Bucket, source: Source) -> Reply:
    """CopyObject: links the source's bytes, or reads them once where their MD5 isn't known."""
    old = source.record
    check_read(request.headers, old, "x-amz-copy-source-")
    check_write(request.headers, bucket.find(request.key))
    if old.size > LARGEST_PUT:
        message = "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120"
        raise S3Refusal(code="InvalidRequest", message=message)
    fresh = read_properties(request.headers)
    metadata = _directive(request, "x-amz-metadata-directive") == "REPLACE"
    tags = _directive(request, "x-amz-tagging-directive") == "REPLACE"
    if source.bucket is bucket and old.key == request.key and not metadata:
        message = "This copy request is illegal because it is trying to copy an object to itself without changes."
        raise S3Refusal(code="InvalidRequest", message=message)
    properties = fresh if metadata else old.properties
    properties = properties.model_copy(
        update={
            "tags": fresh.tags if tags else old.properties.tags,
            "headers": {**properties.headers, **encryption_headers(fresh)},
        }
    )
    if "-" in old.etag:
        received = copy_bytes(bucket, source, 0, old.size)
        update = {"segments": (received.segment,), "etag": received.etag, "checksums": {}, "composite": False}
    else:
        update = {"segments": bucket.link(source.bucket, old.segments)}
    record = old.model_copy(update={**update, "key": request.key, "modified": now(), "properties": properties})
    bucket.keep(record)
    return Reply(headers=encryption_headers(properties), body=copy_result("CopyObjectResult", record.etag))


def copy_result(root: str, etag: str) -> str:
    """The document of a copy and of a part's copy."""
    return documents.write(root, {"ETag": f'"{etag}"', "LastModified": f"{now():%Y-%m-%dT%H:%M:%S.000Z}"})


def _directive(request: S3Request, name: str) -> str:
    value = request.headers.get(name, "COPY")
    if value not in {"COPY", "REPLACE"}:
        raise S3Refusal(code="InvalidArgument", message=f"Unknown {name}")
    return value


def get_tags(request: S3Request, bucket: Bucket) -> Reply:
    """GetObjectTagging."""
    tags = found(bucket, request.key).properties.tags
    listed = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    return Reply(body=documents.write("Tagging", {"TagSet": {"Tag": listed}}))


def put_tags(request: S3Request, bucket: Bucket) -> Reply:
    """PutObjectTagging."""
    document = documents.read(request.document(), "Tagging")
    pairs = [documents.children(tag, frozenset({"Key", "Value"})) for tag in document.iterfind("TagSet/Tag")]
    _retag(bucket, request.key, lambda: checked_tags((each.get("Key", ""), each.get("Value", "")) for each in pairs))
    return Reply()


def delete_tags(request: S3Request, bucket: Bucket) -> Reply:
    """DeleteObjectTagging."""
    _retag(bucket, request.key, dict)
    return Reply(204)


def _retag(bucket: Bucket, key: str, tags: Callable[[], dict[str, str]]) -> None:
    with bucket.lock:
        record = found(bucket, key)
        properties = record.properties.model_copy(update={"tags": tags()})
        bucket.keep(record.model_copy(update={"properties": properties}))


def found(bucket: Bucket, key: str) -> ObjectRecord:
    """The object, or NoSuchKey."""
    record = bucket.find(key)
    if record is None:
        raise S3Refusal(code="NoSuchKey", message="The specified key does not exist.")
    return record


def checksum_headers(record: ObjectRecord) -> dict[str, str]:
    """The checksums that the writer sent, and whether they're of the whole object."""
    if not record.checksums:
        return {}
    kind = "COMPOSITE" if record.composite else "FULL_OBJECT"
    named = {f"x-amz-checksum-{name}": value for name, value in record.checksums.items()}
    return {**named, "x-amz-checksum-type": kind}
