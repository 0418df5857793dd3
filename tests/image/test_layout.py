"""The layout as independent tools see it, and what it promises: verbatim ISO, whole GiB, the same bytes again."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from failback.image.gpt import read_partitions
from failback.image.layout import ISO_OFFSET, SYSTEM_OFFSET, SYSTEM_SIZE, lay_out
from failback.image.plan import GIB, MIB
from failback.image.source import BytesSource, FileSource
from failback.sinks.output import new_file
from failback.sinks.raw import write_raw

if TYPE_CHECKING:
    from pathlib import Path

    from failback.image.grub import GrubImages
    from failback.image.layout import Layout

TOOLS = ("sgdisk", "fsck.vfat", "mtype")


@pytest.fixture
def disk(tmp_path: Path, layout: Layout, iso_bytes: bytes) -> Path:
    path = tmp_path / "disk"
    with new_file(path, inputs=(), needed=0) as out:
        write_raw(layout.plan, BytesSource(iso_bytes), out, progress=lambda _: None)
    return path


def test_the_iso_is_a_partition_verbatim(disk: Path, iso_bytes: bytes) -> None:
    with FileSource(disk) as source:
        partition = read_partitions(source)[2]
        assert partition.offset == ISO_OFFSET
        assert partition.size % MIB == 0
        content = source.read(partition.offset, partition.size)
    assert content == iso_bytes.ljust(partition.size, b"\0")


@pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason=f"one of {TOOLS} isn't installed")
def test_sgdisk_fsck_and_mtools_accept_it(disk: Path, layout: Layout, tmp_path: Path) -> None:
    verdict = subprocess.run(["sgdisk", "-v", disk], capture_output=True, text=True, check=True).stdout
    assert "No problems found" in verdict
    assert "Caution" not in verdict
    system = tmp_path / "system"
    with FileSource(disk) as source:
        system.write_bytes(source.read(SYSTEM_OFFSET, SYSTEM_SIZE))
    assert subprocess.run(["fsck.vfat", "-n", system], capture_output=True, check=False).returncode == 0
    for path, content in layout.system_files.items():
        assert subprocess.run(["mtype", "-i", system, f"::{path}"], capture_output=True, check=True).stdout == content


@pytest.mark.parametrize(
    ("iso_size", "gib"),
    [(1, 1), (900 * MIB, 1), (GIB - ISO_OFFSET - 2 * MIB, 1), (GIB - ISO_OFFSET - 2 * MIB + 1, 2), (8 * GIB, 9)],
)
def test_the_disk_has_whole_gib(grub: GrubImages, iso_size: int, gib: int) -> None:
    layout = lay_out(iso_size=iso_size, iso_head=b"", grub=grub, files={})
    assert layout.plan.size == gib * GIB
    last = layout.partitions[-1]
    assert last.offset + last.size + MIB <= layout.plan.size


def test_the_same_input_gives_the_same_plan(layout: Layout, grub: GrubImages, iso_bytes: bytes) -> None:
    files = {"live/agent.img": b"070701" * 500, "grub/grub.cfg": b"menuentry"}
    again = lay_out(iso_size=len(iso_bytes), iso_head=iso_bytes[:2048], grub=grub, files=files)
    assert again.plan == layout.plan
