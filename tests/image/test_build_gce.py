"""A client image for Google Cloud: the raw disk, packed and checked on its medium; nothing is left of a bad one."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from failback.errors import SelfCheckFailed
from failback.image.build import build_image
from failback.image.compose import BuildOptions
from failback.image.layout import ISO_OFFSET
from failback.sinks.gce import write_gce
from tests.sinks.gce_archives import data_of, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from failback.image.grub import GrubImages
    from failback.image.plan import DiskPlan
    from failback.image.source import ByteSource
    from failback.model.image import BuiltImage, ImageFormat


class Told:
    """A Progress that adds up what it's told, by the work's name."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.done: dict[str, int] = {}

    def __call__(self, work: str, total: int) -> Callable[[int], None]:
        self.totals[work], self.done[work] = total, 0

        def advance(count: int) -> None:
            self.done[work] += count

        return advance


def build(iso: Path, output: Path, grub: GrubImages, image_format: ImageFormat, told: Told | None = None) -> BuiltImage:
    options = BuildOptions(clouds=("google",))
    return build_image(iso, output, image_format=image_format, grub=grub, options=options, progress=told or Told())


def test_it_is_the_raw_disk_packed(tmp_path: Path, whole_iso: Path, grub: GrubImages) -> None:
    told = Told()
    built = build(whole_iso, tmp_path / "disk.tar.gz", grub, "gce", told)
    build(whole_iso, tmp_path / "raw", grub, "raw")
    disk = unpacked(tmp_path / "disk.tar.gz")
    assert disk.stat().st_size == (tmp_path / "raw").stat().st_size == built.disk_size
    with disk.open("rb") as one, (tmp_path / "raw").open("rb") as other:
        for start, end in (*data_of(disk), *data_of(tmp_path / "raw")):
            one.seek(start)
            other.seek(start)
            assert one.read(end - start) == other.read(end - start)
    with disk.open("rb") as opened:
        opened.seek(ISO_OFFSET)
        assert opened.read(whole_iso.stat().st_size) == whole_iso.read_bytes()
    subprocess.run(["gzip", "-t", tmp_path / "disk.tar.gz"], check=True)
    for work in ("writing", "checking"):
        assert told.totals[work] == built.data_bytes
        # Whole sectors, and a head and an end that aren't the disk's.
        assert built.data_bytes <= told.done[work] < built.data_bytes + 65536


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, whole_iso: Path, grub: GrubImages) -> None:
    for name in ("one", "two"):
        build(whole_iso, tmp_path / name, grub, "gce")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_archive_that_is_not_what_was_planned_does_not_stay(
    tmp_path: Path, whole_iso: Path, grub: GrubImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A medium that fails can't be had here: the sink leaves out the disk's last run instead."""

    def forget(plan: DiskPlan, iso: ByteSource, descriptor: int, *, progress: Callable[[int], None]) -> None:
        write_gce(plan.without(plan.extents[-1]), iso, descriptor, progress=progress)

    monkeypatch.setattr("failback.image.build.write_gce", forget)
    with pytest.raises(SelfCheckFailed, match="head isn't what was planned"):
        build(whole_iso, tmp_path / "disk.tar.gz", grub, "gce")
    assert list(tmp_path.iterdir()) == []
