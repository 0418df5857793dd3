"""The EBS direct APIs by boto3: what is written is listed, read and lies in the raw file; the rest is refused."""

from __future__ import annotations

import base64
import hashlib
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.ebs.direct import EbsDirectService
from localcloud.ebs.record import BLOCK, GIB
from localcloud.ebs.store import SnapshotStore, register_disk
from localcloud.ebs.vendor_model import VendorModel
from localcloud.serving import serve_application

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# Clients of boto3 are made from models at run time, they've no types of their own.
Dynamic = Any


def pattern(seed: int) -> bytes:
    """A block that tells its number."""
    return seed.to_bytes(8, "big") * (BLOCK // 8)


def digest(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def put(ebs: Dynamic, snapshot: str, index: int, data: bytes, **changes: Dynamic) -> Dynamic:
    call = {
        "SnapshotId": snapshot,
        "BlockIndex": index,
        "BlockData": data,
        "DataLength": len(data),
        "Checksum": digest(data),
        "ChecksumAlgorithm": "SHA256",
        **changes,
    }
    return ebs.put_snapshot_block(**call)


def made(ebs: Dynamic, blocks: dict[int, bytes], **start: Dynamic) -> str:
    snapshot: str = ebs.start_snapshot(**{"VolumeSize": 1, **start})["SnapshotId"]
    for index, data in blocks.items():
        put(ebs, snapshot, index, data)
    ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=len(blocks))
    return snapshot


def listed(ebs: Dynamic, snapshot: str) -> dict[int, str]:
    found: dict[int, str] = {}
    call: dict[str, Any] = {"SnapshotId": snapshot, "MaxResults": 100}
    while True:
        page = ebs.list_snapshot_blocks(**call)
        found |= {block["BlockIndex"]: block["BlockToken"] for block in page["Blocks"]}
        if "NextToken" not in page:
            return found
        call["NextToken"] = page["NextToken"]


def fetched(ebs: Dynamic, snapshot: str, index: int, token: str) -> bytes:
    answer = ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=index, BlockToken=token)
    data: bytes = answer["BlockData"].read()
    assert answer["DataLength"] == BLOCK
    assert answer["Checksum"] == digest(data)
    return data


def refusal(call: Dynamic, **arguments: Dynamic) -> tuple[str, str, int]:
    """The error's name, its reason and the HTTP status."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer: Any = caught.value.response
    return answer["Error"]["Code"], answer.get("Reason", ""), answer["ResponseMetadata"]["HTTPStatusCode"]


@given(
    writes=st.lists(st.tuples(st.integers(0, 2047), st.integers(0, 3)), min_size=1, max_size=12),
    later=st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 3)), max_size=6),
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_listed_read_and_lies_in_the_raw_file(
    cloud: Dynamic, ebs: Dynamic, writes: list[tuple[int, int]], later: list[tuple[int, int]]
) -> None:
    blocks = {index: pattern(seed) for index, seed in writes}
    started = ebs.start_snapshot(VolumeSize=1)
    snapshot = started["SnapshotId"]
    assert started["BlockSize"] == BLOCK
    for index, seed in writes:
        put(ebs, snapshot, index, pattern(seed))
    aggregate = hashlib.sha256(b"".join(hashlib.sha256(blocks[index]).digest() for index in sorted(blocks))).digest()
    ebs.complete_snapshot(
        SnapshotId=snapshot,
        ChangedBlocksCount=len(blocks),
        Checksum=base64.b64encode(aggregate).decode(),
        ChecksumAlgorithm="SHA256",
        ChecksumAggregationMethod="LINEAR",
    )
    check_content(cloud, ebs, snapshot, blocks, 1)

    changed = {index: pattern(seed) for index, seed in later}
    child = made(ebs, changed, ParentSnapshotId=snapshot, VolumeSize=2)
    check_content(cloud, ebs, child, {**blocks, **changed}, 2)
    differing = {index for index, data in changed.items() if blocks.get(index) != data}
    found = ebs.list_changed_blocks(FirstSnapshotId=snapshot, SecondSnapshotId=child)["ChangedBlocks"]
    assert [each["BlockIndex"] for each in found] == sorted(differing)
    for each in found:
        assert ("FirstBlockToken" in each) == (each["BlockIndex"] in blocks)
        data = fetched(ebs, child, each["BlockIndex"], each["SecondBlockToken"])
        assert data == changed[each["BlockIndex"]]


def check_content(cloud: Dynamic, ebs: Dynamic, snapshot: str, blocks: dict[int, bytes], size: int) -> None:
    tokens = listed(ebs, snapshot)
    assert list(tokens) == sorted(blocks)
    assert {index: fetched(ebs, snapshot, index, token) for index, token in tokens.items()} == blocks
    path = cloud.store.raw_path(snapshot)
    assert path.stat().st_size == size * GIB
    assert path.stat().st_blocks * 512 <= (len(blocks) + 1) * BLOCK
    with path.open("rb") as disk:
        for index in {*blocks, 0, 7}:
            disk.seek(index * BLOCK)
            assert disk.read(BLOCK) == blocks.get(index, bytes(BLOCK))


def test_parallel_puts_and_pages(ebs: Dynamic) -> None:
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    indexes = [number * 7 for number in range(150)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda index: put(ebs, snapshot, index, pattern(index)), indexes))
    ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=150)
    assert list(listed(ebs, snapshot)) == indexes
    page = ebs.list_snapshot_blocks(SnapshotId=snapshot, MaxResults=100, StartingBlockIndex=8)
    assert [block["BlockIndex"] for block in page["Blocks"]] == indexes[2:102]
    assert (page["VolumeSize"], page["BlockSize"]) == (1, BLOCK)
    # A page token wins over a starting index.
    rest = ebs.list_snapshot_blocks(SnapshotId=snapshot, NextToken=page["NextToken"], StartingBlockIndex=0)
    assert [block["BlockIndex"] for block in rest["Blocks"]] == indexes[102:]
    changed = ebs.list_changed_blocks(SecondSnapshotId=snapshot, MaxResults=100)
    assert len(changed["ChangedBlocks"]) == 100
    assert "FirstBlockToken" not in changed["ChangedBlocks"][0]


def test_a_restart_keeps_everything(cloud: Dynamic, ebs: Dynamic, tmp_path: Path) -> None:
    done = made(ebs, {3: pattern(3)}, Description="kept", Tags=[{"Key": "a", "Value": "b"}])
    token = listed(ebs, done)[3]
    pending = ebs.start_snapshot(VolumeSize=2)["SnapshotId"]
    put(ebs, pending, 5, pattern(5))
    again = SnapshotStore(tmp_path, clock=cloud.clock)
    assert again.records == cloud.store.records
    with serve_application(EbsDirectService(again)) as url:
        client = boto3.client(
            "ebs", "us-east-1", endpoint_url=url, aws_access_key_id="AKIAMINE", aws_secret_access_key="x"
        )
        assert fetched(client, done, 3, token) == pattern(3)
        put(client, pending, 6, pattern(6))
        client.complete_snapshot(SnapshotId=pending, ChangedBlocksCount=2)
        assert list(listed(client, pending)) == [5, 6]


def test_a_client_token_starts_one_snapshot(ebs: Dynamic) -> None:
    asked = {"VolumeSize": 3, "ClientToken": "once", "Description": "d", "Timeout": 10}
    first = ebs.start_snapshot(**asked)
    assert ebs.start_snapshot(**asked)["SnapshotId"] == first["SnapshotId"]
    assert refusal(ebs.start_snapshot, **{**asked, "VolumeSize": 4}) == ("ConflictException", "", 409)


def test_an_encrypted_snapshot_says_so(ebs: Dynamic) -> None:
    started = ebs.start_snapshot(VolumeSize=1, Encrypted=True)
    assert started["SseType"] == "sse-kms"
    assert started["KmsKeyArn"].startswith("arn:aws:kms:")


def test_it_completes_after_a_while_and_fails_after_its_timeout(cloud: Dynamic, ebs: Dynamic, ec2: Dynamic) -> None:
    def state(snapshot: str) -> tuple[str, str]:
        found = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]
        return found["State"], found["Progress"]

    cloud.store.settle = 30
    snapshot = ebs.start_snapshot(VolumeSize=1, Timeout=10)["SnapshotId"]
    cloud.clock.forward(minutes=9)
    put(ebs, snapshot, 0, pattern(1), Progress=40)
    cloud.clock.forward(minutes=9)
    assert state(snapshot) == ("pending", "40%")
    assert ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=1)["Status"] == "pending"
    assert refusal(ebs.list_snapshot_blocks, SnapshotId=snapshot)[1] == "INVALID_SNAPSHOT_ID"
    with pytest.raises(ClientError):
        put(ebs, snapshot, 1, pattern(1))
    cloud.clock.forward(seconds=30)
    assert state(snapshot) == ("completed", "100%")

    late = ebs.start_snapshot(VolumeSize=1, Timeout=10)["SnapshotId"]
    cloud.clock.forward(minutes=10)
    assert state(late)[0] == "error"
    with pytest.raises(ClientError):
        put(ebs, late, 0, pattern(1))


INVALID = ("ValidationException", 400)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"VolumeSize": 0}, "INVALID_VOLUME_SIZE"),
        ({"VolumeSize": 65537}, "INVALID_VOLUME_SIZE"),
        ({}, "INVALID_VOLUME_SIZE"),
        ({"VolumeSize": 1, "Timeout": 9}, "INVALID_PARAMETER_VALUE"),
        ({"VolumeSize": 1, "Timeout": 4321}, "INVALID_PARAMETER_VALUE"),
        ({"VolumeSize": 1, "Description": "x" * 256}, "INVALID_PARAMETER_VALUE"),
        ({"VolumeSize": 1, "Encrypted": "yes"}, "INVALID_PARAMETER_VALUE"),
        ({"VolumeSize": 1, "KmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/1"}, "INVALID_PARAMETER_VALUE"),
        ({"VolumeSize": 1, "KmsKeyArn": "no key", "Encrypted": True}, "INVALID_CUSTOMER_KEY"),
        ({"VolumeSize": 1, "ParentSnapshotId": "volume"}, "INVALID_SNAPSHOT_ID"),
        ({"VolumeSize": 1, "Tags": [{"Key": "aws:x", "Value": ""}]}, "INVALID_TAG"),
        ({"VolumeSize": 1, "Tags": [{"Key": str(n), "Value": ""} for n in range(51)]}, "INVALID_TAG"),
        ({"VolumeSize": 1, "Tags": [{"Key": "a", "Value": ""}] * 2}, "INVALID_TAG"),
    ],
)
def test_a_start_that_is_refused(ebs: Dynamic, arguments: dict[str, Any], reason: str) -> None:
    assert refusal(ebs.start_snapshot, **arguments) == ("ValidationException", reason, 400)


def test_parents_that_are_refused(cloud: Dynamic, ebs: Dynamic) -> None:
    parent = made(ebs, {1: pattern(1)}, VolumeSize=2)
    start = ebs.start_snapshot
    both = refusal(start, VolumeSize=2, ParentSnapshotId=parent, Encrypted=True)
    assert both == ("ValidationException", "INVALID_PARAMETER_VALUE", 400)
    assert refusal(start, VolumeSize=1, ParentSnapshotId=parent)[1] == "INVALID_VOLUME_SIZE"
    pending = start(VolumeSize=1)["SnapshotId"]
    assert refusal(start, VolumeSize=1, ParentSnapshotId=pending)[1] == "INVALID_SNAPSHOT_ID"
    absent = refusal(start, VolumeSize=1, ParentSnapshotId="snap-0123456789abcdef0")
    assert absent == ("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND", 404)


def test_a_hundred_pending_snapshots_are_enough(ebs: Dynamic) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ebs.start_snapshot(VolumeSize=1), range(100)))
    assert refusal(ebs.start_snapshot, VolumeSize=1)[0] == "ConcurrentLimitExceededException"


@pytest.mark.parametrize(
    ("index", "data", "changes", "reason"),
    [
        (2048, pattern(1), {}, "INVALID_BLOCK"),
        (0, pattern(1)[:-1], {}, "INVALID_BLOCK"),
        (0, pattern(1)[:-1], {"DataLength": BLOCK}, "INVALID_BLOCK"),
        (0, pattern(1) + b"x", {"DataLength": BLOCK}, "INVALID_BLOCK"),
        (0, pattern(1), {"Checksum": digest(b"")}, "INVALID_BLOCK"),
        (0, pattern(1), {"ChecksumAlgorithm": "MD5"}, "INVALID_PARAMETER_VALUE"),
        (0, pattern(1), {"Progress": 101}, "INVALID_PARAMETER_VALUE"),
    ],
)
def test_a_block_that_is_refused(ebs: Dynamic, index: int, data: bytes, changes: dict[str, Any], reason: str) -> None:
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    call = {"ebs": ebs, "snapshot": snapshot, "index": index, "data": data, **changes}
    assert refusal(put, **call) == ("ValidationException", reason, 400)
    ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=0)
    assert listed(ebs, snapshot) == {}


def test_a_completion_that_is_refused(ebs: Dynamic) -> None:
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    put(ebs, snapshot, 1, pattern(1))
    put(ebs, snapshot, 1, pattern(2))
    complete = {"SnapshotId": snapshot, "ChangedBlocksCount": 1}
    whole = {**complete, "ChecksumAlgorithm": "SHA256", "ChecksumAggregationMethod": "LINEAR"}
    for call in (
        {**complete, "ChangedBlocksCount": 2},
        {**whole, "Checksum": digest(b"")},
        {**complete, "Checksum": digest(b"")},
        {**whole, "Checksum": digest(b""), "ChecksumAggregationMethod": "TREE"},
    ):
        assert refusal(ebs.complete_snapshot, **call)[:2] == ("ValidationException", "INVALID_PARAMETER_VALUE")
    ebs.complete_snapshot(**complete)
    assert refusal(ebs.complete_snapshot, **complete)[1] == "INVALID_SNAPSHOT_ID"


def test_tokens_belong_to_a_block_and_expire(cloud: Dynamic, ebs: Dynamic) -> None:
    one = made(ebs, {index: pattern(index) for index in range(101)})
    other = made(ebs, {0: pattern(0)})
    tokens, foreign = listed(ebs, one), listed(ebs, other)[0]
    page = ebs.list_snapshot_blocks(SnapshotId=one, MaxResults=100)["NextToken"]
    get = ebs.get_snapshot_block
    bad_block = ("ValidationException", "INVALID_BLOCK_TOKEN", 400)
    for index, token in ((0, foreign), (0, tokens[1]), (500, tokens[1]), (0, "AAAA"), (0, "%")):
        assert refusal(get, SnapshotId=one, BlockIndex=index, BlockToken=token) == bad_block
    pages = ebs.list_snapshot_blocks
    bad_page = ("ValidationException", "INVALID_PAGE_TOKEN", 400)
    assert refusal(pages, SnapshotId=other, NextToken=page) == bad_page
    assert refusal(ebs.list_changed_blocks, SecondSnapshotId=one, NextToken=page) == bad_page
    cloud.clock.forward(minutes=61)
    assert refusal(pages, SnapshotId=one, NextToken=page) == bad_page
    fetched(ebs, one, 0, tokens[0])
    cloud.clock.forward(days=7)
    assert refusal(get, SnapshotId=one, BlockIndex=0, BlockToken=tokens[0]) == bad_block


def test_lists_that_are_refused(ebs: Dynamic) -> None:
    one, other = made(ebs, {0: pattern(0)}), made(ebs, {0: pattern(0)})
    for size in (99, 10001):
        assert refusal(ebs.list_snapshot_blocks, SnapshotId=one, MaxResults=size)[1] == "INVALID_PARAMETER_VALUE"
    assert refusal(ebs.list_snapshot_blocks, SnapshotId=one, StartingBlockIndex=2048)[1] == "INVALID_PARAMETER_VALUE"
    unrelated = refusal(ebs.list_changed_blocks, FirstSnapshotId=one, SecondSnapshotId=other)
    assert unrelated == ("ValidationException", "UNRELATED_SNAPSHOTS", 400)


def test_others_are_kept_out(cloud: Dynamic, ebs: Dynamic) -> None:
    snapshot = made(ebs, {0: pattern(0)})
    stranger = cloud.client("ebs", "AKIAOTHER")
    denied = ("AccessDeniedException", "UNAUTHORIZED_ACCOUNT", 403)
    assert refusal(stranger.list_snapshot_blocks, SnapshotId=snapshot) == denied
    assert refusal(put, ebs=stranger, snapshot=snapshot, index=0, data=pattern(1)) == denied


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("/volumes", 404, "UnknownOperationException"),
        ("/snapshots/snap-1/blocks?colour=red", 400, "ValidationException"),
        ("/snapshots/snap-1/blocks", 403, "MissingAuthenticationTokenException"),
    ],
)
def test_plain_requests_that_are_refused(cloud: Dynamic, path: str, status: int, name: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(cloud.ebs_url + path)
    with caught.value as error:
        assert (error.code, error.headers["x-amzn-ErrorType"]) == (status, name)


def test_every_operation_and_status_is_the_model_s(ebs: Dynamic) -> None:
    model = VendorModel("ebs", "2019-11-02")
    assert {ebs.meta.method_to_api_mapping[name] for name in ebs.meta.method_to_api_mapping} == set(model.operations)
    statuses = {
        name: model.error(name)["error"]["httpStatusCode"]
        for name in ("AccessDeniedException", "ConflictException", "ResourceNotFoundException", "ValidationException")
    }
    assert list(statuses.values()) == [403, 409, 404, 400]


def test_a_disk_file_becomes_a_snapshot(cloud: Dynamic, ebs: Dynamic, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    parts: Iterable[tuple[int, bytes]] = ((100, b"begin"), (3 * BLOCK - 2, b"over the edge"), (GIB + 10, b"end"))
    with disk.open("wb") as file:
        for offset, data in parts:
            file.seek(offset)
            file.write(data)
    snapshot = register_disk(cloud.store, disk, description="ready-made")
    assert list(listed(ebs, snapshot)) == [0, 2, 3, 2048]
    with cloud.store.raw_path(snapshot).open("rb") as raw, disk.open("rb") as file:
        assert cloud.store.raw_path(snapshot).stat().st_size == 2 * GIB
        for offset, _ in parts:
            raw.seek(offset - offset % BLOCK)
            file.seek(offset - offset % BLOCK)
            assert raw.read(BLOCK) == file.read(BLOCK).ljust(BLOCK, b"\0")
