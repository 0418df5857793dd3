"""An exported image's content: every byte of data lies in a range, ranges are short and in order."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failback.errors import ObjectChanged, ObjectMissing
from failback.exported_content import RANGE, ExportedContent
from failback.model.run import ExportedImage
from failback.sinks.ebs import BLOCK
from tests.memory.objects import Content, MemoryObjects

BLOCKS = 40
DISK = BLOCKS * BLOCK
ZEROS = bytes(DISK)


def content(blocks: set[int], footer: int = 512) -> tuple[MemoryObjects, ExportedImage]:
    bits = sum(1 << index for index in blocks).to_bytes(BLOCKS // 8, "little")
    objects = MemoryObjects()
    objects.contents["client.vhd"] = Content([ZEROS, b"f" * footer], "etag", {})
    exported = ExportedImage(
        key="client.vhd",
        format="vhd",
        size=DISK + footer,
        disk_size=DISK,
        data_blocks=base64.b64encode(bits).decode("ascii"),
    )
    return objects, exported


@given(st.sets(st.integers(0, BLOCKS - 1)), st.integers(0, DISK + 512), st.sampled_from((0, 512)))
@settings(max_examples=100, deadline=None)
def test_ranges_are_the_data_from_anywhere_on(blocks: set[int], first: int, footer: int) -> None:
    objects, exported = content(blocks, footer)
    first = min(first, exported.size)
    image = ExportedContent(objects, exported)
    assert image.size == DISK + footer
    ranges = list(image.ranges(first))
    expected = {(index * BLOCK, (index + 1) * BLOCK) for index in blocks} | {(DISK, DISK + footer)}
    wanted = sum(max(0, end - max(first, start)) for start, end in expected)
    assert sum(length for _, length in ranges) == wanted
    end = first
    for offset, length in ranges:
        assert offset >= end
        assert length > 0
        end = offset + length
        assert offset // RANGE == (end - 1) // RANGE
        assert offset >= DISK or all(index in blocks for index in range(offset // BLOCK, (end - 1) // BLOCK + 1))


def test_neighbours_are_one_range() -> None:
    objects, exported = content({0, 1, 2, 7, 8, 9, 20})
    assert list(ExportedContent(objects, exported).ranges()) == [
        (0, 3 * BLOCK), (7 * BLOCK, BLOCK), (8 * BLOCK, 2 * BLOCK), (20 * BLOCK, BLOCK), (DISK, 512),
    ]  # fmt: skip


@given(st.integers(1, 3 * RANGE), st.integers(0, 3 * RANGE))
def test_an_archive_is_data_from_end_to_end(size: int, first: int) -> None:
    objects = MemoryObjects()
    objects.contents["client.gce"] = Content([ZEROS[:size]], "etag", {})
    exported = ExportedImage(key="client.gce", format="gce", size=size, disk_size=1 << 30, data_blocks="")
    end = first = min(first, size)
    for offset, length in ExportedContent(objects, exported).ranges(first):
        assert offset == end
        assert offset // RANGE == (offset + length - 1) // RANGE
        end += length
    assert end == size


def test_the_object_stays_the_one_that_was_exported() -> None:
    objects, exported = content({0})
    image = ExportedContent(objects, exported)
    assert image.read(DISK, 512) == b"f" * 512
    objects.write("client.vhd", bytes(DISK + 512), tags={})
    with pytest.raises(ObjectChanged):
        image.read(0, 1)
    objects.write("client.vhd", b"short", tags={})
    with pytest.raises(ObjectMissing, match=r"client\.vhd"):
        ExportedContent(objects, exported)
