"""A plan reads like the disk it describes, and refuses to describe an impossible one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failback.image.plan import DiskPlan, Extent, IsoRange, extent, make_plan, round_up
from failback.image.source import BytesSource

DISK = 4096
ISO = bytes(range(256)) * 8


@st.composite
def plans(draw: st.DrawFn) -> tuple[DiskPlan, bytes]:
    """A random plan, and the whole disk written down naively."""
    cuts = sorted(draw(st.sets(st.integers(0, DISK), min_size=2, max_size=12)))
    disk = bytearray(DISK)
    parts = []
    for first, last in zip(cuts[::2], cuts[1::2], strict=False):
        length = last - first
        if draw(st.booleans()) and length <= len(ISO):
            start = draw(st.integers(0, len(ISO) - length))
            parts.append(Extent(first, length, IsoRange(start)))
            disk[first:last] = ISO[start : start + length]
        else:
            data = draw(st.binary(min_size=length, max_size=length))
            parts.append(extent(first, data))
            disk[first:last] = data
    return make_plan(DISK, reversed(parts)), bytes(disk)


@given(plans(), st.integers(0, DISK), st.integers(0, DISK))
def test_any_range_reads_as_the_disk_would(case: tuple[DiskPlan, bytes], one: int, other: int) -> None:
    plan, disk = case
    first, last = min(one, other), max(one, other)
    assert plan.read(BytesSource(ISO), first, last - first) == disk[first:last]


@given(plans())
def test_content_is_counted_and_a_plan_less_a_part_lacks_just_that(case: tuple[DiskPlan, bytes]) -> None:
    plan, disk = case
    assert plan.data_bytes == sum(part.length for part in plan.extents)
    for part in plan.extents:
        rest = bytearray(disk)
        rest[part.offset : part.end] = bytes(part.length)
        assert plan.without(part).read(BytesSource(ISO), 0, DISK) == rest
    with pytest.raises(ValueError, match="no extent"):
        plan.without(extent(DISK - 1, b"!"))


@pytest.mark.parametrize(
    ("size", "extents", "fault"),
    [
        (4097, (), "whole number"),
        (4096, (extent(100, b"a" * 10), extent(105, b"b")), "overlap"),
        (4096, (extent(100, b"a"), extent(50, b"b")), "out of order"),
        (4096, (extent(4090, b"a" * 10),), "doesn't lie within"),
        (4096, (Extent(0, 5, b"four"),), "says 5 bytes and holds 4"),
        (4096, (Extent(-1, 5, IsoRange(0)),), "doesn't lie within"),
    ],
)
def test_an_impossible_plan_is_refused(size: int, extents: tuple[Extent, ...], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        DiskPlan(size, extents)


@given(st.integers(0, 10**12), st.integers(1, 10**6))
def test_rounding_up(value: int, unit: int) -> None:
    assert round_up(value, unit) % unit == 0
    assert 0 <= round_up(value, unit) - value < unit
