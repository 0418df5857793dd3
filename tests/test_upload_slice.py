"""Slices of an upload: parts cover the object without gap, and few are made at once."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failback.upload_slice import PartedObject, begin_upload, upload_slice
from tests.memory.objects import MemoryObjects, MemoryUploads


@given(st.integers(1, 200), st.integers(1, 40), st.integers(1, 100), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_slices_make_the_whole_object(size: int, part_size: int, limit: int, workers: int) -> None:
    data = bytes(range(1, size + 1)) if size < 256 else b""
    objects = MemoryObjects()
    uploads = MemoryUploads(objects, smallest_part=1)
    parted = PartedObject("key", size, part_size)
    cursor, slices = begin_upload(parted, uploads, {}), 0
    while cursor.next_byte < size:
        before = cursor.next_byte
        cursor = upload_slice(
            parted,
            lambda offset, length: data[offset : offset + length],
            uploads=uploads,
            cursor=cursor,
            limit=limit,
            workers=workers,
        )
        assert 0 < cursor.next_byte - before <= max(limit, part_size)
        slices += 1
    uploads.finish("key", cursor.upload)
    assert objects.read("key", 0, size) == data
    assert sorted(uploads.puts) == list(range(1, -(-size // part_size) + 1))


def test_after_an_error_no_further_part_is_begun() -> None:
    uploads, made = MemoryUploads(MemoryObjects(), smallest_part=1), []
    parted, lock = PartedObject("key", 1000, 1), threading.Lock()
    cursor = begin_upload(parted, uploads, {})

    def make(offset: int, _length: int) -> bytes:
        with lock:
            made.append(offset)
        if offset == 3:
            raise ConnectionError
        return b"x"

    with pytest.raises(ConnectionError):
        upload_slice(parted, make, uploads=uploads, cursor=cursor, limit=1000, workers=1)
    assert made == [0, 1, 2, 3]
