"""A slice of a multipart upload: parts are made and put by several threads, and a slice counts only as a whole."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.model.run import CopyCursor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from failback.pieces import Pieces
    from failback.ports import UploadStore

MOST_PARTS = 10_000
"""Of one upload (Amazon S3 user guide, "Multipart upload limits")."""


@dataclass(frozen=True, slots=True)
class PartedObject:
    """An object to be uploaded: its key, its size, the size of its parts (the last one's may be less)."""

    key: str
    size: int
    part_size: int

    def part(self, number: int) -> tuple[int, int]:
        """Offset and length of a part, numbered from 1 on."""
        offset = (number - 1) * self.part_size
        return offset, min(self.part_size, self.size - offset)


def begin_upload(parted: PartedObject, uploads: UploadStore, tags: Mapping[str, str]) -> CopyCursor:
    """A cursor at the beginning of a new upload."""
    return CopyCursor(upload=uploads.begin(parted.key, tags=tags))


def upload_slice(
    parted: PartedObject,
    make: Callable[[int, int], bytes | Pieces],
    *,
    uploads: UploadStore,
    cursor: CopyCursor,
    limit: int,
    workers: int,
) -> CopyCursor:
    """Put the parts of about `limit` bytes, one at least, from the cursor on.

    `make` gives an (offset, length). At most `workers` parts are in memory. After an error no further part is begun,
    and what's lost half-way is put again from the same cursor.
    """
    first = cursor.next_byte // parted.part_size + 1
    count = min(max(1, limit // parted.part_size), -(-(parted.size - cursor.next_byte) // parted.part_size))

    failed = threading.Event()

    def carry(number: int) -> None:
        if failed.is_set():
            return
        put = False
        try:
            uploads.put(parted.key, cursor.upload, number, make(*parted.part(number)))
            put = True
        finally:
            if not put:
                failed.set()

    pool = ThreadPoolExecutor(workers)
    try:
        for _ in pool.map(carry, range(first, first + count)):
            pass
    finally:
        # Those under way end.
        pool.shutdown(wait=True, cancel_futures=True)
    return cursor.model_copy(update={"next_byte": min(parted.size, cursor.next_byte + count * parted.part_size)})
