"""The embedded Cloud Storage through google-cloud-storage."""

from __future__ import annotations

import base64
import hashlib
import io
import random
from typing import TYPE_CHECKING

import google_crc32c
import pytest
from google.api_core import exceptions

from tests.localcloud.google_storage.conftest import BUCKET, READER, WRITER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.localcloud.google_storage.conftest import Dynamic, Storage

QUANTUM = 256 * 1024
NOISE = random.Random(5).randbytes(2 * QUANTUM + 1234)


@pytest.fixture
def client(running: Storage) -> Dynamic:
    return running.client()


def test_buckets(client: Dynamic) -> None:
    made = client.create_bucket("second-1", location="EU")
    assert (made.location, made.project_number, made.storage_class) == ("EU", 4711, "STANDARD")
    assert client.get_bucket(BUCKET).location == "EUROPE-WEST3"
    assert [each.name for each in client.list_buckets()] == [BUCKET, "second-1"]
    assert [each.name for each in client.list_buckets(prefix="sec", page_size=1)] == ["second-1"]
    assert made.exists()
    assert not client.bucket("third-1").exists()
    with pytest.raises(exceptions.Conflict):
        client.create_bucket("second-1")
    with pytest.raises(exceptions.BadRequest, match="Invalid bucket name"):
        client.create_bucket("googly")
    made.blob("x").upload_from_string(b"x")
    with pytest.raises(exceptions.Conflict, match="not empty"):
        made.delete()
    made.blob("x").delete()
    made.delete()
    with pytest.raises(exceptions.NotFound):
        client.get_bucket("second-1")


@pytest.mark.parametrize("size", [0, 1, 2, 3, 70_000], ids=str)
def test_a_small_object_goes_in_by_one_request_and_comes_back(client: Dynamic, size: int) -> None:
    data, bucket = NOISE[:size], client.bucket(BUCKET)
    blob = bucket.blob("folder/a b+ü%.raw")
    blob.metadata = {"drs-failback-run": "r-1"}
    blob.upload_from_string(data, content_type="application/gzip", if_generation_match=0, checksum="md5")
    assert blob.size == size
    found = client.get_bucket(BUCKET).get_blob("folder/a b+ü%.raw")
    assert found.metadata == {"drs-failback-run": "r-1"}
    assert found.content_type == "application/gzip"
    assert found.md5_hash == base64.b64encode(hashlib.md5(data).digest()).decode()
    assert found.crc32c == base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()
    assert found.download_as_bytes() == data
    if size > 2:
        assert found.download_as_bytes(start=1, end=2) == data[1:3]
        assert found.download_as_bytes(start=size - 1) == data[-1:]
        with pytest.raises(exceptions.RequestRangeNotSatisfiable):
            found.download_as_bytes(start=size)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("folder/a b+ü%.raw").upload_from_string(b"", if_generation_match=0)


@pytest.mark.parametrize("size", [0, 5, QUANTUM, 2 * QUANTUM, 2 * QUANTUM + 1234], ids=str)
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_resumable_uploads_of_every_size(client: Dynamic, size: int, known: bool) -> None:
    blob = client.bucket(BUCKET).blob("disk.raw.tar.gz", chunk_size=QUANTUM)
    data = NOISE[:size]
    if known:
        blob._do_resumable_upload(
            client, io.BytesIO(data), "application/gzip", size, None, 0, None, None, None, checksum="crc32c"
        )
        blob.reload()
    else:
        blob.upload_from_file(io.BytesIO(data), content_type="application/gzip", checksum="crc32c")
    assert (blob.size, blob.content_type) == (size, "application/gzip")
    assert blob.download_as_bytes() == data


def test_listing_pages_prefixes_and_folders(client: Dynamic) -> None:
    bucket = client.bucket(BUCKET)
    names = ["a/1", "a/2", "b", "c/d/1", "c/d/2", "é"]
    for name in names:
        bucket.blob(name).upload_from_string(b"")
    assert [each.name for each in client.list_blobs(BUCKET)] == names
    assert [each.name for each in client.list_blobs(BUCKET, prefix="a/")] == ["a/1", "a/2"]
    assert [each.name for each in client.list_blobs(BUCKET, page_size=2)] == names
    pages = client.list_blobs(BUCKET, delimiter="/", page_size=1)
    assert [each.name for each in pages] == ["b", "é"]
    assert pages.prefixes == {"a/", "c/"}
    assert [each.name for each in client.list_blobs(BUCKET, start_offset="b", end_offset="c/d/2")] == ["b", "c/d/1"]
    assert [each.name for each in client.list_blobs(BUCKET, fields="items(name),nextPageToken")] == names


def test_metadata_are_merged_and_conditions_hold(client: Dynamic) -> None:
    blob = client.bucket(BUCKET).blob("x")
    blob.upload_from_string(b"one")
    first = blob.generation
    blob.metadata = {"a": "1", "b": "2"}
    blob.patch()
    blob.reload()
    assert (blob.metageneration, blob.metadata) == (2, {"a": "1", "b": "2"})
    blob.metadata = {"a": None, "c": "3"}
    blob.cache_control = "no-store"
    blob.patch(if_metageneration_match=2)
    blob.reload()
    assert (blob.generation, blob.metadata, blob.cache_control) == (first, {"b": "2", "c": "3"}, "no-store")
    with pytest.raises(exceptions.PreconditionFailed):
        blob.patch(if_metageneration_match=2)
    blob.upload_from_string(b"two", if_generation_match=first)
    assert blob.generation > first
    with pytest.raises(exceptions.PreconditionFailed):
        blob.delete(if_generation_match=first)
    with pytest.raises(exceptions.NotFound):
        client.bucket(BUCKET).blob("x", generation=first).reload()
    with pytest.raises(exceptions.NotModified):
        blob.download_as_bytes(if_generation_not_match=blob.generation)
    blob.delete(if_generation_match=blob.generation)
    with pytest.raises(exceptions.NotFound):
        blob.delete()


def test_compose_joins_objects_that_stay(client: Dynamic) -> None:
    bucket = client.bucket(BUCKET)
    parts = [bucket.blob(f"part-{number}") for number in range(3)]
    for number, part in enumerate(parts):
        part.upload_from_string(NOISE[number * 1000 : number * 1000 + 1000])
    whole = bucket.blob("whole")
    whole.content_type = "application/gzip"
    whole.compose(parts, if_generation_match=0)
    assert whole.download_as_bytes() == NOISE[:3000]
    assert whole.download_as_bytes(start=999, end=2000) == NOISE[999:2001]
    whole.reload()
    assert (whole.component_count, whole.md5_hash, whole.content_type) == (3, None, "application/gzip")
    assert whole.crc32c == base64.b64encode(google_crc32c.value(NOISE[:3000]).to_bytes(4, "big")).decode()
    with pytest.raises(exceptions.PreconditionFailed):
        whole.compose(parts, if_generation_match=0)
    with pytest.raises(exceptions.NotFound):
        bucket.blob("other").compose([parts[0], bucket.blob("gone")])
    bucket.blob("whole").compose([whole, parts[0]])
    for part in parts:
        part.delete()
    whole = bucket.get_blob("whole")
    assert whole.component_count == 4
    assert whole.download_as_bytes() == NOISE[:3000] + NOISE[:1000]


def test_who_may_what(running: Storage) -> None:
    reader, writer = running.client(READER).bucket(BUCKET), running.client(WRITER).bucket(BUCKET)
    writer.blob("x").upload_from_string(b"x", retry=None)
    assert reader.blob("x").download_as_bytes() == b"x"
    attempts: list[Callable[[], object]] = [
        lambda: reader.blob("y").upload_from_string(b"y"),
        lambda: writer.blob("x").upload_from_string(b"replaced"),
        lambda: writer.blob("x").download_as_bytes(),
        lambda: reader.blob("x").delete(),
        lambda: running.client(READER).create_bucket("third-1"),
        lambda: running.client(READER).get_bucket(BUCKET),
    ]
    for refused in attempts:
        with pytest.raises(exceptions.Forbidden, match="does not have storage"):
            refused()
    assert reader.blob("x").download_as_bytes() == b"x"
    late = running.identity.give_token(READER)
    running.clock.advance(3601)
    answer = running.call("GET", f"/storage/v1/b/{BUCKET}/o/x", headers={"Authorization": f"Bearer {late}"})
    assert running.reason(answer) == (401, "authError")
