"""The whole way of a client image through the embedded AWS: AWS's ISO, its copy, the AMI, the exported VHD."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

from failback.clouds.aws.belongings import AwsBelongings
from failback.clouds.aws.client_iso import hash_bucket, hash_object, iso_bucket, iso_object, published_iso
from failback.clouds.aws.machine_images import Ec2MachineImages
from failback.clouds.aws.objects import S3Objects, S3Uploads
from failback.clouds.aws.snapshots import EbsSnapshots
from failback.exported_content import ExportedContent
from failback.image.build import build_image
from failback.image.compose import BuildOptions
from failback.image.plan import MIB
from failback.image.source import FileSource
from failback.image_build import build_ami
from failback.image_export import export_ami
from failback.iso_copy import copy_iso
from failback.naming import RUN_TAG
from failback.recipe import image_key
from localcloud.objects.store import put_file
from tests.clouds.aws.embedded import AWS_ACCOUNT, BUCKET, REGION, embedded_parts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from failback.image.grub import GrubImages
    from failback.model.stage import StageResult

OPTIONS = BuildOptions(clouds=("azure", "aws"))
TAGS = {RUN_TAG: "run-1"}
F = TypeVar("F")
C = TypeVar("C")


def to_the_end(call: Callable[[C | None], StageResult[F, C]]) -> tuple[F, int]:
    """What a stage comes to, and in how many calls."""
    result, calls = call(None), 1
    while result.status != "done":
        result, calls = call(result.cursor), calls + 1
    assert result.facts is not None
    return result.facts, calls


def test_the_exported_disk_is_the_one_that_a_build_writes(tmp_path: Path, whole_iso: Path, grub: GrubImages) -> None:
    with embedded_parts(tmp_path / "aws") as parts:
        hash_file = tmp_path / "sha512"
        hash_file.write_text(hashlib.sha512(whole_iso.read_bytes()).hexdigest())
        for name, key, path in (
            (iso_bucket(REGION), iso_object("latest"), whole_iso),
            (hash_bucket(REGION), hash_object("latest"), hash_file),
        ):
            put_file(parts.objects.add_bucket(name, owner=AWS_ACCOUNT, public=True), key, path)
        published = published_iso(parts.s3, region=REGION, version="latest")
        source = S3Objects(parts.s3, published.bucket, owner=published.owner)
        objects, uploads = S3Objects(parts.s3, BUCKET), S3Uploads(parts.s3, BUCKET)
        snapshots, images = EbsSnapshots(parts.ebs, parts.ec2), Ec2MachineImages(parts.ec2)
        stored, calls = to_the_end(
            lambda cursor: copy_iso(
                published, source=source, objects=objects, uploads=uploads, cursor=cursor, tags=TAGS, limit=5 * MIB,
                part_size=5 * MIB,
            )
        )  # fmt: skip
        assert calls == -(-stored.size // (5 * MIB)) + 1
        ami, calls = to_the_end(
            lambda cursor: build_ami(
                stored, "client", objects=objects, snapshots=snapshots, images=images, grub=grub, options=OPTIONS,
                cursor=cursor, token="run-1", tags=TAGS, limit_blocks=5,
            )
        )  # fmt: skip
        assert calls > 2
        key = image_key(stored.sha512, grub, OPTIONS)
        exported, calls = to_the_end(
            lambda cursor: export_ami(
                ami, key, "vhd", snapshots=snapshots, objects=objects, uploads=uploads, cursor=cursor, tags=TAGS,
                limit=512 * MIB,
            )
        )  # fmt: skip
        assert calls == 4
        content = ExportedContent(objects, exported)
        rebuilt = tmp_path / "rebuilt"
        with rebuilt.open("wb") as disk:
            disk.truncate(content.size)
            for offset, length in content.ranges():
                disk.seek(offset)
                disk.write(content.read(offset, length))
        belongings = AwsBelongings(parts.ec2, parts.s3, BUCKET)
        kinds = [each.kind for each in belongings.made_by("run-1")]
        assert kinds == ["ami", "snapshot", *["object"] * 4]
    built = build_image(whole_iso, tmp_path / "disk", image_format="vhd", grub=grub, options=OPTIONS, progress=_untold)
    assert exported.disk_size == built.disk_size
    with FileSource(rebuilt) as ours, FileSource(tmp_path / "disk") as theirs:
        for offset in range(0, built.disk_size, 8 * MIB):
            assert ours.read(offset, 8 * MIB) == theirs.read(offset, 8 * MIB)


def _untold(_work: str, _total: int) -> Callable[[int], None]:
    return lambda _count: None
