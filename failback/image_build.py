"""Builds the client image as an AMI: from the stored ISO straight into a snapshot's blocks, with no machine between."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from failback.errors import ObjectMissing, SnapshotFailed
from failback.image.client import read_client
from failback.image.compose import BuildOptions, plan_image
from failback.image.iso import IsoVolume
from failback.image.layout import disk_size
from failback.image.plan import GIB
from failback.model.run import Ami, BuildCursor, StoredIso
from failback.model.stage import Progress, StageResult
from failback.read_ahead import ReadAhead
from failback.sinks.ebs import BLOCK, WORKERS, SnapshotCursor, write_slice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from failback.image.grub import GrubImages
    from failback.ports import MachineImages, ObjectStore, SnapshotStore

# 512 MiB, at 75 MB/s 7 seconds: whoever watches sees it go on, and little is lost with a call. Each call plans the disk
# anew from some MiB of the ISO, which takes a second or two.
LIMIT_BLOCKS = 1024
# A snapshot of some GiB is pending for one to a few minutes.
WAIT_SECONDS = 15

AmiResult = StageResult[Ami, BuildCursor]


def build_ami(
    iso: StoredIso,
    name: str,
    *,
    objects: ObjectStore,
    snapshots: SnapshotStore,
    images: MachineImages,
    grub: GrubImages,
    options: BuildOptions,
    cursor: BuildCursor | None,
    token: str,
    tags: Mapping[str, str],
    limit_blocks: int = LIMIT_BLOCKS,
    workers: int = WORKERS,
) -> AmiResult:
    """Build the AMI `name`, at most `limit_blocks` a call; the same `token` always gives the same snapshot.

    Raises the ImageError that says why the ISO can't become an image, or SnapshotFailed.
    """
    size = disk_size(iso.size)
    if cursor is None:
        found = images.find(name)
        if found is not None:
            return StageResult(status="done", facts=found)
        cursor = BuildCursor(snapshot=snapshots.start(size_gib=size // GIB, token=token, tags=tags))
    if cursor.next_block is not None:
        at = SnapshotCursor(cursor.next_block, cursor.put)
        with _source(iso, objects) as source:
            client = read_client(IsoVolume.open(source), clouds=options.clouds)
            plan = plan_image(source, client, grub, options).layout.plan
            at = write_slice(plan, source, snapshots, cursor.snapshot, cursor=at, limit=limit_blocks, workers=workers)
        cursor = cursor.model_copy(update={"next_block": at.next_block, "put": at.put})
        return _unfinished("more", cursor, size, "writing the snapshot")
    if not cursor.completed:
        # In a call of its own: were the last slice's answer lost, its blocks would come too late for a snapshot that
        # takes no more, but completing it again is fine.
        snapshots.complete(cursor.snapshot, blocks=cursor.put)
        cursor = cursor.model_copy(update={"completed": True})
    return _register(name, cursor, size, snapshots=snapshots, images=images, tags=tags)


def _register(
    name: str,
    cursor: BuildCursor,
    size: int,
    *,
    snapshots: SnapshotStore,
    images: MachineImages,
    tags: Mapping[str, str],
) -> AmiResult:
    state = snapshots.state(cursor.snapshot)
    if state == "error":
        message = (
            f"EBS couldn't complete the snapshot {cursor.snapshot}. Usually it wasn't written in time, or the key that "
            "encrypts new snapshots here (EBS encryption by default) can't be used by this role. Start again."
        )
        raise SnapshotFailed(message)
    if state == "pending":
        return _unfinished("pending", cursor, size, f"EBS is completing {cursor.snapshot}")
    ami = images.register(name, snapshot=cursor.snapshot, size_gib=size // GIB, tags=tags)
    return StageResult(status="done", progress=Progress(done=size, total=size), facts=ami)


def _unfinished(status: str, cursor: BuildCursor, size: int, note: str) -> AmiResult:
    done = size if cursor.next_block is None else min(size, cursor.next_block * BLOCK)
    progress = Progress(done=done, total=size, note=note)
    if status == "pending":
        return StageResult(status="pending", wait_seconds=WAIT_SECONDS, progress=progress, cursor=cursor)
    return StageResult(status="more", progress=progress, cursor=cursor)


@contextmanager
def _source(iso: StoredIso, objects: ObjectStore) -> Iterator[ReadAhead]:
    """The stored ISO, the same from the first byte to the last."""
    found = objects.find(iso.key)
    if found is None or found.size != iso.size:
        message = f"{iso.key} isn't in the image bucket any more as it was checked; start again, it's fetched anew then"
        raise ObjectMissing(message)
    with ReadAhead(lambda offset, length: objects.read(iso.key, offset, length, etag=found.etag), iso.size) as source:
        yield source
