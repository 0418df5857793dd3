"""Exports a snapshot as a fixed VHD, as Azure takes a disk: its blocks, zeros between them, and a footer."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from failback.image.plan import GIB
from failback.pieces import Pieces
from failback.sinks.ebs import BLOCK
from failback.sinks.vhd import FOOTER_SIZE, vhd_footer
from failback.upload_slice import PartedObject, upload_slice

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from failback.model.run import Ami, CopyCursor
    from failback.ports import BlockReference, SnapshotStore, UploadStore

_ZEROS = bytes(BLOCK)


class VhdExport:
    """The VHD of an AMI's disk as the object `key`, in parts of `part_size` bytes; the footer is one by itself."""

    def __init__(
        self, ami: Ami, key: str, snapshots: SnapshotStore, *, part_size: int, readers: int, disk_id: uuid.UUID
    ) -> None:
        self._snapshot, self._snapshots = ami.snapshot, snapshots
        self._disk, self._part_size, self._readers = ami.size_gib * GIB, part_size, readers
        self._footer = vhd_footer(self._disk, disk_id)
        self.key = key

    @property
    def size(self) -> int:
        """The object's bytes, which a cursor's `next_byte` counts."""
        return self._disk + FOOTER_SIZE

    def uploaded(self, _cursor: CopyCursor) -> int:
        """The same: the object is the disk as it is."""
        return self.size

    def upload(self, uploads: UploadStore, cursor: CopyCursor, *, limit: int, workers: int) -> CopyCursor:
        """Put the parts of about `limit` bytes, one at least; at most `workers` parts are in memory."""
        held = self._held(cursor.next_byte // BLOCK, (limit + self._part_size) // BLOCK)
        readers = ThreadPoolExecutor(self._readers)

        def read(block: BlockReference) -> bytes:
            return self._snapshots.get(self._snapshot, block)

        def make(offset: int, length: int) -> Pieces:
            if offset == self._disk:
                return Pieces([self._footer])
            indices = range(offset // BLOCK, (offset + length) // BLOCK)
            data = readers.map(read, [held[index] for index in indices if index in held])
            return Pieces([next(data) if index in held else _ZEROS for index in indices])

        parted = PartedObject(self.key, self.size, self._part_size)
        try:
            return upload_slice(parted, make, uploads=uploads, cursor=cursor, limit=limit, workers=workers)
        finally:
            readers.shutdown(wait=True, cancel_futures=True)

    def data_blocks(self) -> str:
        """A bit for each block, as ExportedImage has them."""
        bits = bytearray(-(-self._disk // BLOCK // 8))
        for block in self._snapshots.blocks(self._snapshot):
            bits[block.index // 8] |= 1 << block.index % 8
        return base64.b64encode(bits).decode("ascii")

    def _held(self, first: int, most: int) -> Mapping[int, BlockReference]:
        """The blocks that the snapshot holds from `first` on, as far as a slice can reach."""
        held: dict[int, BlockReference] = {}
        for block in self._snapshots.blocks(self._snapshot, first=first) if first < self._disk // BLOCK else ():
            if block.index >= first + most:
                break
            held[block.index] = block
        return held
