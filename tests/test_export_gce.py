"""The export for Google Cloud: one archive, whatever slices it's made in, and the disk comes out of it."""

from __future__ import annotations

import random
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from failback.errors import AmiUnsuitable
from failback.export_gce import GceExport
from failback.exported_content import RANGE, ExportedContent
from failback.image.plan import GIB, MIB, Extent, IsoRange, extent, make_plan
from failback.image.source import BytesSource
from failback.image_export import LARGEST_GIB, PART_SIZE, READERS, export_ami, exported_image
from failback.model.run import Ami, ArchiveSoFar, CopyCursor, ExportedImage
from failback.naming import RUN_TAG, export_key, export_proof_key
from failback.sinks.ebs import BLOCK, data_blocks
from tests.memory.objects import MemoryObjects, MemoryUploads
from tests.memory.snapshots import MemorySnapshots
from tests.sinks.gce_archives import assert_is, packed, unpacked

if TYPE_CHECKING:
    from pathlib import Path

    from failback.image.plan import DiskPlan
    from failback.model.stage import StageResult
    from failback.pieces import Pieces
    from failback.ports import BlockReference

KEY, TAGS = "0123456789abcdef0123", {RUN_TAG: "run-1"}
NOISE = random.Random(11).randbytes(40 * MIB)
PLAN = make_plan(
    2 * GIB,
    [
        extent(0, b"boot" * 128),
        extent(2 * MIB, b"files and more of them " * 200_000),
        Extent(66 * MIB, len(NOISE), IsoRange(0)),
        extent(2 * GIB - 512, b"last" * 128),
    ],
)


class Exporting:
    """An AMI whose snapshot holds a plan's blocks, and a run that exports it for Google Cloud."""

    def __init__(self, plan: DiskPlan = PLAN, *, smallest_part: int = 5 * MIB) -> None:
        self.objects, self.snapshots = MemoryObjects(), MemorySnapshots()
        self.uploads = MemoryUploads(self.objects, smallest_part=smallest_part)
        snapshot = self.snapshots.start(size_gib=plan.size // GIB, token="t", tags={})
        for index, data in data_blocks(plan, BytesSource(NOISE)):
            self.snapshots.put(snapshot, index, data)
        self.snapshots.complete(snapshot, blocks=len(self.snapshots.puts))
        self.ami = Ami(id="ami-1", name="own", snapshot=snapshot, size_gib=plan.size // GIB)

    def call(self, cursor: CopyCursor | None, limit: int = 512 * MIB) -> StageResult[ExportedImage, CopyCursor]:
        return export_ami(
            self.ami,
            KEY,
            "gce",
            snapshots=self.snapshots,
            objects=self.objects,
            uploads=self.uploads,
            cursor=cursor,
            tags=TAGS,
            limit=limit,
        )

    def whole(self, limit: int) -> bytes:
        """Export all of it in slices of that size; each cursor passes through JSON."""
        result = self.call(None, limit)
        while result.status == "more":
            assert result.cursor is not None
            assert exported_image(self.objects, KEY, "gce") is None
            result = self.call(CopyCursor.model_validate_json(result.cursor.model_dump_json()), limit)
        return self.stored()

    def stored(self) -> bytes:
        return b"".join(self.objects.contents[export_key(KEY, "gce")].pieces)


@pytest.fixture(scope="module")
def archive() -> bytes:
    """As one slice makes it."""
    return Exporting().whole(2 * GIB)


def test_gnu_tar_unpacks_the_same_disk_as_of_the_plans_own_archive(tmp_path: Path, archive: bytes) -> None:
    for name in ("snapshot", "plan"):
        (tmp_path / name).mkdir()
    (tmp_path / "snapshot" / "disk.tar.gz").write_bytes(archive)
    for path in (tmp_path / "snapshot" / "disk.tar.gz", packed(PLAN, tmp_path / "plan" / "disk.tar.gz", NOISE)):
        assert_is(unpacked(path), PLAN, NOISE)


def test_what_is_left_of_an_export(archive: bytes) -> None:
    exporting = Exporting()
    assert exporting.whole(2 * GIB) == archive
    exported = exported_image(exporting.objects, KEY, "gce")
    assert exported is not None
    assert exported == ExportedImage(
        key=export_key(KEY, "gce"), format="gce", size=len(archive), disk_size=2 * GIB, data_blocks=""
    )
    for key in (export_key(KEY, "gce"), export_proof_key(KEY, "gce")):
        assert exporting.objects.contents[key].tags == TAGS
    # Each block is read once, and what holds no data isn't.
    assert sorted(exporting.snapshots.gets) == sorted(set(exporting.snapshots.puts))
    assert exporting.call(None).facts == exported
    assert exporting.uploads.open == {}


@pytest.mark.parametrize("limit", [1, 20 * MIB, 64 * MIB])
def test_slices_do_not_show_in_the_archive(archive: bytes, limit: int) -> None:
    exporting = Exporting()
    assert exporting.whole(limit) == archive
    assert exporting.uploads.puts == [1, 2, 3]


@pytest.mark.parametrize("lost", [1, 2, 3])
@pytest.mark.parametrize("limit", [1, 2 * GIB], ids=["many", "one"])
def test_a_lost_slice_is_put_again_the_same(archive: bytes, lost: int, limit: int) -> None:
    exporting = Exporting()
    exporting.uploads.fail_at = lost
    cursor = CopyCursor(upload=exporting.uploads.begin(export_key(KEY, "gce"), tags=TAGS))
    broken, done = 0, False
    while not done:
        try:
            result = exporting.call(cursor, limit)
        except ConnectionError:
            broken += 1
        else:
            cursor, done = result.cursor or cursor, result.status == "done"
        assert len(exporting.uploads.puts) < 20
    assert broken == 1
    assert exporting.stored() == archive


def test_a_slice_whose_answer_was_lost_changes_nothing(archive: bytes) -> None:
    """Every call is made twice from the same cursor."""
    exporting = Exporting()
    begun = exporting.call(None, 1)
    while begun.status == "more":
        assert begun.cursor is not None
        again = exporting.call(begun.cursor, 1)
        assert exporting.call(begun.cursor, 1).cursor == again.cursor
        begun = again
    assert exporting.stored() == archive


def test_parts_are_large_enough_and_progress_is_told() -> None:
    exporting = Exporting()
    result = exporting.call(None, 1)
    assert result.cursor is not None
    assert result.cursor.archive is not None
    assert (result.cursor.archive.parts, result.cursor.archive.size >= PART_SIZE) == (1, True)
    assert result.progress is not None
    assert 0 < result.progress.done < result.progress.total
    # What shrinks needs more of the disk for a part.
    assert result.cursor.next_byte > PART_SIZE + 4 * MIB
    assert all(len(part) < PART_SIZE + 2 * BLOCK for part in exporting.uploads.open["upload-1"].parts.values())


def test_an_upload_that_vanished_begins_anew(archive: bytes) -> None:
    exporting = Exporting()
    first = exporting.call(None, 1)
    exporting.uploads.open.clear()
    again = exporting.call(first.cursor)
    assert again.cursor == CopyCursor(upload="upload-2")
    while again.status == "more":
        again = exporting.call(again.cursor)
    assert exporting.stored() == archive


def test_another_object_of_that_key_is_not_taken_for_the_export() -> None:
    exporting = Exporting()
    exporting.objects.write(export_key(KEY, "gce"), b"left over", tags={})
    for so_far in (None, ArchiveSoFar(parts=3, size=10)):
        gone = CopyCursor(upload="gone", next_byte=1 << 40, archive=so_far)
        again = exporting.call(gone)
        assert again.status == "more"
        assert again.cursor is not None
        assert (again.cursor.next_byte, again.cursor.archive) == (0, None)


@pytest.mark.parametrize("held", [(), (0,), (7, 2047), tuple(range(0, 2048, 32))], ids=len)
def test_any_blocks_of_a_snapshot(tmp_path: Path, held: tuple[int, ...]) -> None:
    parts = [extent(index * BLOCK, bytes([index % 200 + 1]) * BLOCK) for index in held]
    plan = make_plan(GIB, parts)
    (tmp_path / "disk.tar.gz").write_bytes(Exporting(plan).whole(8 * MIB))
    assert_is(unpacked(tmp_path / "disk.tar.gz"), plan)


def test_a_disk_that_is_too_large_is_refused() -> None:
    exporting = Exporting()
    exporting.ami = exporting.ami.model_copy(update={"size_gib": LARGEST_GIB + 1})
    with pytest.raises(AmiUnsuitable, match=f"at most {LARGEST_GIB}"):
        exporting.call(None)


def test_a_home_reads_the_archive_as_it_is(archive: bytes) -> None:
    exporting = Exporting()
    exporting.whole(GIB)
    exported = exported_image(exporting.objects, KEY, "gce")
    assert exported is not None
    content = ExportedContent(exporting.objects, exported)
    assert content.size == len(archive)
    for first in (0, 1, RANGE, 3 * RANGE + 12345, len(archive) - 1, len(archive)):
        ranges = list(content.ranges(first))
        assert b"".join(content.read(*each) for each in ranges) == archive[first:]
        assert all(0 < length <= RANGE for _, length in ranges)
        assert all(offset % RANGE == 0 for offset, _ in ranges[1:])


class LongSnapshots(MemorySnapshots):
    """A snapshot that's full of the same noise; each read allocates."""

    def get(self, snapshot: str, block: BlockReference) -> bytes:
        return bytes(bytearray(NOISE[:BLOCK]))


class Discarding(MemoryUploads):
    """Keeps nothing of what's put."""

    def put(self, key: str, upload: str, number: int, data: bytes | Pieces) -> None:
        assert len(data) >= PART_SIZE or number > 30


def test_memory_is_bounded() -> None:
    snapshots = LongSnapshots()
    snapshot = snapshots.start(size_gib=1, token="t", tags={})
    for index in range(2048):
        snapshots.put(snapshot, index, NOISE[:BLOCK])
        snapshots.snapshots[snapshot].blocks[index] = b""
    snapshots.complete(snapshot, blocks=2048)
    ami = Ami(id="ami-1", name="own", snapshot=snapshot, size_gib=1)
    export = GceExport(ami, "k", snapshots, part_size=PART_SIZE, readers=READERS)
    tracemalloc.start()
    try:
        end = export.upload(Discarding(MemoryObjects()), CopyCursor(upload="u"), limit=512 * MIB, workers=4)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 512 * MIB <= end.next_byte < 540 * MIB
    # Four parts, and for each reader a block, read and packed.
    assert peak < 4 * (PART_SIZE + BLOCK) + READERS * 2 * BLOCK + 4 * MIB < 130 * MIB
