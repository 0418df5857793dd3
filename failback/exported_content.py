"""An exported image as a home's adapter takes it: where its data is, and the data itself."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from failback.errors import ObjectMissing
from failback.image.plan import MIB
from failback.sinks.ebs import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.model.run import ExportedImage
    from failback.ports import ObjectStore

RANGE = 4 * MIB
"""The longest range, and none crosses a multiple of it: Azure takes pages of 4 MiB at most with one call."""


class ExportedContent:
    """An ImageContent over the stored object, which stays the same from the first read to the last.

    Raises ObjectMissing where the object isn't there as it was exported.
    """

    def __init__(self, objects: ObjectStore, exported: ExportedImage) -> None:
        found = objects.find(exported.key)
        if found is None or found.size != exported.size:
            message = (
                f"{exported.key} isn't in the image bucket any more as it was exported; start again to make it anew"
            )
            raise ObjectMissing(message)
        self._objects, self._stored = objects, found
        # An archive has data from its first byte to its last; a disk has it in blocks, and its footer behind them.
        self._covered = found.size if exported.format == "gce" else exported.disk_size
        self._bits = None if exported.format == "gce" else base64.b64decode(exported.data_blocks)

    @property
    def size(self) -> int:
        return self._stored.size

    def ranges(self, first: int = 0) -> Iterator[tuple[int, int]]:
        start = end = first
        for offset, length in self._pieces(first):
            if offset == end and (offset % RANGE or start == end):
                end += length
                continue
            if end > start:
                yield start, end - start
            start, end = offset, offset + length
        if end > start:
            yield start, end - start

    def read(self, offset: int, length: int) -> bytes:
        return self._objects.read(self._stored.key, offset, length, etag=self._stored.etag)

    def _pieces(self, first: int) -> Iterator[tuple[int, int]]:
        """Blocks with data from `first` on, each as far as it lies behind it; at last the footer, if there's one."""
        disk = self._covered
        for index in range(first // BLOCK, -(-disk // BLOCK)):
            if self._bits is None or self._bits[index // 8] >> index % 8 & 1:
                offset = max(first, index * BLOCK)
                yield offset, min((index + 1) * BLOCK, disk) - offset
        if max(first, disk) < self.size:
            yield max(first, disk), self.size - max(first, disk)
