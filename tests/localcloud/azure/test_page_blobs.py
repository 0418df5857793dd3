"""The blob service behind a disk's signature, through azure-storage-blob and by plain requests."""

from __future__ import annotations

import base64
import hashlib
import http.client
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from localcloud.azure.crc64 import crc64
from tests.localcloud.azure.clients import Azure, refused, upload_disk, write_access

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.mgmt.compute import ComputeManagementClient
    from azure.storage.blob import BlobClient

MIB = 1 << 20
PAGE = b"page" * 128


@pytest.fixture
def blob(compute: ComputeManagementClient) -> Iterator[BlobClient]:
    upload_disk(compute, "client", 64 * MIB)
    with write_access(compute, "client") as client:
        yield client


def plain(
    azure: Azure, blob: BlobClient, method: str, heads: dict[str, str], body: bytes = b"", part: str = "comp=page"
) -> tuple[int, str]:
    url = urlsplit(blob.url)
    connection = http.client.HTTPSConnection(
        str(url.hostname), url.port, context=ssl.create_default_context(cafile=azure.at.ca_file), timeout=10
    )
    try:
        heads = {"x-ms-version": "2024-11-04"} | heads
        connection.request(
            method, f"{url.path}?{url.query}&{part}", body, {name: value for name, value in heads.items() if value}
        )
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("x-ms-error-code", "")
    finally:
        connection.close()


def test_parallel_writes_ranges_clears_and_reads(blob: BlobClient) -> None:
    piece = bytes(range(256)) * (4 * MIB // 256)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda at: blob.upload_page(piece, at, len(piece)), (0, 8 * MIB, 16 * MIB, 20 * MIB)))
    blob.clear_page(9 * MIB, MIB)
    found = [(each.start, each.end) for each in blob.list_page_ranges() if not each.cleared]
    expected = [(0, 4 * MIB - 1), (8 * MIB, 9 * MIB - 1), (10 * MIB, 12 * MIB - 1), (16 * MIB, 24 * MIB - 1)]
    assert found == expected
    assert [(each.start, each.end) for each in blob.list_page_ranges(results_per_page=1)] == expected
    assert [(each.start, each.end) for each in blob.list_page_ranges(offset=11 * MIB, length=8 * MIB)] == [
        (11 * MIB, 12 * MIB - 1),
        (16 * MIB, 19 * MIB - 1),
    ]
    assert blob.get_blob_properties().size == 64 * MIB + 512
    content = blob.download_blob(max_concurrency=2).readall()
    assert hashlib.sha256(content[16 * MIB : 20 * MIB]).digest() == hashlib.sha256(piece).digest()
    assert not content[9 * MIB : 10 * MIB].strip(b"\0")


def test_checksums_are_checked_when_they_are_given(azure: Azure, blob: BlobClient) -> None:
    blob.upload_page(PAGE, 0, 512, validate_content=True)
    assert crc64(b"123456789") == (0xAE8B14860A799888).to_bytes(8, "little")
    heads = {"x-ms-range": "bytes=0-511", "x-ms-page-write": "update"}
    right, wrong = base64.b64encode(crc64(PAGE)).decode(), base64.b64encode(bytes(8)).decode()
    assert plain(azure, blob, "PUT", heads | {"x-ms-content-crc64": right}, PAGE) == (201, "")
    assert plain(azure, blob, "PUT", heads | {"x-ms-content-crc64": wrong}, PAGE) == (400, "Crc64Mismatch")
    wrong = base64.b64encode(bytes(16)).decode()
    assert plain(azure, blob, "PUT", heads | {"Content-MD5": wrong}, PAGE) == (400, "Md5Mismatch")


@pytest.mark.parametrize(
    ("changes", "length", "expected"),
    [
        ({"x-ms-range": "bytes=0-510"}, 511, (416, "InvalidPageRange")),
        ({"x-ms-range": "bytes=100-611"}, 512, (416, "InvalidPageRange")),
        ({"x-ms-range": f"bytes={64 * MIB + 512}-{64 * MIB + 1023}"}, 512, (416, "InvalidPageRange")),
        ({"x-ms-range": f"bytes=0-{4 * MIB + 511}"}, 4 * MIB + 512, (413, "RequestBodyTooLarge")),
        ({"x-ms-range": "bytes=0-1023"}, 512, (400, "InvalidHeaderValue")),
        ({"x-ms-range": ""}, 512, (400, "MissingRequiredHeader")),
        ({"x-ms-page-write": "append"}, 512, (400, "InvalidHeaderValue")),
        ({"x-ms-page-write": "clear"}, 512, (400, "InvalidHeaderValue")),
        ({"x-ms-version": ""}, 512, (400, "MissingRequiredHeader")),
        ({"x-ms-version": "yesterday"}, 512, (400, "InvalidHeaderValue")),
        ({"x-ms-if-sequence-number-eq": "0"}, 512, (400, "UnsupportedHeader")),
        ({"x-ms-lease-id": "1"}, 512, (400, "UnsupportedHeader")),
        ({"If-Modified-Since": "Sun, 22 Nov 2026 00:00:00 GMT"}, 512, (400, "UnsupportedHeader")),
        ({"If-Match": '"0x1"'}, 512, (412, "ConditionNotMet")),
        ({"If-None-Match": "*"}, 512, (412, "ConditionNotMet")),
    ],
)  # fmt: skip
def test_writes_that_are_refused(
    azure: Azure, blob: BlobClient, changes: dict[str, str], length: int, expected: tuple[int, str]
) -> None:
    heads = {"x-ms-range": "bytes=0-511", "x-ms-page-write": "update"} | changes
    assert plain(azure, blob, "PUT", heads, bytes(length)) == expected
    assert list(blob.list_page_ranges()) == []


def test_other_requests_that_are_refused(azure: Azure, blob: BlobClient) -> None:
    assert plain(azure, blob, "PUT", {"x-ms-blob-type": "PageBlob"}, part="comp=properties") == (
        400,
        "UnsupportedHeader",
    )
    assert plain(azure, blob, "PUT", {}, part="comp=metadata") == (403, "AuthorizationPermissionMismatch")
    assert plain(azure, blob, "DELETE", {}, part="timeout=5") == (403, "AuthorizationPermissionMismatch")
    assert plain(azure, blob, "GET", {}, part="comp=pagelist&prevsnapshot=x") == (400, "UnsupportedQueryParameter")
    assert plain(azure, blob, "GET", {}, part="comp=pagelist&maxresults=0") == (400, "OutOfRangeQueryParameterValue")
    assert plain(azure, blob, "GET", {}, part="comp=pagelist&marker=x") == (400, "InvalidQueryParameterValue")
    assert plain(azure, blob, "GET", {"x-ms-range": f"bytes={65 * MIB}-"}, part="timeout=5") == (416, "InvalidRange")
    etag = str(blob.get_blob_properties().etag)
    assert plain(azure, blob, "GET", {"If-None-Match": etag}, part="timeout=5")[0] == 304
    with refused("AuthenticationFailed", status=403):
        type(blob).from_blob_url(blob.url.replace("sig=", "sig=x")).get_blob_properties()
    with refused("AuthenticationFailed", status=403):
        type(blob).from_blob_url(blob.url.replace("/abcd", "/abce")).get_blob_properties()
