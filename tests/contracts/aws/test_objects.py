"""The contracts of ObjectStore and UploadStore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from failback.errors import ObjectChanged, ObjectMissing

if TYPE_CHECKING:
    from tests.contracts.aws.conftest import Bucket

TAGS = {"drs-failback:run": "run-1", "drs-failback:created": "2026-11-22T12:00:00Z"}
PART = 5 * 1024 * 1024


def test_a_small_object_is_there_until_it_is_removed(bucket: Bucket) -> None:
    assert bucket.objects.find("iso/a b+c.json") is None
    bucket.objects.write("iso/a b+c.json", b"first", tags=TAGS)
    bucket.objects.write("iso/a b+c.json", b"second!", tags=TAGS)
    found = bucket.objects.find("iso/a b+c.json")
    assert found is not None
    assert (found.key, found.size) == ("iso/a b+c.json", 7)
    assert bucket.objects.read(found.key, 1, 3, etag=found.etag) == b"eco"
    assert bucket.objects.read(found.key, 0, 7) == b"second!"
    assert bucket.objects.read(found.key, 7, 0) == b""
    bucket.objects.remove(found.key)
    bucket.objects.remove(found.key)
    assert bucket.objects.find(found.key) is None


def test_a_read_gives_all_or_says_why_not(bucket: Bucket) -> None:
    bucket.objects.write("x", b"0123456789", tags=TAGS)
    first = bucket.objects.find("x")
    assert first is not None
    for offset, length in ((5, 6), (10, 1)):
        with pytest.raises(ObjectChanged):
            bucket.objects.read("x", offset, length)
    bucket.objects.write("x", b"another one", tags=TAGS)
    with pytest.raises(ObjectChanged):
        bucket.objects.read("x", 0, 1, etag=first.etag)
    with pytest.raises(ObjectMissing):
        bucket.objects.read("y", 0, 1)


def test_an_upload_is_seen_when_it_is_finished(bucket: Bucket) -> None:
    upload = bucket.uploads.begin("big", tags=TAGS)
    bucket.uploads.put("big", upload, 2, b"end")
    bucket.uploads.put("big", upload, 1, b"a" * PART)
    bucket.uploads.put("big", upload, 1, b"b" * PART)
    assert bucket.objects.find("big") is None
    made = bucket.uploads.finish("big", upload)
    assert (made.key, made.size) == ("big", PART + 3)
    assert bucket.uploads.finish("big", upload) == made == bucket.objects.find("big")
    assert bucket.objects.read("big", PART - 2, 4, etag=made.etag) == b"bben"


def test_an_upload_that_was_given_up_is_gone(bucket: Bucket) -> None:
    upload = bucket.uploads.begin("big", tags=TAGS)
    bucket.uploads.put("big", upload, 1, b"a")
    bucket.uploads.abort("big", upload)
    bucket.uploads.abort("big", upload)
    with pytest.raises(ObjectMissing):
        bucket.uploads.put("big", upload, 1, b"a")
    with pytest.raises(ObjectMissing):
        bucket.uploads.finish("big", upload)
    assert bucket.objects.find("big") is None
