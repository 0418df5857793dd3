"""The export: the disk of any AMI as a fixed VHD, in slices; what's lost on the way costs one of them."""

from __future__ import annotations

import base64
import random
from typing import TYPE_CHECKING

import pytest

from failback.errors import AmiUnsuitable
from failback.image.plan import GIB, MIB
from failback.image.verify import check_vhd_footer
from failback.image_export import LARGEST_GIB, PART_SIZE, export_ami, exported_image
from failback.model.run import Ami, CopyCursor, ExportedImage
from failback.naming import RUN_TAG, export_key, export_proof_key
from failback.sinks.ebs import BLOCK
from tests.memory.objects import MemoryObjects, MemoryUploads
from tests.memory.snapshots import MemorySnapshots

if TYPE_CHECKING:
    from failback.model.stage import StageResult

KEY, TAGS = "0123456789abcdef0123", {RUN_TAG: "run-1"}
ZEROS = bytes(BLOCK)
HELD = (0, 1, 31, 32, 700, 2046)


class Exporting:
    """An AMI of a snapshot with a few blocks, and a run that exports it."""

    def __init__(self) -> None:
        self.objects, self.snapshots = MemoryObjects(), MemorySnapshots()
        self.uploads = MemoryUploads(self.objects)
        self.blocks = {index: random.Random(index).randbytes(BLOCK) for index in HELD}
        snapshot = self.snapshots.start(size_gib=1, token="t", tags={})
        for index, data in self.blocks.items():
            self.snapshots.put(snapshot, index, data)
        self.snapshots.complete(snapshot, blocks=len(HELD))
        self.ami = Ami(id="ami-1", name="own", snapshot=snapshot, size_gib=1)

    def call(self, cursor: CopyCursor | None, limit: int = 512 * MIB) -> StageResult[ExportedImage, CopyCursor]:
        return export_ami(
            self.ami,
            KEY,
            "vhd",
            snapshots=self.snapshots,
            objects=self.objects,
            uploads=self.uploads,
            cursor=cursor,
            tags=TAGS,
            limit=limit,
        )

    def part(self, offset: int) -> bytes:
        """What the disk holds at `offset`."""
        first = offset // BLOCK
        return b"".join(self.blocks.get(index, ZEROS) for index in range(first, first + PART_SIZE // BLOCK))


def test_the_export_is_the_disk_and_a_footer_though_a_slice_was_lost() -> None:
    exporting = Exporting()
    exporting.uploads.fail_at = 40
    result, lost = exporting.call(None), 0
    while result.status == "more":
        assert exported_image(exporting.objects, KEY, "vhd") is None
        try:
            result = exporting.call(result.cursor)
        except ConnectionError:
            lost += 1
    exported = result.facts
    assert lost == 1
    assert exported is not None
    assert (exported.size, exported.disk_size) == (GIB + 512, GIB)
    assert exported == exported_image(exporting.objects, KEY, "vhd")
    for offset in range(0, GIB, PART_SIZE):
        assert exporting.objects.read(exported.key, offset, PART_SIZE) == exporting.part(offset)
    check_vhd_footer(exporting.objects.read(exported.key, GIB, 512), size=GIB)
    bits = int.from_bytes(base64.b64decode(exported.data_blocks), "little")
    assert [index for index in range(2048) if bits >> index & 1] == list(HELD)
    assert len(exporting.uploads.puts) <= 65 + 32
    # What holds no data isn't read.
    assert set(exporting.snapshots.gets) == set(HELD)
    assert exporting.call(None).facts == exported
    for key in (export_key(KEY, "vhd"), export_proof_key(KEY, "vhd")):
        assert exporting.objects.contents[key].tags == TAGS


def test_an_upload_that_vanished_begins_anew_and_a_finished_one_is_found() -> None:
    exporting = Exporting()
    first = exporting.call(None, limit=GIB)
    exporting.uploads.open.clear()
    assert exporting.call(first.cursor).cursor == CopyCursor(upload="upload-2")
    last = exporting.call(CopyCursor(upload="upload-2"), limit=GIB)
    last = exporting.call(last.cursor)
    assert last.cursor is not None
    assert last.cursor.next_byte == GIB + 512
    done = exporting.call(last.cursor)
    assert done.status == "done"
    assert exporting.call(last.cursor).facts == done.facts
    assert exporting.uploads.open == {}


def test_another_object_of_that_key_is_not_taken_for_the_export() -> None:
    exporting = Exporting()
    exporting.objects.write(export_key(KEY, "vhd"), b"left over", tags={})
    again = exporting.call(CopyCursor(upload="gone", next_byte=GIB + 512))
    assert (again.status, again.cursor) == ("more", CopyCursor(upload="upload-1"))


def test_a_disk_that_is_too_large_is_refused() -> None:
    exporting = Exporting()
    exporting.ami = exporting.ami.model_copy(update={"size_gib": LARGEST_GIB + 1})
    with pytest.raises(AmiUnsuitable, match=f"at most {LARGEST_GIB}"):
        exporting.call(None)


def test_a_proof_that_does_not_fit_proves_nothing() -> None:
    objects = MemoryObjects()
    objects.write(export_key(KEY, "vhd"), b"disk", tags={})
    assert exported_image(objects, KEY, "vhd") is None
    for proof in (b"{}", b'{"key":"x","format":"vhd","size":4,"disk_size":3,"data_blocks":""}'):
        objects.write(export_proof_key(KEY, "vhd"), proof, tags={})
        assert exported_image(objects, KEY, "vhd") is None
