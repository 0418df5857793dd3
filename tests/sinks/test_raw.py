"""The raw sink writes the plan's bytes, by whatever way, and leaves holes where the plan has nothing."""

from __future__ import annotations

import errno
import os
import random
from typing import TYPE_CHECKING

import pytest

from failback.image.plan import MIB, Extent, IsoRange, extent, make_plan
from failback.image.source import ByteSource, BytesSource, FileSource
from failback.sinks.output import new_file
from failback.sinks.raw import write_raw

if TYPE_CHECKING:
    from pathlib import Path

ISO = random.Random(3).randbytes(3 * MIB + 12345)
PLAN = make_plan(
    64 * MIB,
    [
        extent(0, b"boot" * 128),
        Extent(MIB, len(ISO), IsoRange(0)),
        Extent(40 * MIB + 100, 999_999, IsoRange(777)),
        extent(64 * MIB - 512, b"end!" * 128),
    ],
)


def write(target: Path, iso: ByteSource) -> int:
    told: list[int] = []
    with new_file(target, inputs=(), needed=0) as out:
        write_raw(PLAN, iso, out, progress=told.append)
    return sum(told)


@pytest.fixture
def iso(tmp_path: Path) -> Path:
    path = tmp_path / "iso"
    path.write_bytes(ISO)
    return path


def test_from_memory_and_from_a_file_alike(tmp_path: Path, iso: Path) -> None:
    whole = PLAN.read(BytesSource(ISO), 0, PLAN.size)
    assert write(tmp_path / "one", BytesSource(ISO)) == PLAN.data_bytes
    with FileSource(iso) as source:
        assert write(tmp_path / "two", source) == PLAN.data_bytes
    assert (tmp_path / "one").read_bytes() == whole
    assert (tmp_path / "two").read_bytes() == whole


def test_gaps_stay_holes(tmp_path: Path, iso: Path) -> None:
    with FileSource(iso) as source:
        write(tmp_path / "disk", source)
    used = (tmp_path / "disk").stat().st_blocks * 512
    assert used < PLAN.data_bytes + MIB


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_copies_inside_the_kernel(
    tmp_path: Path, iso: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    # What a file system lacks can't be brought about here, so the system call itself is replaced.
    monkeypatch.setattr(os, "copy_file_range", refuse)
    with FileSource(iso) as source:
        write(tmp_path / "disk", source)
    assert (tmp_path / "disk").read_bytes() == PLAN.read(BytesSource(ISO), 0, PLAN.size)
