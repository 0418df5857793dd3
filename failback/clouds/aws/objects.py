"""S3: the objects of one bucket, and multipart uploads to it (botocore's service model s3 2006-03-01).

An upload under way carries no tag that could be read, so each has a note: an object `uploads/<upload id>` with the
tags, which holds the key that's being written. It's removed with the upload's end; what no note tells of, because a
call was lost between the two, the bucket's lifecycle rule for incomplete uploads removes.
"""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, TypedDict, cast
from urllib.parse import urlencode

from failback.clouds.aws.answers import code_of, status_of, whole_body
from failback.errors import ObjectChanged, ObjectMissing
from failback.pieces import Pieces
from failback.ports import StoredObject

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NotRequired

    from botocore.exceptions import ClientError
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, PartTypeDef

UPLOAD_NOTES = "uploads/"
# HeadObject's, GetObject's, and those of an object or an upload that's gone.
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_NO_UPLOAD = "NoSuchUpload"


class _Place(TypedDict):
    Bucket: str
    ExpectedBucketOwner: NotRequired[str]


def _place(bucket: str, owner: str) -> _Place:
    return {"Bucket": bucket, "ExpectedBucketOwner": owner} if owner else {"Bucket": bucket}


class S3Objects:
    """An ObjectStore; `owner` is the account that the bucket must belong to, checked by S3 with every call."""

    def __init__(self, s3: S3Client, bucket: str, *, owner: str = "") -> None:
        self._s3, self._bucket, self._place = s3, bucket, _place(bucket, owner)

    def find(self, key: str) -> StoredObject | None:
        try:
            head = self._s3.head_object(Key=key, **self._place)
        except self._s3.exceptions.ClientError as error:
            if code_of(error) in _MISSING:
                return None
            raise
        return StoredObject(key=key, size=head["ContentLength"], etag=head["ETag"].strip('"'))

    def read(self, key: str, offset: int, length: int, *, etag: str = "") -> bytes:
        if not length:
            return b""
        pinned = {"IfMatch": f'"{etag}"'} if etag else {}
        wanted = f"bytes={offset}-{offset + length - 1}"
        try:
            data = whole_body(
                lambda: self._s3.get_object(Key=key, Range=wanted, **pinned, **self._place)["Body"]  # type: ignore[arg-type]
            )
        except self._s3.exceptions.ClientError as error:
            self._explain(error, key, offset, length)
            raise
        if len(data) != length:
            raise ObjectChanged(self._shorter(key, offset, length))
        return data

    def _explain(self, error: ClientError, key: str, offset: int, length: int) -> None:
        """Raise ours for the errors that have a word of their own."""
        if code_of(error) in _MISSING:
            message = f"s3://{self._bucket}/{key} isn't there (any more): somebody or a lifecycle rule removed it"
            raise ObjectMissing(message) from error
        if status_of(error) == 412:
            message = f"s3://{self._bucket}/{key} was replaced while it was being read; start again with the new one"
            raise ObjectChanged(message) from error
        if status_of(error) == 416:
            raise ObjectChanged(self._shorter(key, offset, length)) from error

    def _shorter(self, key: str, offset: int, length: int) -> str:
        return (
            f"s3://{self._bucket}/{key} ends before byte {offset + length}: it isn't the object that was found; "
            "start again"
        )

    def write(self, key: str, data: bytes, *, tags: Mapping[str, str]) -> None:
        self._s3.put_object(Key=key, Body=data, Tagging=urlencode(tags), ChecksumCRC32=_crc32(data), **self._place)

    def remove(self, key: str) -> None:
        self._s3.delete_object(Key=key, **self._place)


class S3Uploads:
    """An UploadStore; every part goes with its CRC-32, which S3 checks and keeps."""

    def __init__(self, s3: S3Client, bucket: str, *, owner: str = "") -> None:
        self._s3, self._bucket, self._place = s3, bucket, _place(bucket, owner)
        self._objects = S3Objects(s3, bucket, owner=owner)

    def begin(self, key: str, *, tags: Mapping[str, str]) -> str:
        begun = self._s3.create_multipart_upload(
            Key=key, Tagging=urlencode(tags), ChecksumAlgorithm="CRC32", **self._place
        )
        upload = begun["UploadId"]
        self._objects.write(UPLOAD_NOTES + upload, key.encode(), tags=tags)
        return upload

    def put(self, key: str, upload: str, number: int, data: bytes | Pieces) -> None:
        pieces = data.pieces if isinstance(data, Pieces) else (data,)
        # boto3 takes any seekable reader (botocore, ParamValidator: type blob); its stubs want all of a file.
        body = cast("bytes", data)
        try:
            self._s3.upload_part(
                Key=key, UploadId=upload, PartNumber=number, Body=body, ChecksumCRC32=_crc32(*pieces), **self._place
            )
        except self._s3.exceptions.ClientError as error:
            if code_of(error) == _NO_UPLOAD:
                raise self._gone(key) from error
            raise

    def finish(self, key: str, upload: str) -> StoredObject:
        try:
            self._complete(key, upload)
        except self._s3.exceptions.ClientError as error:
            if code_of(error) != _NO_UPLOAD:
                raise
            made = self._objects.find(key)
            if made is None:
                raise self._gone(key) from error
        self._objects.remove(UPLOAD_NOTES + upload)
        found = self._objects.find(key)
        if found is None:
            raise self._gone(key)
        return found

    def _complete(self, key: str, upload: str) -> None:
        pages = self._s3.get_paginator("list_parts").paginate(Key=key, UploadId=upload, **self._place)
        parts = [_completed(part) for page in pages for part in page.get("Parts", ())]
        self._s3.complete_multipart_upload(Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **self._place)

    def abort(self, key: str, upload: str) -> None:
        try:
            self._s3.abort_multipart_upload(Key=key, UploadId=upload, **self._place)
        except self._s3.exceptions.ClientError as error:
            if code_of(error) != _NO_UPLOAD:
                raise
        self._objects.remove(UPLOAD_NOTES + upload)

    def _gone(self, key: str) -> ObjectMissing:
        return ObjectMissing(
            f"the upload of s3://{self._bucket}/{key} isn't there (any more): it was given up, or a lifecycle rule has "
            "removed it; it has to begin anew"
        )


def _completed(part: PartTypeDef) -> CompletedPartTypeDef:
    return {"PartNumber": part["PartNumber"], "ETag": part["ETag"], "ChecksumCRC32": part["ChecksumCRC32"]}


def _crc32(*pieces: bytes) -> str:
    crc = 0
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
    return base64.b64encode(crc.to_bytes(4, "big")).decode("ascii")
