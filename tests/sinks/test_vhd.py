"""Fixed VHDs: the footer's known values, and what qemu-img makes of the file."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import uuid
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failback.image.plan import GIB, MIB, extent, make_plan
from failback.image.source import BytesSource
from failback.image.verify import check_vhd_footer
from failback.sinks.output import new_file
from failback.sinks.raw import write_raw
from failback.sinks.vhd import geometry, vhd_footer, write_vhd

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = uuid.UUID(int=0)


@pytest.mark.parametrize(
    ("gib", "expected"),
    [
        (1, (2080, 16, 63)),
        (2, (4161, 16, 63)),
        (8, (16644, 16, 63)),
        (30, (62415, 16, 63)),
        (32, (16448, 16, 255)),
        (127, (65278, 16, 255)),
        (128, (65535, 16, 255)),
        (4096, (65535, 16, 255)),
    ],
)
def test_geometry(gib: int, expected: tuple[int, int, int]) -> None:
    assert geometry(gib * GIB) == expected


def test_the_footer_of_8_gib_byte_by_byte() -> None:
    footer = vhd_footer(8 * GIB, NOBODY)
    assert len(footer) == 512
    assert footer[:8] == b"conectix"
    assert struct.unpack_from(">IIQI4sI4sQQHBBII16sB", footer, 8) == (
        *(2, 0x00010000, 0xFFFFFFFFFFFFFFFF, 0, b"win ", 0x000A0000, b"Wi2k", 8 * GIB, 8 * GIB),
        *(16644, 16, 63, 2, 0xFFFFF138, bytes(16), 0),
    )
    assert not any(footer[85:])


@given(st.integers(1, 4 * 1024 * 1024), st.uuids())
def test_every_footer_is_sound_and_its_geometry_fits(mib: int, disk_id: uuid.UUID) -> None:
    check_vhd_footer(vhd_footer(mib * MIB, disk_id), size=mib * MIB)
    cylinders, heads, sectors = geometry(mib * MIB)
    assert cylinders <= 65535
    assert heads <= 16
    assert cylinders * heads * sectors * 512 <= mib * MIB


@pytest.mark.parametrize("size", [MIB + 512, 512, GIB - 1])
def test_no_size_but_whole_mib(size: int) -> None:
    with pytest.raises(ValueError, match="whole MiB"):
        vhd_footer(size, NOBODY)


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img (qemu-utils) isn't installed")
@pytest.mark.parametrize("mib", [5, 1024, 40 * 1024])
def test_qemu_reads_the_same_disk(tmp_path: Path, mib: int) -> None:
    plan = make_plan(mib * MIB, [extent(4096, b"data" * 5000), extent((mib - 1) * MIB, b"end")])
    with new_file(tmp_path / "raw", inputs=(), needed=0) as out:
        write_raw(plan, BytesSource(b""), out, progress=lambda _: None)
    with new_file(tmp_path / "vhd", inputs=(), needed=0) as out:
        write_vhd(plan, BytesSource(b""), out, disk_id=NOBODY, progress=lambda _: None)
    info = subprocess.run(
        ["qemu-img", "info", "-f", "vpc", "--output=json", tmp_path / "vhd"], capture_output=True, check=True
    )
    assert json.loads(info.stdout)["virtual-size"] == plan.size
    compared = subprocess.run(
        ["qemu-img", "compare", "-f", "raw", "-F", "vpc", tmp_path / "raw", tmp_path / "vhd"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert compared.returncode == 0, compared.stdout
