"""Calls on a bucket: listing, deleting many, uploads under way, location.

Source: botocore's service model s3 2006-03-01 and the Amazon S3 API reference.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING
from urllib.parse import quote

from localcloud.objects import documents
from localcloud.objects.exchange import Reply
from localcloud.objects.refusal import S3Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from localcloud.objects.exchange import S3Request
    from localcloud.objects.record import ObjectRecord
    from localcloud.objects.store import Bucket

MOST_KEYS = 1000
LIST_QUERY = frozenset(
    {"prefix", "delimiter", "max-keys", "continuation-token", "start-after", "encoding-type", "fetch-owner"}
)
_QUIET_TAGS = frozenset({"Object", "Quiet"})
_NAMED, _PINNED = frozenset({"Key"}), frozenset({"ETag", "LastModifiedTime", "Size", "VersionId"})


def list_objects(request: S3Request, bucket: Bucket) -> Reply:
    """ListObjectsV2: keys and common prefixes in one order, a page at a time."""
    if request.query["list-type"] != "2":
        raise S3Refusal(code="InvalidArgument", message="Invalid List Type specified in Query")
    size = request.number("max-keys", MOST_KEYS, least=0, most=10**9)
    size = min(size, MOST_KEYS)
    encode = _encoder(request)
    found, prefixes, following = _page(request, bucket, size)
    token = request.query.get("continuation-token")
    content = {
        "Name": request.bucket,
        "Prefix": encode(request.query.get("prefix", "")),
        "Delimiter": encode(request.query["delimiter"]) if "delimiter" in request.query else None,
        "StartAfter": encode(request.query["start-after"]) if "start-after" in request.query else None,
        "EncodingType": request.query.get("encoding-type"),
        "ContinuationToken": token,
        "NextContinuationToken": base64.b64encode(following.encode()).decode("ascii") if following else None,
        "KeyCount": len(found) + len(prefixes),
        "MaxKeys": size,
        "IsTruncated": following is not None,
        "Contents": [_entry(record, request, bucket, encode) for record in found],
        "CommonPrefixes": [{"Prefix": encode(each)} for each in prefixes],
    }
    return Reply(body=documents.write("ListBucketResult", content))


def _page(request: S3Request, bucket: Bucket, size: int) -> tuple[list[ObjectRecord], list[str], str | None]:
    """Objects, common prefixes, and the last of either where more follow."""
    prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
    after = _after(request)
    found: list[ObjectRecord] = []
    prefixes: list[str] = []
    last = None
    for key in bucket.keys_from(max(prefix, after)):
        if not key.startswith(prefix):
            break
        rest = key[len(prefix) :]
        group = prefix + rest[: rest.index(delimiter) + len(delimiter)] if delimiter and delimiter in rest else None
        if key <= after or (group is not None and (group <= after or group in prefixes[-1:])):
            continue
        if len(found) + len(prefixes) >= size:
            return found, prefixes, last if size else None
        record = bucket.find(key)
        if group is not None:
            prefixes.append(group)
        elif record is not None:
            found.append(record)
        last = group or key
    return found, prefixes, None


def _after(request: S3Request) -> str:
    token = request.query.get("continuation-token")
    if token is None:
        return request.query.get("start-after", "")
    try:
        return base64.b64decode(token, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise S3Refusal(code="InvalidArgument", message="The continuation token provided is incorrect") from error


def _encoder(request: S3Request) -> Callable[[str], str]:
    kind = request.query.get("encoding-type")
    if kind not in (None, "url"):
        raise S3Refusal(code="InvalidArgument", message="Invalid Encoding Method specified in Request")
    return (lambda text: quote(text, safe="/")) if kind else str


def _entry(record: ObjectRecord, request: S3Request, bucket: Bucket, encode: Callable[[str], str]) -> dict[str, object]:
    owner = {"ID": bucket.record.owner} if request.query.get("fetch-owner") == "true" else None
    return {
        "Key": encode(record.key),
        "LastModified": f"{record.modified:%Y-%m-%dT%H:%M:%S.000Z}",
        "ETag": f'"{record.etag}"',
        "ChecksumAlgorithm": [name.upper() for name in record.checksums],
        "Size": record.size,
        "Owner": owner,
        "StorageClass": "STANDARD",
    }


def delete_objects(request: S3Request, bucket: Bucket) -> Reply:
    """DeleteObjects."""
    document = documents.read(request.document(), "Delete")
    if {child.tag for child in document} - _QUIET_TAGS or len(document) > MOST_KEYS + 1:
        raise S3Refusal(code="MalformedXML", message=f"A Delete holds at most {MOST_KEYS} objects")
    objects = (documents.children(each, _NAMED, unemulated=_PINNED) for each in document.iterfind("Object"))
    keys = [each.get("Key", "") for each in objects]
    for key in keys:
        bucket.delete(key)
    quiet = document.findtext("Quiet") == "true"
    return Reply(body=documents.write("DeleteResult", {"Deleted": [] if quiet else [{"Key": key} for key in keys]}))


def list_uploads(request: S3Request, bucket: Bucket) -> Reply:
    """ListMultipartUploads, on one page."""
    uploads = [each for each in bucket.uploads() if each.key.startswith(request.query.get("prefix", ""))]
    if len(uploads) > MOST_KEYS:
        raise S3Refusal(code="NotImplemented", message=f"More than {MOST_KEYS} uploads under way aren't emulated")
    encode = _encoder(request)
    content = {
        "Bucket": request.bucket,
        "MaxUploads": MOST_KEYS,
        "IsTruncated": False,
        "EncodingType": request.query.get("encoding-type"),
        "Upload": [
            {"Key": encode(each.key), "UploadId": each.id, "Initiated": f"{each.started:%Y-%m-%dT%H:%M:%S.000Z}"}
            for each in sorted(uploads, key=lambda each: (each.key, each.started))
        ],
    }
    return Reply(body=documents.write("ListMultipartUploadsResult", content))


def head_bucket(request: S3Request, bucket: Bucket) -> Reply:
    """HeadBucket."""
    return Reply(headers={"x-amz-bucket-region": bucket.record.region})


def get_location(request: S3Request, bucket: Bucket) -> Reply:
    """GetBucketLocation; us-east-1 has none."""
    region = bucket.record.region
    text = "" if region == "us-east-1" else region
    return Reply(body=f'<LocationConstraint xmlns="{documents.NAMESPACE}">{text}</LocationConstraint>')
