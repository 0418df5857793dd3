"""Multipart uploads of the XML API: parts by many requests at once, which the last request makes an object of.

Sources: Cloud Storage documentation, "XML API multipart uploads" (no preconditions, no end of their life), the XML
API's references of their four requests, and "Quotas & limits" (sizes and numbers of parts).
"""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from localcloud.google_identity.refusal import ApiRefusal, Json
from localcloud.google_storage.digests import Digests, joined_crc
from localcloud.google_storage.exchange import Reply, StorageRequest
from localcloud.google_storage.intake import promised, take
from localcloud.google_storage.keeping import refuse_replacing
from localcloud.google_storage.record import MultipartRecord, ObjectRecord, PartRecord, Promise
from localcloud.google_storage.resources import etag_of
from localcloud.google_storage.upload_calls import wanted_object
from localcloud.google_storage.xml_shape import document_reply, read_parts
from localcloud.objects.record import Segment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localcloud.azure.clock import Clock
    from localcloud.google_storage.store import Bucket

SMALLEST_PART, LARGEST_PART = 5 * 1024**2, 5 * 1024**3
"""Bytes; the last part may be smaller."""
MOST_PARTS = 10_000
_META = "x-goog-meta-"
_FIELDS = {
    "cache-control": "cacheControl",
    "content-disposition": "contentDisposition",
    "content-encoding": "contentEncoding",
    "content-language": "contentLanguage",
    "x-goog-storage-class": "storageClass",
}
_NUMBER = re.compile(r"[1-9][0-9]{0,4}")


def initiate(request: StorageRequest, bucket: Bucket, clock: Clock) -> Reply:
    """POST ?uploads: the headers say what there is to say of the object."""
    if request.body.left:
        raise ApiRefusal(400, "InvalidArgument", "A request that begins a multipart upload has no body.")
    # Whether another object may be replaced is judged in the end.
    asked = replace(request, may_replace=True)
    wanted = wanted_object(asked, bucket, _document(request), request.headers.get("content-type"))
    record = MultipartRecord(
        id=secrets.token_urlsafe(48), name=wanted.name, started=clock.now(), properties=wanted.properties
    )
    bucket.keep_multipart(record)
    named = {"Bucket": request.bucket, "Key": record.name, "UploadId": record.id}
    return document_reply("InitiateMultipartUploadResult", named)


def upload_part(request: StorageRequest, bucket: Bucket) -> Reply:
    """PUT ?partNumber&uploadId: a part, in place of the one of that number."""
    number, record = _part_number(request), _live(request, bucket)
    if request.body.left > LARGEST_PART:
        raise ApiRefusal(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size of a part.")
    path, digests = bucket.new_file(), Digests()
    try:
        promise = promised(request.headers, Promise())
        if not take(request.body, path, digests, request.body.left):
            raise ApiRefusal(400, "IncompleteBody", "The body isn't as long as it says.")
        _check_digests(digests, promise)
        part = PartRecord(file=path.name, size=digests.size, md5=digests.md5, crc32c=digests.crc32c)
        with bucket.lock:
            record = _live(request, bucket)
            before = record.parts.get(number)
            bucket.keep_multipart(record.model_copy(update={"parts": {**record.parts, number: part}}))
    except (ApiRefusal, OSError):
        path.unlink(missing_ok=True)
        raise
    bucket.drop([before.file] if before else [])
    headers = {"ETag": _etag(part), "X-Goog-Hash": f"crc32c={part.crc32c},md5={part.md5}", "Content-Length": "0"}
    return Reply(headers=headers)


def complete(request: StorageRequest, bucket: Bucket, clock: Clock) -> Reply:
    """POST ?uploadId: the parts that the body names, one after the other, become the object; the others go."""
    named = read_parts(request)
    with bucket.lock:
        upload = _live(request, bucket)
        parts = _chosen(upload, named)
        refuse_replacing(bucket, upload.name, request.may_replace)
        now = clock.now()
        record = ObjectRecord(
            name=upload.name,
            generation=bucket.next_generation(now),
            created=now,
            updated=now,
            segments=tuple(Segment(file=each.file, size=each.size) for each in parts),
            crc32c=joined_crc((each.crc32c, each.size) for each in parts),
            md5=None,
            properties=upload.properties,
        )
        bucket.keep(record)
        bucket.forget_multipart(upload.id)
        used = {each.file for each in parts}
        bucket.drop(each.file for each in upload.parts.values() if each.file not in used)
    content = {
        "Location": f"{request.base}/{request.bucket}/{quote(record.name)}",
        "Bucket": request.bucket,
        "Key": record.name,
        "ETag": f'"{etag_of(record.generation, record.metageneration)}"',
    }
    return document_reply("CompleteMultipartUploadResult", content)


def abort(request: StorageRequest, bucket: Bucket) -> Reply:
    """DELETE ?uploadId: its parts go."""
    with bucket.lock:
        upload = _live(request, bucket)
        bucket.forget_multipart(upload.id)
        bucket.drop(each.file for each in upload.parts.values())
    return Reply(204)


def _document(request: StorageRequest) -> Json:
    """The object's document, which the XML API has in headers."""
    fields = {name: request.headers[header] for header, name in _FIELDS.items() if header in request.headers}
    own = {name.removeprefix(_META): value for name, value in request.headers.items() if name.startswith(_META)}
    return {"name": request.name, "metadata": own, **fields}


def _part_number(request: StorageRequest) -> int:
    text = request.query["partNumber"]
    if _NUMBER.fullmatch(text) is None or int(text) > MOST_PARTS:
        message = f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive."
        raise ApiRefusal(400, "InvalidArgument", message)
    return int(text)


def _live(request: StorageRequest, bucket: Bucket) -> MultipartRecord:
    upload = bucket.find_multipart(request.query["uploadId"])
    if upload is None or upload.name != request.name:
        raise ApiRefusal(404, "NoSuchUpload", "The requested upload was not found.")
    return upload


def _check_digests(digests: Digests, promise: Promise) -> None:
    try:
        digests.check(promise)
    except ApiRefusal as refusal:
        raise ApiRefusal(400, "BadDigest", refusal.message) from refusal


def _chosen(upload: MultipartRecord, named: Sequence[tuple[int, str]]) -> list[PartRecord]:
    """The parts that are named, each by its number and its ETag."""
    numbers = [number for number, _ in named]
    if numbers != sorted(set(numbers)):
        raise ApiRefusal(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
    for number, etag in named:
        _check_part(upload.parts, number, etag)
    parts = [upload.parts[number] for number in numbers]
    if any(each.size < SMALLEST_PART for each in parts[:-1]):
        raise ApiRefusal(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum object size.")
    return parts


def _check_part(parts: Mapping[int, PartRecord], number: int, etag: str) -> None:
    if number not in parts or etag.strip('"') != _etag(parts[number]).strip('"'):
        message = f"Part {number} could not be found, or its entity tag isn't the one that was given."
        raise ApiRefusal(400, "InvalidPart", message)


def _etag(part: PartRecord) -> str:
    return f'"{base64.b64decode(part.md5).hex()}"'
