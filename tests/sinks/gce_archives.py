"""What tests of archives for Google Cloud share: making one, having GNU tar unpack it, comparing disks."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, cast

from failback.image.source import BytesSource
from failback.sinks.gce import plan_runs, write_gce
from failback.sinks.output import new_file

if TYPE_CHECKING:
    import tarfile
    from pathlib import Path

    from failback.image.plan import DiskPlan


def packed(plan: DiskPlan, path: Path, iso: bytes = b"") -> Path:
    """The plan's archive in a file of that path."""
    with new_file(path, inputs=(), needed=0) as out:
        write_gce(plan, BytesSource(iso), out, progress=lambda _: None)
    return path


def unpacked(archive: Path) -> Path:
    """The disk that GNU tar unpacks, which has nothing to say to it."""
    done = subprocess.run(
        ["tar", "-xzf", archive, "-C", archive.parent], capture_output=True, text=True, check=False, env={"LC_ALL": "C"}
    )
    assert (done.returncode, done.stderr) == (0, "")
    return archive.parent / "disk.raw"


def runs_of(member: tarfile.TarInfo) -> list[tuple[int, int]]:
    """Where Python's reader finds data, as (offset, length)."""
    # What the stubs call bytes is a list of pairs.
    sparse = cast("list[tuple[int, int]]", member.sparse)
    return [run for run in sparse if run[1]]


def data_of(disk: Path) -> list[tuple[int, int]]:
    """Where a sparse file isn't a hole, as (offset, end)."""
    found, position = [], 0
    with disk.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        while position < size:
            try:
                start = os.lseek(opened.fileno(), position, os.SEEK_DATA)
            except OSError:
                break
            position = os.lseek(opened.fileno(), start, os.SEEK_HOLE)
            found.append((start, position))
    return found


def assert_is(disk: Path, plan: DiskPlan, iso: bytes = b"") -> None:
    """The file is the plan's disk, byte by byte; where both have nothing, nothing is read."""
    assert disk.stat().st_size == plan.size
    spans = [*data_of(disk), *((offset, offset + length) for offset, length in plan_runs(plan))]
    with disk.open("rb") as opened:
        for start, end in spans:
            for offset in range(start, end, 1 << 20):
                length = min(1 << 20, end - offset)
                assert os.pread(opened.fileno(), length, offset) == plan.read(BytesSource(iso), offset, length)
