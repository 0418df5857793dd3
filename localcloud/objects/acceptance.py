"""Which of the headers that an operation may have by the vendor's model are acted on; the others are refused.

Source: botocore's service model s3 2006-03-01. What stands in the query is the routes' to judge.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from localcloud.ebs.vendor_model import VendorModel
from localcloud.objects.refusal import S3Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping


def _set(*names: str) -> frozenset[str]:
    return frozenset(names)


_OWNER = _set("ExpectedBucketOwner")
# No bucket here bills whoever asks, so that a payer may be named everywhere.
_ASKED = _OWNER | {"RequestPayer"}
_CHECKSUMS = _set("ChecksumAlgorithm", "ChecksumCRC32", "ChecksumSHA1", "ChecksumSHA256")
_SENT = _CHECKSUMS | {"ContentLength", "ContentMD5"}
_KEPT = _set(
    "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires",
    "ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "StorageClass", "Tagging",
)  # fmt: skip
_IF = _set("IfMatch", "IfNoneMatch")
_READ = _ASKED | _IF | {"IfModifiedSince", "IfUnmodifiedSince", "Range", "ChecksumMode"}
_SOURCE = _set(
    "CopySource", "CopySourceIfMatch", "CopySourceIfModifiedSince", "CopySourceIfNoneMatch",
    "CopySourceIfUnmodifiedSince", "ExpectedSourceBucketOwner",
)  # fmt: skip
_DOCUMENT = _set("ChecksumAlgorithm", "ContentMD5")
HANDLED: Mapping[str, frozenset[str]] = {
    "ListBuckets": frozenset(),
    "CreateBucket": frozenset(),
    "HeadBucket": _OWNER,
    "DeleteBucket": _OWNER,
    "GetBucketLocation": _OWNER,
    "ListObjectsV2": _ASKED,
    "ListMultipartUploads": _ASKED,
    "DeleteObjects": _ASKED | _DOCUMENT,
    "PutObject": _ASKED | _SENT | _KEPT | _IF,
    "GetObject": _READ,
    "HeadObject": _READ,
    "DeleteObject": _ASKED,
    "GetObjectTagging": _ASKED,
    "PutObjectTagging": _ASKED | _DOCUMENT,
    "DeleteObjectTagging": _OWNER,
    "CreateMultipartUpload": _ASKED | _KEPT | {"ChecksumAlgorithm", "ChecksumType"},
    "UploadPart": _ASKED | _SENT,
    "ListParts": _ASKED,
    "CompleteMultipartUpload": _ASKED | _IF | {"MpuObjectSize"},
    "AbortMultipartUpload": _ASKED,
    "CopyObject": _ASKED | _KEPT | _IF | _SOURCE | {"MetadataDirective", "TaggingDirective"},
    "UploadPartCopy": _ASKED | _SOURCE | {"CopySourceRange"},
}


@cache
def _unhandled(operation: str) -> Mapping[str, str]:
    """Headers in lower case, with the members that they stand for."""
    model = _model()
    located = ((name, each) for name, each in model.members(model.input_of(operation)) if _in_header(each))
    return {each["locationName"].lower(): name for name, each in located if name not in HANDLED[operation]}


@cache
def _model() -> VendorModel:
    return VendorModel("s3", "2006-03-01")


def _in_header(shape: Mapping[str, object]) -> bool:
    return shape.get("location") == "header"


def refuse_unhandled(operation: str, headers: Mapping[str, str]) -> None:
    """Refuse a request with a header that the real service would act on and this one doesn't."""
    for header, member in _unhandled(operation).items():
        if header in headers:
            message = f"{member} ({header}) of {operation} isn't emulated"
            raise S3Refusal(code="NotImplemented", message=message)
