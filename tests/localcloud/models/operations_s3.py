"""The emulated operations of S3, and the members of each that are acted on.

`RequestPayer` is acted on by doing nothing: no bucket here bills whoever asks.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import TYPE_CHECKING, Any

from tests.localcloud.models.emulated import Call, Emulated, With
from tests.localcloud.models.members import MOMENT
from tests.localcloud.models.place import BUCKET, OWNER

if TYPE_CHECKING:
    from tests.localcloud.models.place import Place

DATA = b"0123456789"
OWNED = {"ExpectedBucketOwner": OWNER}
ASKED = {**OWNED, "RequestPayer": "requester"}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _md5(data: bytes) -> str:
    return _base64(hashlib.md5(data, usedforsecurity=False).digest())


CHECKSUMS = {
    "ChecksumCRC32": _base64(zlib.crc32(DATA).to_bytes(4, "big")),
    "ChecksumSHA1": _base64(hashlib.sha1(DATA, usedforsecurity=False).digest()),
    "ChecksumSHA256": _base64(hashlib.sha256(DATA).digest()),
}
BODY = {"Body": DATA}
SENT = {
    **BODY,
    "ChecksumAlgorithm": "SHA256",
    "ContentLength": With(len(DATA), BODY),
    "ContentMD5": With(_md5(DATA), BODY),
    **{name: With(value, BODY) for name, value in CHECKSUMS.items()},
}
KEPT = {
    "CacheControl": "no-store",
    "ContentDisposition": "inline",
    "ContentEncoding": "gzip",
    "ContentLanguage": "en",
    "ContentType": "text/plain",
    "Expires": MOMENT,
    "Metadata": {"a": "b"},
    "ServerSideEncryption": "AES256",
    "StorageClass": "STANDARD",
    "SSEKMSKeyId": With("key", {"ServerSideEncryption": "aws:kms"}),
    "BucketKeyEnabled": True,
    "Tagging": "a=b",
}
READ = {
    **ASKED,
    "IfMatch": "*",
    "IfModifiedSince": MOMENT,
    "IfNoneMatch": '"another"',
    "IfUnmodifiedSince": MOMENT.replace(year=2100),
    "Range": "bytes=2-4",
    "ResponseCacheControl": "no-store",
    "ResponseContentDisposition": "inline",
    "ResponseContentEncoding": "gzip",
    "ResponseContentLanguage": "en",
    "ResponseContentType": "text/plain",
    "ResponseExpires": MOMENT,
    "ChecksumMode": "ENABLED",
}
SOURCE = {
    "CopySourceIfMatch": "*",
    "CopySourceIfModifiedSince": MOMENT,
    "CopySourceIfNoneMatch": '"another"',
    "CopySourceIfUnmodifiedSince": MOMENT.replace(year=2100),
    "ExpectedSourceBucketOwner": OWNER,
}
PART = {"PartNumber": 1}


def _bucket(_: Place) -> Call:
    return {"Bucket": BUCKET}


def _object(place: Place) -> Call:
    """One that has whatever an object can have."""
    kept = {name: value for name, value in KEPT.items() if not isinstance(value, With)}
    return {"Bucket": BUCKET, "Key": place.put(**kept, ChecksumAlgorithm="SHA256")}


def _new(place: Place) -> Call:
    return {"Bucket": BUCKET, "Key": place.unique("key")}


def _copy(place: Place) -> Call:
    return {**_new(place), "CopySource": f"{BUCKET}/{place.put()}"}


def _full_bucket(place: Place) -> Call:
    """A bucket with keys, some of them in a folder, and uploads under way."""
    bucket = place.bucket()
    for key in ("a", "folder/b", "folder/c", "z"):
        place.clients["s3"].put_object(Bucket=bucket, Key=key, ChecksumAlgorithm="SHA256")
        place.clients["s3"].create_multipart_upload(Bucket=bucket, Key=key)
    return {"Bucket": bucket}


def _continued(place: Place) -> With:
    call = _full_bucket(place)
    return With(place.clients["s3"].list_objects_v2(**call, MaxKeys=1)["NextContinuationToken"], call)


def _to_finish(place: Place) -> Call:
    upload, part = place.part()
    return {**upload, "MultipartUpload": {"Parts": [part]}}


def _finish_by_etag(place: Place) -> With:
    call = _to_finish(place)
    return With(call["MultipartUpload"]["Parts"][0]["ETag"], call)


def _to_replace(place: Place) -> With:
    """An upload that takes the place of an object."""
    upload, part = place.part(key=place.put())
    return With("*", {**upload, "MultipartUpload": {"Parts": [part]}})


def _tagged_by_md5(_: Place) -> With:
    """S3 reads the document as botocore writes it: on one line."""
    tags = "<TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet>"
    return With(_md5(f'<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{tags}</Tagging>'.encode()), {})


def _finish_by(algorithm: str) -> Any:  # noqa: ANN401 - a function of the place
    def made(place: Place) -> With:
        upload, part = place.part(algorithm)
        return With(part[f"Checksum{algorithm}"], {**upload, "MultipartUpload": {"Parts": [part]}})

    return made


S3 = (
    Emulated("s3", "ListBuckets", lambda _: {}),
    Emulated(
        "s3",
        "CreateBucket",
        lambda place: {"Bucket": place.unique("bucket")},
        {"CreateBucketConfiguration.LocationConstraint": "eu-west-1"},
    ),
    Emulated("s3", "HeadBucket", _bucket, OWNED),
    Emulated("s3", "DeleteBucket", lambda place: {"Bucket": place.bucket()}, OWNED),
    Emulated("s3", "GetBucketLocation", _bucket, OWNED),
    Emulated(
        "s3",
        "ListObjectsV2",
        _full_bucket,
        {
            **ASKED,
            "Delimiter": "/",
            "EncodingType": "url",
            "MaxKeys": 1,
            "Prefix": "folder/",
            "ContinuationToken": _continued,
            "FetchOwner": True,
            "StartAfter": "folder/b",
        },
    ),
    Emulated("s3", "ListMultipartUploads", _full_bucket, {**ASKED, "EncodingType": "url", "Prefix": "folder/"}),
    Emulated(
        "s3",
        "DeleteObjects",
        lambda place: {"Bucket": BUCKET, "Delete": {"Objects": [{"Key": place.put()}]}},
        {**ASKED, "Delete.Quiet": True, "ChecksumAlgorithm": "CRC32"},
    ),
    Emulated(
        "s3",
        "PutObject",
        _new,
        {**ASKED, **SENT, **KEPT, "IfNoneMatch": "*", "IfMatch": lambda place: With("*", {"Key": place.put()})},
    ),
    Emulated("s3", "GetObject", _object, READ),
    Emulated("s3", "HeadObject", _object, READ),
    Emulated("s3", "DeleteObject", _object, ASKED),
    Emulated("s3", "GetObjectTagging", _object, ASKED),
    Emulated(
        "s3",
        "PutObjectTagging",
        lambda place: {**_object(place), "Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}},
        {**ASKED, "ChecksumAlgorithm": "CRC32", "ContentMD5": _tagged_by_md5},
    ),
    Emulated("s3", "DeleteObjectTagging", _object, OWNED),
    Emulated(
        "s3",
        "CreateMultipartUpload",
        _new,
        {
            **ASKED,
            **KEPT,
            "ChecksumAlgorithm": "SHA256",
            "ChecksumType": With("COMPOSITE", {"ChecksumAlgorithm": "SHA1"}),
        },
    ),
    Emulated("s3", "UploadPart", lambda place: {**place.upload(), **PART}, {**ASKED, **SENT}),
    Emulated("s3", "ListParts", lambda place: place.part("SHA256")[0], {**ASKED, "MaxParts": 1, "PartNumberMarker": 1}),
    Emulated(
        "s3",
        "CompleteMultipartUpload",
        _to_finish,
        {
            **ASKED,
            "MultipartUpload.Parts.PartNumber": 1,
            "MultipartUpload.Parts.ETag": _finish_by_etag,
            "MultipartUpload.Parts.ChecksumCRC32": _finish_by("CRC32"),
            "MultipartUpload.Parts.ChecksumSHA1": _finish_by("SHA1"),
            "MultipartUpload.Parts.ChecksumSHA256": _finish_by("SHA256"),
            "MpuObjectSize": 4,
            "IfNoneMatch": "*",
            "IfMatch": _to_replace,
        },
    ),
    Emulated("s3", "AbortMultipartUpload", lambda place: place.upload(), ASKED),
    Emulated(
        "s3",
        "CopyObject",
        _copy,
        {
            **ASKED,
            **KEPT,
            **SOURCE,
            "IfNoneMatch": "*",
            "IfMatch": lambda place: With("*", {"Key": place.put()}),
            "MetadataDirective": "REPLACE",
            "TaggingDirective": "REPLACE",
        },
    ),
    Emulated(
        "s3",
        "UploadPartCopy",
        lambda place: {**place.upload(), **PART, "CopySource": f"{BUCKET}/{place.put()}"},
        {**ASKED, **SOURCE, "CopySourceRange": "bytes=1-3"},
    ),
)
