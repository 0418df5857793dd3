"""The AMI that's built from a stored ISO: the plan's bytes, slice by slice, whatever is lost on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from failback.errors import NoLiveImage, ObjectMissing, SnapshotFailed
from failback.image.client import read_client
from failback.image.compose import BuildOptions, plan_image
from failback.image.iso import IsoVolume
from failback.image.plan import GIB
from failback.image.source import FileSource
from failback.image_build import build_ami
from failback.model.run import Ami, BuildCursor, StoredIso
from failback.naming import RUN_TAG
from failback.sinks.ebs import BLOCK
from tests.client_iso import ClientIso
from tests.memory.machine_images import MemoryMachineImages
from tests.memory.objects import MemoryObjects
from tests.memory.snapshots import MemorySnapshots

if TYPE_CHECKING:
    from pathlib import Path

    from failback.image.grub import GrubImages
    from failback.model.stage import StageResult

TAGS = {RUN_TAG: "run-1"}
OPTIONS = BuildOptions(clouds=("azure", "aws"))


@dataclass
class Building:
    """A stored ISO and a run that builds from it."""

    iso: Path
    grub: GrubImages

    def __post_init__(self) -> None:
        self.objects, self.snapshots = MemoryObjects(), MemorySnapshots(settle=1)
        self.images = MemoryMachineImages(self.snapshots)
        data = self.iso.read_bytes()
        self.objects.write("iso/x.iso", data, tags={})
        self.stored = StoredIso(key="iso/x.iso", size=len(data), sha512="x")

    def call(self, cursor: BuildCursor | None, limit: int = 4) -> StageResult[Ami, BuildCursor]:
        return build_ami(
            self.stored,
            "client-1",
            objects=self.objects,
            snapshots=self.snapshots,
            images=self.images,
            grub=self.grub,
            options=OPTIONS,
            cursor=cursor,
            token="run-1",
            tags=TAGS,
            limit_blocks=limit,
            workers=3,
        )

    def differing(self, ami: Ami) -> list[int]:
        """The blocks in which the AMI's snapshot isn't the planned disk."""
        blocks, zeros = self.snapshots.snapshots[ami.snapshot].blocks, bytes(BLOCK)
        with FileSource(self.iso) as iso:
            client = read_client(IsoVolume.open(iso), clouds=OPTIONS.clouds)
            plan = plan_image(iso, client, self.grub, OPTIONS).layout.plan
            assert plan.size == ami.size_gib * GIB
            return [
                index
                for index in range(plan.size // BLOCK)
                if plan.read(iso, index * BLOCK, BLOCK) != blocks.get(index, zeros)
            ]


@pytest.fixture
def building(whole_iso: Path, grub: GrubImages) -> Building:
    return Building(whole_iso, grub)


def test_the_snapshot_is_the_planned_disk_though_a_slice_was_lost(building: Building) -> None:
    building.snapshots.fail_at = 6
    cursor, statuses, lost = None, [], 0
    result = building.call(None)
    while result.status != "done":
        statuses.append(result.status)
        cursor = result.cursor
        try:
            result = building.call(cursor)
        except ConnectionError:
            lost += 1
    assert lost == 1
    assert statuses[-1] == "pending"
    assert set(statuses[:-1]) == {"more"}
    ami = result.facts
    assert ami is not None
    assert cursor is not None
    assert building.differing(ami) == []
    assert cursor.put == len(building.snapshots.snapshots[ami.snapshot].blocks)
    assert len(building.snapshots.puts) <= cursor.put + 4
    assert building.images.tags[ami.id] == building.snapshots.snapshots[ami.snapshot].tags == TAGS
    assert building.call(None).facts == ami


def test_completing_is_repeated_where_its_answer_was_lost(building: Building) -> None:
    written = building.call(None, limit=10_000)
    assert written.cursor is not None
    assert (written.status, written.cursor.next_block, written.cursor.completed) == ("more", None, False)
    first = building.call(written.cursor)
    assert (first.status, first.wait_seconds > 0) == ("pending", True)
    assert building.call(written.cursor).facts == building.call(first.cursor).facts == building.images.find("client-1")


def test_a_snapshot_that_became_an_error_fails_the_build(building: Building) -> None:
    written = building.call(None, limit=10_000)
    assert written.cursor is not None
    building.snapshots.snapshots[written.cursor.snapshot].failed = True
    with pytest.raises(SnapshotFailed, match=written.cursor.snapshot):
        building.call(written.cursor)


def test_an_iso_that_is_gone_or_lacks_something_is_refused(
    building: Building, grub: GrubImages, tmp_path: Path
) -> None:
    poor = Building(ClientIso(without=("LiveOS/squashfs.img",)).write(tmp_path), grub)
    with pytest.raises(NoLiveImage):
        poor.call(None)
    building.objects.remove("iso/x.iso")
    with pytest.raises(ObjectMissing):
        building.call(None)
