"""What a writer says of an object by headers and what a reader gets back: metadata, tags, encryption.

Source: botocore's service model s3 2006-03-01 (headers of PutObject and GetObject), S3 user guide (limits).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from localcloud.objects.record import Properties
from localcloud.objects.refusal import S3Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ENCRYPTION = "x-amz-server-side-encryption"
KEPT = (
    "content-type",
    "content-encoding",
    "cache-control",
    "content-disposition",
    "content-language",
    "expires",
    "x-amz-storage-class",
    _ENCRYPTION,
    f"{_ENCRYPTION}-aws-kms-key-id",
    f"{_ENCRYPTION}-bucket-key-enabled",
)
_META = "x-amz-meta-"
LARGEST_METADATA = 2048
"""Bytes of all names and values."""
MOST_TAGS = 10


def read_properties(headers: Mapping[str, str]) -> Properties:
    """Of PutObject, CopyObject and CreateMultipartUpload."""
    kept = {name: headers[name] for name in KEPT if headers.get(name)}
    encodings = [each.strip() for each in kept.pop("content-encoding", "").split(",")]
    if real := [each for each in encodings if each not in {"", "aws-chunked"}]:
        kept["content-encoding"] = ",".join(real)
    if kept.get(_ENCRYPTION) not in (None, "AES256", "aws:kms"):
        raise S3Refusal(code="InvalidArgument", message="The encryption method specified is not supported")
    if kept.get("x-amz-storage-class", "STANDARD") != "STANDARD":
        raise S3Refusal(code="NotImplemented", message="Only the storage class STANDARD is emulated")
    metadata = {name.removeprefix(_META): value for name, value in headers.items() if name.startswith(_META)}
    if sum(len(name) + len(value) for name, value in metadata.items()) > LARGEST_METADATA:
        raise S3Refusal(code="MetadataTooLarge", message="Your metadata headers exceed the maximum allowed size")
    tags = parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True)
    return Properties(headers=kept, metadata=metadata, tags=checked_tags(tags))


def checked_tags(tags: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Tags as a mapping; refuses more than ten, long ones and a key twice."""
    given = list(tags)
    if len(given) > MOST_TAGS:
        raise S3Refusal(code="BadRequest", message=f"Object tags cannot be greater than {MOST_TAGS}")
    if len({key for key, _ in given}) != len(given):
        raise S3Refusal(code="InvalidTag", message="Cannot provide multiple Tags with the same key")
    if any(not 1 <= len(key) <= 128 or len(value) > 256 for key, value in given):
        raise S3Refusal(code="InvalidTag", message="The TagKey or TagValue you have provided is invalid")
    return dict(given)


def encryption_headers(properties: Properties) -> dict[str, str]:
    """What the answer to a write repeats of the encryption."""
    return {name: value for name, value in properties.headers.items() if name.startswith(_ENCRYPTION)}


def read_headers(properties: Properties) -> dict[str, str]:
    """What the answer to a read carries."""
    headers = {"content-type": "binary/octet-stream", **properties.headers}
    headers.update({f"{_META}{name}": value for name, value in properties.metadata.items()})
    if properties.tags:
        headers["x-amz-tagging-count"] = str(len(properties.tags))
    return headers
