"""Exports a snapshot as Google Cloud takes a disk: packed as it's read, in slices that join without a seam."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cached_property
from typing import TYPE_CHECKING

from failback.image.plan import GIB
from failback.model.run import ArchiveSoFar
from failback.pieces import Pieces
from failback.sinks.ebs import BLOCK
from failback.sinks.gce import Reached, archive, merged
from failback.sinks.gce_tar import SparseTar

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from concurrent.futures import Future

    from failback.model.run import Ami, CopyCursor
    from failback.ports import BlockReference, SnapshotStore, UploadStore


class GceExport:
    """The archive of an AMI's disk as the object `key`; its parts have `part_size` bytes at least, the last one any.

    A part ends with the block that makes it large enough. Neither the limit of a slice nor a lost call moves that:
    what's put again is the same, and how many slices an archive was made in doesn't show in it.
    """

    def __init__(self, ami: Ami, key: str, snapshots: SnapshotStore, *, part_size: int, readers: int) -> None:
        self._ami, self._snapshots = ami, snapshots
        self._part_size, self._readers = part_size, readers
        self.key = key

    @property
    def size(self) -> int:
        """The bytes to be packed, which a cursor's `next_byte` counts."""
        return self._tar.size

    def uploaded(self, cursor: CopyCursor) -> int:
        """The bytes of the object that were put before `cursor`."""
        return cursor.archive.size if cursor.archive else 0

    def data_blocks(self) -> str:
        """None: an archive has no gaps."""
        return ""

    def upload(self, uploads: UploadStore, cursor: CopyCursor, *, limit: int, workers: int) -> CopyCursor:
        """Pack about `limit` bytes from `cursor` on and put them, in whole parts; `workers` of them are in memory."""
        end, sending = cursor.next_byte + limit, max(1, workers - 1)
        under_way: deque[Future[None]] = deque()
        with ThreadPoolExecutor(sending) as pool, closing(self._parts(cursor)) as parts:
            for number, part, following in parts:
                if len(under_way) == sending:
                    under_way.popleft().result()
                under_way.append(pool.submit(uploads.put, self.key, cursor.upload, number, part))
                cursor = following
                if cursor.next_byte >= end:
                    break
            for each in under_way:
                each.result()
        return cursor

    def _parts(self, cursor: CopyCursor) -> Generator[tuple[int, Pieces, CopyCursor]]:
        """Part by part from `cursor` on: its number, its content, the cursor behind it."""
        so_far = cursor.archive or ArchiveSoFar()
        parts, size, part = so_far.parts, so_far.size, 0
        pieces: list[bytes] = []
        with closing(self._archive(Reached(cursor.next_byte, so_far.crc))) as stream:
            for data, reached in stream:
                pieces.append(data)
                part += len(data)
                if part < self._part_size and reached.position < self._tar.size:
                    continue
                parts, size = parts + 1, size + part
                made = ArchiveSoFar(parts=parts, size=size, crc=reached.crc)
                yield parts, Pieces(pieces), cursor.model_copy(update={"next_byte": reached.position, "archive": made})
                pieces, part = [], 0

    def _archive(self, after: Reached) -> Generator[tuple[bytes, Reached]]:
        readers = self._readers
        return archive(self._tar, self._read, longest=BLOCK, workers=readers, ahead=readers, after=after)

    def _read(self, block: tuple[int, int]) -> bytes:
        return self._snapshots.get(self._ami.snapshot, self._held[block[0] // BLOCK])

    @cached_property
    def _held(self) -> Mapping[int, BlockReference]:
        return {block.index: block for block in self._snapshots.blocks(self._ami.snapshot)}

    @cached_property
    def _tar(self) -> SparseTar:
        return SparseTar(self._ami.size_gib * GIB, merged((index * BLOCK, (index + 1) * BLOCK) for index in self._held))
