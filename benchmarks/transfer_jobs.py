"""The measured work of the transfer benchmark, each job in a fresh process: `python -m benchmarks.transfer_jobs`.

Takes a job's name and its arguments as JSON; prints what it took and what came of it as JSON.
"""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.transfer_clouds import BUCKET, REGION
from benchmarks.transfer_pages import bring_home, pages_ours, pages_sdk
from benchmarks.transfer_work import Json, Stopwatch, do_named_job, to_the_end
from failback.clouds.aws.client_iso import published_iso
from failback.clouds.aws.machine_images import Ec2MachineImages
from failback.clouds.aws.objects import S3Objects, S3Uploads
from failback.clouds.aws.session import client
from failback.clouds.aws.snapshots import PAGE, EbsSnapshots
from failback.exported_content import ExportedContent
from failback.image.client import read_client
from failback.image.compose import BuildOptions, plan_image
from failback.image.grub import load_grub
from failback.image.iso import IsoVolume
from failback.image.plan import GIB
from failback.image.source import FileSource
from failback.image_build import build_ami
from failback.image_export import READERS, export_ami
from failback.iso_copy import copy_iso
from failback.model.run import Ami, ExportedImage, StoredIso
from failback.naming import iso_proof_key
from failback.ports import StoredObject
from failback.sinks.ebs import BLOCK, WORKERS, SnapshotCursor, data_blocks, write_slice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from failback.image.plan import DiskPlan
    from failback.pieces import Pieces

OPTIONS = BuildOptions(clouds=("azure", "aws"))


def _snapshots() -> EbsSnapshots:
    return EbsSnapshots(client("ebs"), client("ec2"))


@contextmanager
def _planned(iso: Path) -> Iterator[tuple[DiskPlan, FileSource]]:
    with FileSource(iso) as source:
        chosen = read_client(IsoVolume.open(source), clouds=OPTIONS.clouds)
        yield plan_image(source, chosen, load_grub(Path("build/grub")), OPTIONS).layout.plan, source


def write_ours(watch: Stopwatch, iso: str, token: str) -> Json:
    """A snapshot of the image, written by our sink from a local ISO."""
    snapshots = _snapshots()
    with _planned(Path(iso)) as (plan, source):
        snapshot = snapshots.start(size_gib=plan.size // GIB, token=token, tags={})
        with watch.running():
            end = write_slice(plan, source, snapshots, snapshot, cursor=SnapshotCursor(), limit=1 << 30)
    return {"blocks": end.put}


def write_bare(watch: Stopwatch, iso: str, token: str) -> Json:
    """The same by bare calls of blocks that are in memory already."""
    ebs, snapshots = client("ebs"), _snapshots()

    def put(block: tuple[int, bytes]) -> None:
        index, data = block
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        ebs.put_snapshot_block(
            SnapshotId=snapshot, BlockIndex=index, BlockData=data, DataLength=len(data), Checksum=checksum,
            ChecksumAlgorithm="SHA256",
        )  # fmt: skip

    with _planned(Path(iso)) as (plan, source):
        blocks = list(data_blocks(plan, source))
        snapshot = snapshots.start(size_gib=plan.size // GIB, token=token, tags={})
        with watch.running(), ThreadPoolExecutor(WORKERS) as pool:
            for _ in pool.map(put, blocks):
                pass
    return {"blocks": len(blocks)}


def fetch_iso(watch: Stopwatch) -> Json:
    """AWS's ISO into the image bucket, as the stage does it; what an earlier job left there is removed first."""
    s3 = client("s3")
    published = published_iso(s3, region=REGION, version="latest")
    source = S3Objects(s3, published.bucket, owner=published.owner)
    objects, uploads = S3Objects(client("s3"), BUCKET), S3Uploads(client("s3"), BUCKET)
    objects.remove(iso_proof_key(published.sha512))
    with watch.running():
        stored = to_the_end(
            lambda cursor: copy_iso(published, source=source, objects=objects, uploads=uploads, cursor=cursor, tags={})
        )
    return {"iso": stored.model_dump()}


def build(watch: Stopwatch, iso: Json, token: str) -> Json:
    """The AMI from the stored ISO, as the stage does it."""
    objects, images, grub = (
        S3Objects(client("s3"), BUCKET),
        Ec2MachineImages(client("ec2")),
        load_grub(Path("build/grub")),
    )
    snapshots, stored = _snapshots(), StoredIso.model_validate(iso)
    with watch.running():
        ami = to_the_end(
            lambda cursor: build_ami(
                stored, f"drs-failback-{token}", objects=objects, snapshots=snapshots, images=images, grub=grub,
                options=OPTIONS, cursor=cursor, token=token, tags={},
            )
        )  # fmt: skip
    return {"ami": ami.model_dump()}


def read_bare(watch: Stopwatch, ami: Json) -> Json:
    """The AMI's blocks by bare calls, their checksums compared."""
    ebs, snapshot = client("ebs"), ami["snapshot"]

    def get(block: Json) -> int:
        answer = ebs.get_snapshot_block(
            SnapshotId=snapshot, BlockIndex=block["BlockIndex"], BlockToken=block["BlockToken"]
        )
        data = answer["BlockData"].read()
        assert base64.b64encode(hashlib.sha256(data).digest()).decode() == answer["Checksum"]
        return len(data)

    with watch.running(), ThreadPoolExecutor(READERS) as pool:
        # One page: an image of 5 GiB has 10,240 blocks at most, and no ISO of today fills half of them.
        sizes = list(pool.map(get, ebs.list_snapshot_blocks(SnapshotId=snapshot, MaxResults=PAGE)["Blocks"]))
    return {"blocks": sum(sizes) // BLOCK}


class _Swallowing:
    """An UploadStore and ObjectStore that keeps nothing, for what's read alone."""

    size = 0

    def begin(self, key: str, *, tags: Mapping[str, str]) -> str:
        return key

    def put(self, key: str, upload: str, number: int, data: bytes | Pieces) -> None:
        self.size += len(data)

    def finish(self, key: str, upload: str) -> StoredObject:
        return StoredObject(key, self.size, "")

    def abort(self, key: str, upload: str) -> None: ...

    def find(self, key: str) -> None: ...

    def read(self, key: str, offset: int, length: int, *, etag: str = "") -> bytes:
        return bytes(length)

    def write(self, key: str, data: bytes, *, tags: Mapping[str, str]) -> None: ...

    def remove(self, key: str) -> None: ...


def export(watch: Stopwatch, ami: Json, key: str, swallow: bool) -> Json:
    """The AMI as a VHD in the image bucket, as the stage does it, or read only."""
    snapshots, image, nowhere = _snapshots(), Ami.model_validate(ami), _Swallowing()
    objects = nowhere if swallow else S3Objects(client("s3"), BUCKET)
    uploads = nowhere if swallow else S3Uploads(client("s3"), BUCKET)
    with watch.running():
        exported = to_the_end(
            lambda cursor: export_ami(
                image, key, "vhd", snapshots=snapshots, objects=objects, uploads=uploads, cursor=cursor, tags={}
            )
        )
    return {"export": exported.model_dump()}


def download(watch: Stopwatch, export: Json, path: str) -> Json:
    """The exported VHD as a local file, sparse."""
    content = ExportedContent(S3Objects(client("s3"), BUCKET), ExportedImage.model_validate(export))
    with watch.running(), Path(path).open("wb") as file:
        for offset, length in content.ranges():
            file.seek(offset)
            file.write(content.read(offset, length))
    return {}


JOBS: dict[str, Callable[..., Json]] = {
    job.__name__: job
    for job in (
        write_ours, write_bare, fetch_iso, build, read_bare, export, download, bring_home, pages_ours, pages_sdk,
    )
}  # fmt: skip


def main() -> None:
    """Do the job that's named on the command line."""
    do_named_job(JOBS)


if __name__ == "__main__":
    main()
