"""Multipart uploads by boto3 and its transfer manager; memory while large objects pass."""

from __future__ import annotations

import hashlib
import multiprocessing
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from localcloud.objects.service import ObjectService
from localcloud.objects.store import ObjectStore
from localcloud.serving import serve_application

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

# Clients of boto3 are made from models at run time, they've no types of their own.
Dynamic = Any


BUCKET = "images-1"
MIB = 1024 * 1024
PART = 5 * MIB
# Python with botocore's model and werkzeug takes about 60 MiB; four parallel parts a few more.
MEMORY = 130 * 1024


def code(call: Dynamic, **arguments: Dynamic) -> str:
    with pytest.raises(ClientError) as caught:
        call(**{"Bucket": BUCKET, "Key": "k", **arguments})
    found: str = caught.value.response["Error"]["Code"]
    return found


def begun(s3: Dynamic, **more: Dynamic) -> dict[str, str]:
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="k", **more)["UploadId"]
    return {"Bucket": BUCKET, "Key": "k", "UploadId": upload}


def sent(s3: Dynamic, upload: dict[str, str], parts: dict[int, bytes]) -> list[dict[str, Any]]:
    return [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=data)["ETag"]}
        for number, data in parts.items()
    ]


def test_the_transfer_manager_brings_files_there_and_back(s3: Dynamic, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(random.Random(1).randbytes(23 * MIB + 17))
    config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=4)
    s3.upload_file(str(source), BUCKET, "big", Config=config, ExtraArgs={"Metadata": {"a": "1"}})
    head = s3.head_object(Bucket=BUCKET, Key="big", ChecksumMode="ENABLED")
    assert head["ETag"].endswith('-5"')
    assert head["ChecksumCRC32"].endswith("-5")
    assert (head["ChecksumType"], head["Metadata"], head["ContentLength"]) == ("COMPOSITE", {"a": "1"}, 23 * MIB + 17)
    s3.download_file(BUCKET, "big", str(target), Config=config)
    assert target.read_bytes() == source.read_bytes()
    across = s3.get_object(Bucket=BUCKET, Key="big", Range=f"bytes={PART - 3}-{2 * PART + 2}")["Body"].read()
    assert across == source.read_bytes()[PART - 3 : 2 * PART + 3]
    s3.copy({"Bucket": BUCKET, "Key": "big"}, BUCKET, "copied", Config=config)
    s3.copy_object(Bucket=BUCKET, Key="whole", CopySource={"Bucket": BUCKET, "Key": "big"})
    whole = s3.get_object(Bucket=BUCKET, Key="whole")
    assert whole["Body"].read() == s3.get_object(Bucket=BUCKET, Key="copied")["Body"].read() == source.read_bytes()
    assert whole["ETag"] == f'"{hashlib.md5(source.read_bytes()).hexdigest()}"'


def test_parts_are_listed_replaced_and_left_out(s3: Dynamic, service: ObjectService, tmp_path: Path) -> None:
    upload = begun(s3)
    first, unused, last = b"a" * PART, b"b" * PART, b"end"
    sent(s3, upload, {1: b"old"})
    parts = sent(s3, upload, {1: first, 2: unused, 7: last})
    service._store = ObjectStore(tmp_path / "s3")
    listed = s3.list_parts(**upload, MaxParts=2)
    assert [(part["PartNumber"], part["Size"]) for part in listed["Parts"]] == [(1, PART), (2, PART)]
    rest = s3.list_parts(**upload, PartNumberMarker=listed["NextPartNumberMarker"])
    assert [part["PartNumber"] for part in rest["Parts"]] == [7]
    assert [each["UploadId"] for each in s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]] == [upload["UploadId"]]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [parts[0], parts[2]]})
    assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == first + last
    assert len(list((tmp_path / "s3" / "buckets" / BUCKET / "data").iterdir())) == 2
    assert code(s3.list_parts, **upload) == "NoSuchUpload"


def test_refusals(s3: Dynamic, tmp_path: Path) -> None:
    upload = begun(s3)
    parts = sent(s3, upload, {1: b"small", 2: b"end"})
    complete = s3.complete_multipart_upload

    def refused(*listed: Dynamic, **more: Dynamic) -> str:
        return code(complete, **{**upload, **more}, MultipartUpload={"Parts": list(listed)})

    assert refused(*parts) == "EntityTooSmall"
    assert refused(*reversed(parts)) == "InvalidPartOrder"
    assert refused({"PartNumber": 1, "ETag": '"x"'}) == "InvalidPart"
    assert refused({"PartNumber": 3, "ETag": parts[0]["ETag"]}) == "InvalidPart"
    assert refused({**parts[0], "ChecksumCRC32": "AAAAAA=="}) == "InvalidPart"
    assert refused(parts[0], MpuObjectSize=6) == "InvalidRequest"
    assert refused() == "MalformedXML"
    assert refused(parts[0], UploadId="0" * 64) == "NoSuchUpload"
    assert refused(parts[0], UploadId="../x") == "NoSuchUpload"
    assert refused(parts[0], Key="other") == "NoSuchUpload"
    for number in (0, 10001):
        assert code(s3.upload_part, **upload, PartNumber=number, Body=b"") == "InvalidArgument"
    s3.abort_multipart_upload(**upload)
    assert code(s3.abort_multipart_upload, **upload) == "NoSuchUpload"
    assert code(s3.upload_part, **upload, PartNumber=1, Body=b"") == "NoSuchUpload"
    assert list((tmp_path / "s3" / "buckets" / BUCKET / "data").iterdir()) == []
    assert code(s3.create_multipart_upload, ChecksumAlgorithm="CRC32C") == "NotImplemented"
    sha = begun(s3, ChecksumAlgorithm="SHA256")
    assert code(s3.upload_part, **sha, PartNumber=1, Body=b"", ChecksumAlgorithm="CRC32") == "InvalidRequest"


def serve_and_tell(folder: Path, pipe: Connection) -> None:
    """A server in a process of its own; answers with the most memory that it ever had, in KiB."""
    with serve_application(ObjectService(ObjectStore(folder))) as url:
        pipe.send(url)
        pipe.recv()
        found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
        pipe.send(int(found[1]) if found else -1)


def test_memory_is_bounded(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve_and_tell, args=(tmp_path / "s3", theirs))
    process.start()
    s3: Any = boto3.client(
        "s3", "us-east-1", endpoint_url=ours.recv(), aws_access_key_id="AKIAMINE", aws_secret_access_key="x"
    )
    s3.create_bucket(Bucket=BUCKET)
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.truncate(256 * MIB)
    s3.upload_file(str(source), BUCKET, "parts", Config=TransferConfig(multipart_chunksize=32 * MIB, max_concurrency=4))
    s3.upload_file(str(source), BUCKET, "one", Config=TransferConfig(multipart_threshold=1024 * MIB))
    s3.download_file(BUCKET, "parts", str(tmp_path / "target"))
    assert sum(len(chunk) for chunk in s3.get_object(Bucket=BUCKET, Key="one")["Body"].iter_chunks(MIB)) == 256 * MIB
    ours.send(None)
    most = ours.recv()
    process.join()
    assert 0 < most < MEMORY
