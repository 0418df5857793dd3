"""EBS snapshots by real boto3 against the embedded AWS: what's written is the very disk that `image build` writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from failback.clouds.aws.snapshots import EbsSnapshots
from failback.errors import DataCorrupt
from failback.image.build import build_image
from failback.image.client import read_client
from failback.image.compose import BuildOptions, plan_image
from failback.image.iso import IsoVolume
from failback.image.plan import GIB
from failback.image.source import FileSource
from failback.ports import BlockReference
from failback.sinks.ebs import BLOCK, SnapshotCursor, write_slice
from localcloud.ebs.direct import EbsDirectService
from localcloud.ebs.images import ImageService
from localcloud.ebs.store import SnapshotStore
from localcloud.serving import serve_application

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from failback.image.grub import GrubImages


@pytest.fixture
def snapshots(tmp_path: Path) -> Iterator[EbsSnapshots]:
    store = SnapshotStore(tmp_path / "ebs")
    config = Config(max_pool_connections=50, retries={"mode": "standard", "total_max_attempts": 5})
    with serve_application(EbsDirectService(store)) as ebs_url, serve_application(ImageService(store)) as ec2_url:
        session = boto3.Session(aws_access_key_id="AKIATEST", aws_secret_access_key="x", region_name="eu-west-1")
        yield EbsSnapshots(
            session.client("ebs", endpoint_url=ebs_url, config=config),
            session.client("ec2", endpoint_url=ec2_url, config=config),
        )


def differing(snapshots: EbsSnapshots, snapshot: str, disk: Path) -> list[int]:
    """The blocks in which a snapshot isn't the disk."""
    held = {block.index: block for block in snapshots.blocks(snapshot)}
    found, zeros = [], bytes(BLOCK)
    with disk.open("rb") as file:
        for index in range(disk.stat().st_size // BLOCK):
            data = snapshots.get(snapshot, held[index]) if index in held else zeros
            if file.read(BLOCK) != data:
                found.append(index)
    return found


def test_a_snapshot_written_in_slices_is_the_disk_that_a_build_writes(
    tmp_path: Path, whole_iso: Path, grub: GrubImages, snapshots: EbsSnapshots
) -> None:
    options = BuildOptions()
    built = build_image(
        whole_iso,
        tmp_path / "disk",
        image_format="raw",
        grub=grub,
        options=options,
        progress=lambda _work, _total: lambda _count: None,
    )
    with FileSource(whole_iso) as iso:
        plan = plan_image(iso, read_client(IsoVolume.open(iso)), grub, options).layout.plan
        snapshot = snapshots.start(size_gib=plan.size // GIB, token="run-1", tags={"drs-failback:run": "run-1"})
        assert snapshots.start(size_gib=1, token="run-1", tags={"drs-failback:run": "run-1"}) == snapshot
        cursor = SnapshotCursor()
        while cursor.next_block is not None:
            lost = write_slice(plan, iso, snapshots, snapshot, cursor=cursor, limit=4, workers=4)
            again = write_slice(plan, iso, snapshots, snapshot, cursor=cursor, limit=4, workers=4)
            assert again == lost
            cursor = again
    assert snapshots.state(snapshot) == "pending"
    snapshots.complete(snapshot, blocks=cursor.put)
    assert snapshots.state(snapshot) == "completed"
    assert len(list(snapshots.blocks(snapshot))) == cursor.put
    assert built.disk_size == plan.size
    assert differing(snapshots, snapshot, tmp_path / "disk") == []


def test_a_wrong_count_is_refused_and_blocks_are_listed_from_anywhere(snapshots: EbsSnapshots) -> None:
    snapshot = snapshots.start(size_gib=1, token="t", tags={})
    for index in (0, 7, 2047):
        snapshots.put(snapshot, index, bytes([index % 251 + 1]) * BLOCK)
    with pytest.raises(Exception, match="ValidationException"):
        snapshots.complete(snapshot, blocks=2)
    snapshots.complete(snapshot, blocks=3)
    assert [block.index for block in snapshots.blocks(snapshot, first=5)] == [7, 2047]


def test_a_block_that_arrives_damaged_is_refused(snapshots: EbsSnapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = snapshots.start(size_gib=1, token="t", tags={})
    snapshots.put(snapshot, 0, b"\x01" * BLOCK)
    snapshots.complete(snapshot, blocks=1)
    (block,) = snapshots.blocks(snapshot)
    # The transport can't be made to damage what it carries, so the checksum is taken of something else.
    monkeypatch.setattr("failback.clouds.aws.snapshots._checksum", lambda _data: "of something else")
    with pytest.raises(DataCorrupt, match="block 0 arrived damaged"):
        snapshots.get(snapshot, BlockReference(index=0, token=block.token))
