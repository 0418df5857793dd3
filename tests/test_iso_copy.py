"""The copy of the ISO: slices, kills, a hash that's wrong, an ISO or an upload that's replaced or gone meanwhile."""

from __future__ import annotations

import hashlib
import random

import pytest

from failback.errors import HashMismatch, ObjectChanged, ObjectMissing
from failback.iso_copy import copy_iso, stored_iso
from failback.model.run import CopyCursor, PublishedIso, StoredIso
from failback.model.stage import StageResult
from failback.naming import RUN_TAG, iso_key, iso_proof_key
from tests.memory.objects import MemoryObjects, MemoryUploads

PART = 1000
ISO = random.Random(5).randbytes(10 * PART + 77)
SHA512 = hashlib.sha512(ISO).hexdigest()
KEY = "latest/failback_livecd/client.iso"
TAGS = {RUN_TAG: "run-1"}

Result = StageResult[StoredIso, CopyCursor]


class Copying:
    """AWS's bucket, ours, and a run between them."""

    def __init__(self, sha512: str = SHA512) -> None:
        self.source, self.objects = MemoryObjects(), MemoryObjects()
        self.uploads = MemoryUploads(self.objects, smallest_part=PART)
        self.source.write(KEY, ISO, tags={})
        found = self.source.find(KEY)
        assert found is not None
        self.published = PublishedIso(
            bucket="aws", key=KEY, etag=found.etag, size=found.size, sha512=sha512, owner="1"
        )  # fmt: skip

    def call(self, cursor: CopyCursor | None, *, limit: int = 3 * PART) -> Result:
        return copy_iso(
            self.published,
            source=self.source,
            objects=self.objects,
            uploads=self.uploads,
            cursor=cursor,
            tags=TAGS,
            limit=limit,
            part_size=PART,
            workers=2,
        )

    def to_the_end(self, cursor: CopyCursor | None = None) -> StoredIso:
        result = self.call(cursor)
        while result.status == "more":
            result = self.call(result.cursor)
        assert result.status == "done"
        assert result.facts is not None
        return result.facts


def test_the_copy_is_proved_only_at_its_end() -> None:
    copying, statuses = Copying(), []
    result = copying.call(None)
    while result.status == "more":
        assert stored_iso(copying.objects, SHA512) is None
        assert result.progress is not None
        statuses.append((result.progress.done, result.progress.note))
        result = copying.call(result.cursor)
    assert statuses == [(3000, "copying the ISO"), (6000, "copying the ISO"), (9000, "copying the ISO"),
                        (len(ISO), "checking the hash")]  # fmt: skip
    assert result.facts == StoredIso(key=iso_key(SHA512), size=len(ISO), sha512=SHA512)
    assert stored_iso(copying.objects, SHA512) == result.facts
    assert copying.objects.read(iso_key(SHA512), 0, len(ISO)) == ISO
    assert copying.objects.contents[iso_proof_key(SHA512)].tags == TAGS
    assert copying.objects.contents[iso_key(SHA512)].tags == TAGS


def test_what_is_stored_is_not_copied_again() -> None:
    copying = Copying()
    stored = copying.to_the_end()
    reads = len(copying.source.reads)
    assert copying.call(None).facts == stored
    assert len(copying.source.reads) == reads


@pytest.mark.parametrize("fail_at", [1, 5, 11])
def test_a_kill_costs_one_slice(fail_at: int) -> None:
    copying = Copying()
    copying.uploads.fail_at = fail_at
    cursor, killed = None, 0
    while cursor is None or not cursor.copied:
        try:
            cursor = copying.call(cursor).cursor
        except ConnectionError:
            killed += 1
        assert killed <= 1
    assert killed == 1
    assert copying.to_the_end(cursor).sha512 == SHA512
    assert len(copying.uploads.puts) <= 11 + 3


def test_an_answer_that_was_lost_after_the_end_is_given_again() -> None:
    copying = Copying()
    last = CopyCursor(upload="")
    while not last.copied:
        before, last = last, copying.call(last if last.upload else None).cursor or last
    again = copying.call(before.model_copy(update={"next_byte": len(ISO)}))
    assert again.cursor == last
    assert copying.call(last).facts == copying.call(last).facts == stored_iso(copying.objects, SHA512)


def test_another_hash_leaves_nothing_behind() -> None:
    copying = Copying(sha512="0" * 128)
    with pytest.raises(HashMismatch, match="publishing a new ISO"):
        copying.to_the_end()
    assert copying.objects.contents == {}


def test_an_iso_that_is_replaced_or_gone_meanwhile_is_refused() -> None:
    copying = Copying()
    first = copying.call(None)
    copying.source.write(KEY, ISO[::-1], tags={})
    with pytest.raises(ObjectChanged):
        copying.call(first.cursor)
    copying.source.remove(KEY)
    with pytest.raises(ObjectMissing):
        copying.call(first.cursor)


@pytest.mark.parametrize("slices", [1, 3])
def test_an_upload_that_vanished_begins_anew(slices: int) -> None:
    copying, cursor = Copying(), None
    for _ in range(slices):
        cursor = copying.call(cursor).cursor
    copying.uploads.open.clear()
    again = copying.call(cursor)
    assert (again.status, again.cursor) == ("more", CopyCursor(upload="upload-2"))
    assert copying.to_the_end(again.cursor).sha512 == SHA512


def test_a_copy_that_vanished_before_its_check_is_missed() -> None:
    copying = Copying()
    with pytest.raises(ObjectMissing, match="before its hash was checked"):
        copying.call(CopyCursor(upload="u", next_byte=len(ISO), copied=True))


def test_a_proof_that_is_removed_since_the_look_proves_nothing() -> None:
    copying = Copying()
    copying.to_the_end()
    copying.objects.fail.append(ObjectMissing("gone"))
    assert stored_iso(copying.objects, SHA512) is None
    assert stored_iso(copying.objects, SHA512) is not None


@pytest.mark.parametrize("proof", [b"{}", b'{"key":"x","size":1,"sha512":"x"}'], ids=["old", "other"])
def test_a_proof_that_does_not_fit_proves_nothing(proof: bytes) -> None:
    copying = Copying()
    copying.to_the_end()
    copying.objects.write(iso_proof_key(SHA512), proof, tags={})
    assert stored_iso(copying.objects, SHA512) is None
