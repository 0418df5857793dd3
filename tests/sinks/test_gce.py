"""Archives for Google Cloud: what GNU tar, gzip and Python's own reader make of them is the disk that was planned."""

from __future__ import annotations

import gzip
import io
import itertools
import os
import random
import subprocess
import tarfile
import tempfile
import tracemalloc
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failback.image.plan import CHUNK, GIB, MIB, SECTOR, DiskPlan, Extent, IsoRange, extent, make_plan
from failback.image.source import BytesSource
from failback.sinks.gce import archive, merged, plan_reader, plan_runs, write_gce
from failback.sinks.gce_tar import SparseTar
from tests.sinks.gce_archives import assert_is, packed, runs_of, unpacked

if TYPE_CHECKING:
    from failback.sinks.gce import Reached

NOISE = random.Random(6).randbytes(3 * MIB + 12345)
# Noise, text and zeros, at odd offsets, at both ends of the disk, and across the boundaries of pieces.
PLAN = make_plan(
    GIB,
    [
        extent(0, b"boot" * 128),
        extent(MIB, b"text that repeats itself. " * 40_000),
        Extent(66 * MIB, len(NOISE), IsoRange(0)),
        extent(200 * MIB + 77, b"x" * 1000),
        extent(200 * MIB + 1500, b"y"),
        extent(300 * MIB, bytes(2 * MIB)),
        extent(GIB - 512, b"end!" * 128),
    ],
)
EMPTY = DiskPlan(GIB, ())


def spread(count: int) -> DiskPlan:
    """A disk with so many runs of data that don't touch."""
    return make_plan(GIB, [extent(index * 2 * MIB, bytes([index % 255 + 1]) * 700) for index in range(count)])


@pytest.mark.parametrize(
    "plan", [PLAN, EMPTY, *map(spread, (3, 4, 5, 24, 25, 26, 46, 47, 200))], ids=lambda plan: str(len(plan.extents))
)
def test_gnu_tar_unpacks_the_disk(tmp_path: Path, plan: DiskPlan) -> None:
    assert_is(unpacked(packed(plan, tmp_path / "disk.tar.gz", NOISE)), plan, NOISE)


def test_it_is_the_planned_disk_to_its_last_byte_holes_included(tmp_path: Path) -> None:
    disk, source = unpacked(packed(PLAN, tmp_path / "disk.tar.gz", NOISE)), BytesSource(NOISE)
    with disk.open("rb", buffering=0) as opened:
        assert all(opened.read(CHUNK) == PLAN.read(source, offset, CHUNK) for offset in range(0, GIB, CHUNK))
        assert opened.read(1) == b""


def test_a_disk_full_of_data() -> None:
    tar, inflate = SparseTar(GIB, [(0, GIB)]), zlib.decompressobj(31)
    size = 0
    for data, reached in archive(tar, lambda piece: NOISE[: piece[1]], longest=CHUNK, workers=2, ahead=4):
        last = bytes(tar.padding) if reached.position == tar.size else NOISE[:CHUNK]
        assert inflate.decompress(data) == (last if size else tar.head)
        size += len(data)
    assert inflate.eof
    assert GIB < size < GIB * 1.001
    with tarfile.open(fileobj=io.BytesIO(tar.head), mode="r:") as read:
        member = read.next()
    assert member is not None
    assert (member.size, runs_of(member)) == (GIB, [(0, GIB)])


@pytest.mark.parametrize("plan", [PLAN, EMPTY, spread(60)], ids=["mixed", "empty", "spread"])
def test_gzip_and_python_take_it(tmp_path: Path, plan: DiskPlan) -> None:
    path = packed(plan, tmp_path / "disk.tar.gz", NOISE)
    subprocess.run(["gzip", "-t", path], check=True)
    with tarfile.open(path) as read:
        (member,) = read.getmembers()
        assert (member.name, member.size, member.issparse()) == ("disk.raw", plan.size, True)
        disk = read.extractfile(member)
        assert disk is not None
        for offset, length in plan_runs(plan):
            disk.seek(offset)
            assert disk.read(length) == plan.read(BytesSource(NOISE), offset, length)


@given(
    st.lists(
        st.tuples(st.integers(0, 4000), st.integers(0, 3 * SECTOR), st.integers(1, 400_000), st.booleans()), max_size=40
    ),
    st.integers(1, 3),
)
@settings(max_examples=40, deadline=None)
def test_any_extents_come_out_as_they_went_in(parts: list[tuple[int, int, int, bool]], gib: int) -> None:
    extents, end = [], 0
    for gap, odd, length, noisy in parts:
        offset = end + gap * 4096 + odd
        extents.append(extent(offset, NOISE[:length] if noisy else (b"abc" * length)[:length]))
        end = offset + length
    plan = make_plan(gib * GIB, extents)
    with tempfile.TemporaryDirectory() as folder:
        assert_is(unpacked(packed(plan, Path(folder) / "disk.tar.gz")), plan)


@pytest.mark.parametrize("gib", [8, 9, 40, 2049])
def test_disks_whose_sizes_octal_digits_cannot_say(tmp_path: Path, gib: int) -> None:
    far = [offset for offset in (8 * GIB - MIB, 8 * GIB + MIB) if offset < gib * GIB]
    plan = make_plan(gib * GIB, [extent(0, b"a"), *(extent(offset, NOISE[:MIB]) for offset in far)])
    path = packed(plan, tmp_path / "disk.tar.gz")
    assert path.stat().st_size < 3 * MIB
    assert_is(unpacked(path), plan)
    with tarfile.open(path) as read:
        assert [member.size for member in read.getmembers()] == [gib * GIB]


@pytest.mark.parametrize("size", [0, GIB - 512, GIB + MIB, 512 * MIB])
def test_no_disk_but_whole_gib(size: int) -> None:
    with pytest.raises(ValueError, match="whole GiB"):
        write_gce(DiskPlan(size, ()), BytesSource(b""), -1, progress=lambda _: None)


def test_the_same_disk_the_same_bytes_and_all_of_it_told(tmp_path: Path) -> None:
    told: list[int] = []
    with (tmp_path / "one").open("w+b") as out:
        write_gce(PLAN, BytesSource(NOISE), out.fileno(), progress=told.append)
    one = (tmp_path / "one").read_bytes()
    assert one == packed(PLAN, tmp_path / "two", NOISE).read_bytes()
    assert sum(told) == len(gzip.decompress(one))
    # No name, no time, no system that it was made on.
    assert one[:10] == bytes.fromhex("1f8b08000000000000ff")


def test_what_shrinks_is_deflated_and_what_does_not_is_stored(tmp_path: Path) -> None:
    size = packed(PLAN, tmp_path / "disk.tar.gz", NOISE).stat().st_size
    assert len(NOISE) < size < len(NOISE) * 1.02


@pytest.mark.parametrize("workers", [1, 3])
def test_it_goes_on_from_anywhere_without_a_seam(workers: int) -> None:
    tar, read = SparseTar(PLAN.size, plan_runs(PLAN)), plan_reader(PLAN, BytesSource(NOISE))

    def made(after: Reached | None = None) -> list[tuple[bytes, Reached]]:
        return list(archive(tar, read, longest=CHUNK, workers=workers, ahead=5, after=after))

    whole = made()
    assert whole[-1][1].position == tar.size
    for nth, (_, reached) in enumerate(whole):
        assert made(reached) == whole[nth + 1 :]


def test_a_reader_that_fails_ends_it() -> None:
    tar = SparseTar(PLAN.size, plan_runs(PLAN))
    count = itertools.count()

    def read(piece: tuple[int, int]) -> bytes:
        if next(count) == 5:
            raise ConnectionError
        return bytes(piece[1])

    with pytest.raises(ConnectionError):
        list(archive(tar, read, longest=CHUNK, workers=2, ahead=4))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=12))
def test_spans_that_touch_or_overlap_become_one(found: list[tuple[int, int]]) -> None:
    spans = sorted((start, start + length) for start, length in found)
    runs = merged(spans)
    covered = {place for start, end in spans for place in range(start, end)}
    assert {place for offset, length in runs for place in range(offset, offset + length)} == covered
    assert all(sum(before) < following for before, (following, _) in itertools.pairwise(runs))


@pytest.mark.parametrize("noisy", [True, False], ids=["noise", "text"])
def test_memory_is_bounded_however_large_the_disk_is(tmp_path: Path, noisy: bool) -> None:
    content = NOISE[:CHUNK] if noisy else b"text" * (CHUNK // 4)

    class Long(BytesSource):
        """Each read allocates, as a file's does."""

        def read(self, offset: int, length: int) -> bytes:
            return bytes(bytearray(content[:length]))

    plan = DiskPlan(GIB, (Extent(0, 256 * MIB, IsoRange(0)),))
    with (tmp_path / "disk.tar.gz").open("w+b") as out:
        tracemalloc.start()
        try:
            write_gce(plan, Long(b""), out.fileno(), progress=lambda _: None)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    # Four pieces of 256 KiB for each processor, read and packed, and zlib's own memory.
    assert peak < (2 * 4 * CHUNK + MIB) * (os.cpu_count() or 1) + 4 * MIB
