"""S3 by boto3: objects, ranges, conditions, lists, owners, and what's refused."""

from __future__ import annotations

import base64
import hashlib
import http.client
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.objects.store import ObjectStore, put_file

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.objects.service import ObjectService

# Clients of boto3 are made from models at run time, they've no types of their own.
Dynamic = Any


BUCKET = "images-1"
AWS_ACCOUNT = "088819544517"
BUCKET_CALLS = {"create_bucket", "list_objects", "get_bucket_versioning"}


def code(call: Dynamic, **arguments: Dynamic) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**{"Bucket": BUCKET, **({} if call.__name__ in BUCKET_CALLS else {"Key": "k"}), **arguments})
    answer: Any = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_an_object_comes_back_with_all_that_was_said_of_it(s3: Dynamic, service: ObjectService, tmp_path: Path) -> None:
    said = {
        "ContentType": "application/x-iso9660-image",
        "ContentEncoding": "identity",
        "CacheControl": "no-store",
        "Metadata": {"sha512": "abc"},
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "arn:aws:kms:us-east-1:123456789012:key/1",
    }
    key = "a b/ü+%/../é?.iso"
    put = s3.put_object(Bucket=BUCKET, Key=key, Body=b"data", Tagging="x=1&y=%26", **said)
    assert put["ETag"] == f'"{hashlib.md5(b"data").hexdigest()}"'
    assert put["ServerSideEncryption"] == "aws:kms"
    assert "ChecksumCRC32" in put
    for _ in range(2):
        got = s3.get_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
        assert got["Body"].read() == b"data"
        assert {name: got[name] for name in said} == said
        assert (got["TagCount"], got["ChecksumCRC32"], got["ContentLength"]) == (2, put["ChecksumCRC32"], 4)
        assert s3.head_object(Bucket=BUCKET, Key=key)["Metadata"] == said["Metadata"]
        # The same once more after a restart.
        service._store = ObjectStore(tmp_path / "s3")
    assert s3.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"][1] == {"Key": "y", "Value": "&"}
    s3.put_object_tagging(Bucket=BUCKET, Key=key, Tagging={"TagSet": [{"Key": "z", "Value": "2"}]})
    assert s3.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"] == [{"Key": "z", "Value": "2"}]
    s3.delete_object_tagging(Bucket=BUCKET, Key=key)
    assert s3.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"] == []
    s3.delete_object(Bucket=BUCKET, Key=key)
    assert code(s3.get_object, Key=key) == ("NoSuchKey", 404)
    assert code(s3.head_object, Key=key) == ("404", 404)
    assert not [path for path in (tmp_path / "s3" / "buckets" / BUCKET).rglob("*") if path.is_file()][1:]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-0", b"0"),
        ("bytes=3-", b"3456789"),
        ("bytes=-2", b"89"),
        ("bytes=8-100", b"89"),
        ("bytes=-100", b"0123456789"),
    ],
)
def test_ranges(s3: Dynamic, asked: str, expected: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"0123456789")
    got = s3.get_object(Bucket=BUCKET, Key="k", Range=asked)
    assert got["Body"].read() == expected
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["ContentRange"].endswith("/10")


def test_ranges_that_cannot_be(s3: Dynamic) -> None:
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"0123456789")
    for asked in ("bytes=10-", "bytes=-0"):
        assert code(s3.get_object, Range=asked) == ("InvalidRange", 416)
    for asked in ("bytes=5-2", "bytes=a-b", "lines=1-2"):
        assert s3.get_object(Bucket=BUCKET, Key="k", Range=asked)["ContentLength"] == 10


def test_conditions(s3: Dynamic) -> None:
    etag = s3.put_object(Bucket=BUCKET, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    assert s3.get_object(Bucket=BUCKET, Key="k", IfMatch=etag)["ContentLength"] == 1
    assert code(s3.get_object, IfMatch='"x"') == ("PreconditionFailed", 412)
    assert code(s3.get_object, IfNoneMatch=etag) == ("304", 304)
    assert code(s3.get_object, IfModifiedSince="2100-01-01") == ("304", 304)
    assert code(s3.head_object, IfUnmodifiedSince="2000-01-01") == ("412", 412)
    assert code(s3.put_object, IfNoneMatch="*", Body=b"") == ("PreconditionFailed", 412)
    assert code(s3.put_object, IfMatch='"x"', Body=b"") == ("PreconditionFailed", 412)
    s3.put_object(Bucket=BUCKET, Key="k", IfMatch=etag, Body=b"2")


def test_damaged_uploads_leave_nothing(s3: Dynamic, url: str, tmp_path: Path) -> None:
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    assert code(s3.put_object, Body=b"data", ContentMD5=wrong) == ("BadDigest", 400)
    assert code(s3.put_object, Body=b"data", ChecksumCRC32="AAAAAA==") == ("BadDigest", 400)
    assert code(s3.put_object, Body=b"data", ChecksumCRC32C="AAAAAA==") == ("NotImplemented", 501)
    bodies = [
        (b"4;chunk-signature=x\r\ndata\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", b"BadDigest"),
        (b"4\r\ndata\r\n0\r\n\r\n", b"MalformedTrailerError"),
        (b"3\r\ndat\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", b"IncompleteBody"),
        (b"5\r\ndata\r\n0\r\n\r\n", b"IncompleteBody"),
        (b"data", b"IncompleteBody"),
    ]
    headers = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIAMINE/20261122/us-east-1/s3/aws4_request, x",
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-trailer": "x-amz-checksum-crc32",
        "x-amz-decoded-content-length": "4",
        "Content-Encoding": "aws-chunked",
    }
    for body, expected in bodies:
        assert expected in plain(url, "PUT", f"/{BUCKET}/k", body, headers)[1]
    assert code(s3.get_object) == ("NoSuchKey", 404)
    assert list((tmp_path / "s3" / "buckets" / BUCKET / "data").iterdir()) == []


def plain(
    url: str, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@given(
    keys=st.sets(st.text("ab/é", min_size=1, max_size=6).filter(lambda key: key[0] != "/"), max_size=25),
    prefix=st.text("ab/", max_size=2),
    delimiter=st.sampled_from(["", "/", "b/"]),
    size=st.integers(1, 5),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lists_in_pages(
    s3: Dynamic, service: ObjectService, keys: set[str], prefix: str, delimiter: str, size: int
) -> None:
    bucket = service.add_bucket(BUCKET)
    for key in list(bucket.keys_from("")):
        bucket.delete(key)
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    pages = list(
        s3.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix=prefix, Delimiter=delimiter, PaginationConfig={"PageSize": size}
        )
    )
    found = [each["Key"] for page in pages for each in page.get("Contents", [])]
    groups = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]
    fits = sorted(key for key in keys if key.startswith(prefix))
    split = {key: key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "") for key in fits}
    assert found == [key for key in fits if not split[key][1]]
    assert groups == sorted({prefix + head + mark for head, mark, _ in split.values() if mark})
    assert all(page["KeyCount"] <= size for page in pages)


def test_many_are_deleted_and_the_bucket(s3: Dynamic) -> None:
    for key in ("a", "b"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        s3.delete_bucket(Bucket=BUCKET)
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "a"}, {"Key": "b"}, {"Key": "c"}]})
    assert [each["Key"] for each in answer["Deleted"]] == ["a", "b", "c"]
    assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == [BUCKET]
    s3.delete_bucket(Bucket=BUCKET)
    with pytest.raises(ClientError, match="404"):
        s3.head_bucket(Bucket=BUCKET)


def test_copies(s3: Dynamic) -> None:
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"data", Metadata={"a": "1"}, Tagging="t=1")
    source = {"Bucket": BUCKET, "Key": "k"}
    s3.copy_object(Bucket=BUCKET, Key="same", CopySource=source)
    s3.copy_object(Bucket=BUCKET, Key="new", CopySource=source, Metadata={"b": "2"}, MetadataDirective="REPLACE")
    s3.delete_object(Bucket=BUCKET, Key="k")
    same, new = (s3.get_object(Bucket=BUCKET, Key=key) for key in ("same", "new"))
    assert same["Body"].read() == new["Body"].read() == b"data"
    assert (same["Metadata"], new["Metadata"], same["TagCount"]) == ({"a": "1"}, {"b": "2"}, 1)
    assert code(s3.copy_object, CopySource=source) == ("NoSuchKey", 404)
    itself = {"Bucket": BUCKET, "Key": "same"}
    assert code(s3.copy_object, Key="same", CopySource=itself) == ("InvalidRequest", 400)
    assert code(s3.copy_object, CopySource=itself, CopySourceIfMatch='"x"') == ("PreconditionFailed", 412)


def test_owners(s3: Dynamic, client_of: Dynamic, service: ObjectService, url: str, tmp_path: Path) -> None:
    iso = tmp_path / "client.iso"
    iso.write_bytes(b"iso")
    put_file(service.add_bucket("aws-elastic-disaster-recovery-x", owner=AWS_ACCOUNT, public=True), "latest/i.iso", iso)
    theirs = {"Bucket": "aws-elastic-disaster-recovery-x", "Key": "latest/i.iso"}
    assert s3.get_object(**theirs, ExpectedBucketOwner=AWS_ACCOUNT)["Body"].read() == b"iso"
    assert urllib.request.urlopen(f"{url}/{theirs['Bucket']}/{theirs['Key']}").read() == b"iso"
    assert code(s3.get_object, **theirs, ExpectedBucketOwner="123456789012") == ("AccessDenied", 403)
    assert code(s3.put_object, **theirs, Body=b"") == ("AccessDenied", 403)
    assert code(client_of("AKIAAWS").get_object) == ("AccessDenied", 403)
    assert code(client_of("AKIAAWS").create_bucket) == ("BucketAlreadyExists", 409)
    assert code(s3.create_bucket) == ("BucketAlreadyOwnedByYou", 409)
    assert code(s3.create_bucket, Bucket="No_Name") == ("InvalidBucketName", 400)
    assert code(s3.get_object, Bucket="absent") == ("NoSuchBucket", 404)
    assert plain(url, "GET", f"/{BUCKET}/k")[0] == 403
    assert service.handles(BUCKET)
    assert not service.handles("assets")


def test_virtual_hosts(s3: Dynamic, client_of: Dynamic, url: str) -> None:
    virtual = client_of(proxies={"http": url}, s3={"addressing_style": "virtual"})
    virtual.put_object(Bucket=BUCKET, Key="a/b", Body=b"by name")
    assert s3.get_object(Bucket=BUCKET, Key="a/b")["Body"].read() == b"by name"
    host = {"Host": f"{BUCKET}.s3.eu-west-1.amazonaws.com"}
    assert plain(url, "GET", "/a/b", headers=host)[0] == 403


def test_presigned(s3: Dynamic, client_of: Dynamic) -> None:
    signer = client_of(signature_version="s3v4")
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"data")
    asked = {"Bucket": BUCKET, "Key": "k", "ResponseContentType": "text/x"}
    with urllib.request.urlopen(signer.generate_presigned_url("get_object", asked, ExpiresIn=60)) as answer:
        assert (answer.read(), answer.headers["Content-Type"]) == (b"data", "text/x")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(signer.generate_presigned_url("get_object", asked, ExpiresIn=-1))
    with caught.value as error:
        assert error.code == 403


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("get_object", {"VersionId": "1"}),
        ("get_object", {"PartNumber": 1}),
        ("get_object_attributes", {"ObjectAttributes": ["ETag"]}),
        ("list_objects", {}),
        ("get_bucket_versioning", {}),
        ("put_object", {"ACL": "public-read"}),
        ("put_object", {"StorageClass": "GLACIER"}),
    ],
)
def test_what_is_not_emulated(s3: Dynamic, call: str, arguments: dict[str, Any]) -> None:
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"")
    assert code(getattr(s3, call), **arguments) == ("NotImplemented", 501)


def test_limits(s3: Dynamic, url: str) -> None:
    assert code(s3.put_object, Key="k" * 1025) == ("KeyTooLongError", 400)
    assert code(s3.put_object, Metadata={"a": "x" * 2048}) == ("MetadataTooLarge", 400)
    assert code(s3.put_object, ServerSideEncryption="rot13") == ("InvalidArgument", 400)
    assert code(s3.put_object, Tagging="&".join(f"k{n}=v" for n in range(11))) == ("BadRequest", 400)
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=AKIAMINE/x", "Content-Length": str(6 * 1024**3)}
    assert b"EntityTooLarge" in plain(url, "PUT", f"/{BUCKET}/k", b"", headers)[1]
    document = b"<!DOCTYPE a><Delete/>"
    headers.pop("Content-Length")
    assert b"MalformedXML" in plain(url, "POST", f"/{BUCKET}?delete", document, headers)[1]
