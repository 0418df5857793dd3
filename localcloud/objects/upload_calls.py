"""Multipart uploads: create, parts, copies into parts, list, complete, abort.

Source: botocore's service model s3 2006-03-01; S3 user guide, "Multipart upload overview" (limits) and "Checking
object integrity" (composite checksums: the checksum of the parts' checksums, `-` and their number).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from itertools import pairwise
from typing import TYPE_CHECKING

from localcloud.objects import documents
from localcloud.objects.conditions import check_read, check_write, chosen_range
from localcloud.objects.copying import Source, copy_bytes
from localcloud.objects.exchange import Reply
from localcloud.objects.intake import ALL_ALGORITHMS, LARGEST_PUT, Received, check_algorithm, new_digest, receive
from localcloud.objects.object_calls import checksum_headers, copy_result
from localcloud.objects.properties import encryption_headers, read_properties
from localcloud.objects.record import ObjectRecord, PartRecord, UploadRecord
from localcloud.objects.refusal import S3Refusal
from localcloud.objects.store import now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from localcloud.objects.exchange import S3Request
    from localcloud.objects.store import Bucket

SMALLEST_PART = 5 * 1024 * 1024
"""Bytes of every part but the last."""
MOST_PARTS = 10_000
_MOST_LISTED = 1000
_CHECKSUM_TAGS = {f"Checksum{name.upper()}": name for name in ("crc32", "sha1", "sha256")}
_PART_TAGS = frozenset({"PartNumber", "ETag", *_CHECKSUM_TAGS})
_UNEMULATED = frozenset(f"Checksum{name.upper()}" for name in ALL_ALGORITHMS) - _PART_TAGS


def create_upload(request: S3Request, bucket: Bucket) -> Reply:
    """CreateMultipartUpload."""
    algorithm = request.headers.get("x-amz-checksum-algorithm", "").lower() or None
    if algorithm is not None:
        check_algorithm(algorithm)
    if request.headers.get("x-amz-checksum-type", "COMPOSITE") != "COMPOSITE":
        raise S3Refusal(code="NotImplemented", message="Only composite checksums of uploads are emulated")
    properties = read_properties(request.headers)
    upload = UploadRecord(
        id=secrets.token_hex(32),
        key=request.key,
        owner=request.caller or "",
        started=now(),
        properties=properties,
        algorithm=algorithm,
    )
    bucket.open_upload(upload)
    headers = encryption_headers(properties)
    if algorithm is not None:
        headers |= {"x-amz-checksum-algorithm": algorithm.upper(), "x-amz-checksum-type": "COMPOSITE"}
    names = {"Bucket": request.bucket, "Key": request.key, "UploadId": upload.id}
    return Reply(headers=headers, body=documents.write("InitiateMultipartUploadResult", names))


def put_part(request: S3Request, bucket: Bucket) -> Reply:
    """UploadPart."""
    upload, number = _upload(request, bucket), _part_number(request)
    received = receive(bucket, request.headers, request.stream)
    if upload.algorithm is not None and upload.algorithm not in received.checksums and received.checksums:
        bucket.drop([received.segment])
        message = f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm}"
        raise S3Refusal(code="InvalidRequest", message=message)
    _keep(bucket, upload, number, received)
    named = {f"x-amz-checksum-{name}": value for name, value in received.checksums.items()}
    return Reply(headers={"ETag": f'"{received.etag}"', **named, **encryption_headers(upload.properties)})


def copy_part(request: S3Request, bucket: Bucket, source: Source) -> Reply:
    """UploadPartCopy."""
    upload, number = _upload(request, bucket), _part_number(request)
    check_read(request.headers, source.record, "x-amz-copy-source-")
    header = request.headers.get("x-amz-copy-source-range")
    chosen = chosen_range(header, source.record.size)
    if header is not None and chosen is None:
        message = "The x-amz-copy-source-range value must be of the form bytes=first-last"
        raise S3Refusal(code="InvalidArgument", message=message)
    start, end = chosen or (0, source.record.size)
    if end - start > LARGEST_PUT:
        raise S3Refusal(code="InvalidRequest", message="The specified copy source is larger than a part may be")
    received = copy_bytes(bucket, source, start, end, upload.algorithm)
    _keep(bucket, upload, number, received)
    return Reply(body=copy_result("CopyPartResult", received.etag))


def _keep(bucket: Bucket, upload: UploadRecord, number: int, received: Received) -> None:
    part = PartRecord(
        number=number,
        etag=received.etag,
        modified=now(),
        segments=(received.segment,),
        checksums=received.checksums,
    )
    if not bucket.keep_part(upload.id, part):
        bucket.drop(part.segments)
        raise _no_upload()


def list_parts(request: S3Request, bucket: Bucket) -> Reply:
    """ListParts."""
    upload = _upload(request, bucket)
    size = request.number("max-parts", _MOST_LISTED, least=1, most=_MOST_LISTED)
    after = request.number("part-number-marker", 0, least=0, most=MOST_PARTS)
    left = [part for part in bucket.parts(upload.id).values() if part.number > after]
    parts = [
        {
            "PartNumber": part.number,
            "LastModified": f"{part.modified:%Y-%m-%dT%H:%M:%S.000Z}",
            "ETag": f'"{part.etag}"',
            "Size": part.size,
            **{f"Checksum{name.upper()}": value for name, value in part.checksums.items()},
        }
        for part in left[:size]
    ]
    content = {
        "Bucket": request.bucket,
        "Key": request.key,
        "UploadId": upload.id,
        "PartNumberMarker": after,
        "NextPartNumberMarker": left[size - 1].number if len(left) > size else None,
        "MaxParts": size,
        "IsTruncated": len(left) > size,
        "StorageClass": "STANDARD",
        "Part": parts,
    }
    return Reply(body=documents.write("ListPartsResult", content))


def abort_upload(request: S3Request, bucket: Bucket) -> Reply:
    """AbortMultipartUpload."""
    bucket.close_upload(_upload(request, bucket).id)
    return Reply(204)


def complete_upload(request: S3Request, bucket: Bucket) -> Reply:
    """CompleteMultipartUpload: the parts become the object's segments, no byte is copied."""
    upload = _upload(request, bucket)
    named = _named_parts(documents.read(request.document(), "CompleteMultipartUpload"))
    with bucket.lock:
        stored = bucket.parts(_upload(request, bucket).id)
        check_write(request.headers, bucket.find(request.key))
        parts = [_checked_part(each, stored) for each in named]
        if any(part.size < SMALLEST_PART for part in parts[:-1]):
            message = "Your proposed upload is smaller than the minimum allowed size"
            raise S3Refusal(code="EntityTooSmall", message=message)
        _check_size(request, parts)
        record = _assembled(request, upload, parts)
        bucket.keep(record)
        bucket.close_upload(upload.id, used=[part.number for part in parts])
    checksums = {f"Checksum{name.upper()}": value for name, value in record.checksums.items()}
    content = {
        "Location": f"/{request.bucket}/{request.key}",
        "Bucket": request.bucket,
        "Key": request.key,
        "ETag": f'"{record.etag}"',
        **checksums,
        "ChecksumType": checksum_headers(record).get("x-amz-checksum-type"),
    }
    headers = encryption_headers(upload.properties)
    return Reply(headers=headers, body=documents.write("CompleteMultipartUploadResult", content))


def _named_parts(document: Element) -> list[dict[str, str]]:
    named = [documents.children(part, _PART_TAGS, unemulated=_UNEMULATED) for part in document]
    numbers = [int(each["PartNumber"]) if each.get("PartNumber", "").isdecimal() else 0 for each in named]
    if not named or len(named) > MOST_PARTS or not all(1 <= number <= MOST_PARTS for number in numbers):
        raise S3Refusal(code="MalformedXML", message="The parts aren't between one and 10,000 with their numbers")
    if any(following <= number for number, following in pairwise(numbers)):
        message = "The list of parts was not in ascending order. Parts must be ordered by part number."
        raise S3Refusal(code="InvalidPartOrder", message=message)
    return named


def _checked_part(named: dict[str, str], stored: dict[int, PartRecord]) -> PartRecord:
    part = stored.get(int(named["PartNumber"]))
    fits = part is not None and part.etag == named.get("ETag", "").strip('"')
    if part is None or not fits or any(
        part.checksums.get(name) != named[tag] for tag, name in _CHECKSUM_TAGS.items() if tag in named
    ):  # fmt: skip
        message = "One or more of the specified parts could not be found. The part may not have been uploaded."
        raise S3Refusal(code="InvalidPart", message=message)
    return part


def _check_size(request: S3Request, parts: Sequence[PartRecord]) -> None:
    expected = request.headers.get("x-amz-mp-object-size")
    if expected is not None and expected != str(sum(part.size for part in parts)):
        message = "The provided 'x-amz-mp-object-size' header does not match what was computed."
        raise S3Refusal(code="InvalidRequest", message=message)


def _assembled(request: S3Request, upload: UploadRecord, parts: Sequence[PartRecord]) -> ObjectRecord:
    digest = hashlib.md5(b"".join(binascii.unhexlify(part.etag) for part in parts), usedforsecurity=False)
    checksums = {}
    if upload.algorithm is not None and all(upload.algorithm in part.checksums for part in parts):
        combined = new_digest(upload.algorithm)
        combined.update(b"".join(base64.b64decode(part.checksums[upload.algorithm]) for part in parts))
        checksums[upload.algorithm] = f"{base64.b64encode(combined.digest()).decode('ascii')}-{len(parts)}"
    return ObjectRecord(
        key=request.key,
        etag=f"{digest.hexdigest()}-{len(parts)}",
        modified=now(),
        segments=tuple(segment for part in parts for segment in part.segments),
        properties=upload.properties,
        checksums=checksums,
        composite=True,
    )


def _upload(request: S3Request, bucket: Bucket) -> UploadRecord:
    upload = bucket.find_upload(request.query["uploadId"], request.key)
    if upload is None:
        raise _no_upload()
    return upload


def _no_upload() -> S3Refusal:
    message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted."
    return S3Refusal(code="NoSuchUpload", message=message)


def _part_number(request: S3Request) -> int:
    return request.number("partNumber", 0, least=1, most=MOST_PARTS)
