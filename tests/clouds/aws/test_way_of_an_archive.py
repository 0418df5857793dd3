"""An archive for Google Cloud through the embedded AWS: from the blocks of a snapshot to one object, by slices."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from failback.clouds.aws.objects import S3Objects, S3Uploads
from failback.clouds.aws.snapshots import EbsSnapshots
from failback.exported_content import ExportedContent
from failback.image.plan import GIB, MIB, Extent, IsoRange, extent, make_plan
from failback.image.source import BytesSource
from failback.image_export import PART_SIZE, export_ami
from failback.model.run import Ami
from failback.naming import RUN_TAG
from failback.sinks.ebs import data_blocks
from tests.clouds.aws.embedded import BUCKET, embedded_parts
from tests.sinks.gce_archives import assert_is, unpacked

if TYPE_CHECKING:
    from pathlib import Path

KEY, TAGS = "0123456789abcdef0123", {RUN_TAG: "run-1"}
NOISE = random.Random(12).randbytes(18 * MIB)
PLAN = make_plan(
    GIB, [extent(0, b"boot" * 128), Extent(66 * MIB, len(NOISE), IsoRange(0)), extent(GIB - 512, b"last" * 128)]
)


def test_gnu_tar_unpacks_what_is_in_the_bucket(tmp_path: Path) -> None:
    with embedded_parts(tmp_path / "aws") as parts:
        objects, uploads = S3Objects(parts.s3, BUCKET), S3Uploads(parts.s3, BUCKET)
        snapshots = EbsSnapshots(parts.ebs, parts.ec2)
        snapshot = snapshots.start(size_gib=1, token="t", tags=TAGS)
        blocks = list(data_blocks(PLAN, BytesSource(NOISE)))
        for index, data in blocks:
            snapshots.put(snapshot, index, data)
        snapshots.complete(snapshot, blocks=len(blocks))
        while snapshots.state(snapshot) != "completed":
            time.sleep(0.05)
        ami = Ami(id="ami-1", name="own", snapshot=snapshot, size_gib=1)
        result, calls = None, 0
        while result is None or result.status != "done":
            result = export_ami(
                ami, KEY, "gce", snapshots=snapshots, objects=objects, uploads=uploads,
                cursor=result.cursor if result else None, tags=TAGS, limit=PART_SIZE,
            )  # fmt: skip
            calls += 1
        assert calls == 3
        assert result.facts is not None
        content = ExportedContent(objects, result.facts)
        with (tmp_path / "disk.tar.gz").open("wb") as archive:
            for offset, length in content.ranges():
                archive.write(content.read(offset, length))
    assert_is(unpacked(tmp_path / "disk.tar.gz"), PLAN, NOISE)
