"""The contract of ImageContent, one body over what an export left in a bucket and over memory."""

from __future__ import annotations

import base64
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from failback.exported_content import ExportedContent
from failback.model.run import ExportedImage
from failback.sinks.ebs import BLOCK
from tests.home.memory import MemoryContent
from tests.memory.objects import MemoryObjects

if TYPE_CHECKING:
    from failback.home_ports import ImageContent

LONGEST = 4 << 20
BLOCKS = 24
# Two neighbours across a boundary of 4 MiB, one alone, and a footer.
NOISE = random.Random(5).randbytes
PARTS = {7 * BLOCK: NOISE(2 * BLOCK), 20 * BLOCK: NOISE(BLOCK), BLOCKS * BLOCK: NOISE(512)}
SIZE = BLOCKS * BLOCK + 512


def in_memory() -> MemoryContent:
    return MemoryContent(SIZE, PARTS)


def in_a_bucket() -> ExportedContent:
    objects = MemoryObjects()
    objects.write("images/k/client.vhd", in_memory().whole(), tags={})
    bits = sum(1 << index for index in (7, 8, 20)).to_bytes(-(-BLOCKS // 8), "little")
    exported = ExportedImage(
        key="images/k/client.vhd",
        format="vhd",
        size=SIZE,
        disk_size=BLOCKS * BLOCK,
        data_blocks=base64.b64encode(bits).decode(),
    )
    return ExportedContent(objects, exported)


@pytest.fixture(params=[in_memory, in_a_bucket], ids=["memory", "bucket"])
def content(request: pytest.FixtureRequest) -> ImageContent:
    made: ImageContent = request.param()
    return made


def test_the_ranges_hold_all_that_is_not_zeros(content: ImageContent) -> None:
    assert content.size == SIZE
    found = bytearray(SIZE)
    for offset, length in content.ranges():
        assert 0 < length <= LONGEST
        found[offset : offset + length] = content.read(offset, length)
    assert bytes(found) == in_memory().whole()


def test_the_ranges_are_in_order_and_begin_where_asked(content: ImageContent) -> None:
    for first in (0, 7 * BLOCK + 512, 9 * BLOCK, SIZE - 1, SIZE):
        end = first
        for offset, length in content.ranges(first):
            assert offset >= end
            end = offset + length
        assert end <= SIZE
    assert list(content.ranges(SIZE)) == []


def test_many_threads_read_the_same(content: ImageContent) -> None:
    ranges = list(content.ranges()) * 8
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda each: content.read(*each), ranges))
    assert read == [in_memory().whole()[offset : offset + length] for offset, length in ranges]
