"""The self-check passes what was planned and names what was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from failback.errors import SelfCheckFailed
from failback.image.layout import CORE_OFFSET, ISO_OFFSET, SYSTEM_OFFSET
from failback.image.plan import MIB, SECTOR
from failback.image.source import BytesSource, FileSource, SourceSlice
from failback.image.verify import check_vhd_footer, verify_disk
from failback.sinks.output import new_file
from failback.sinks.vhd import FOOTER_SIZE, vhd_footer, write_vhd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from failback.image.layout import Layout


@pytest.fixture
def check(tmp_path: Path, layout: Layout, iso_bytes: bytes) -> Callable[[dict[int, bytes]], None]:
    """Write the layout as a VHD, change bytes at offsets, run the self-check over it."""
    path = tmp_path / "disk.vhd"
    iso = BytesSource(iso_bytes)
    with new_file(path, inputs=(), needed=0) as out:
        write_vhd(layout.plan, iso, out, disk_id=layout.disk_guid, progress=lambda _: None)

    def run(changes: dict[int, bytes]) -> None:
        with path.open("r+b") as out:
            for offset, data in changes.items():
                out.seek(offset)
                out.write(data)
        with FileSource(path) as source:
            compared: list[int] = []
            verify_disk(layout, SourceSlice(source, 0, layout.plan.size), iso, progress=compared.append)
            check_vhd_footer(source.read(layout.plan.size, FOOTER_SIZE), size=layout.plan.size)
        assert sum(compared) == len(iso_bytes)

    return run


def test_what_was_planned_passes(check: Callable[[dict[int, bytes]], None]) -> None:
    check({})


@pytest.mark.parametrize(
    ("offset", "data", "fault"),
    [
        (0, b"\0\0", "boot code in sector 0"),
        (CORE_OFFSET + 700, b"\1\2\3\4", "doesn't lead to GRUB's core image"),
        (CORE_OFFSET + 0x1F4, b"\xff\xff\xff\xff\xff\xff\xff\x0f", "leads outside"),
        (SECTOR + 60, b"\1\2\3\4", "wrong checksum"),
        (SYSTEM_OFFSET + 82, b"FAT12", "no FAT32"),
        (SYSTEM_OFFSET + MIB + 70_000, b"\1\2\3\4", "isn't what was planned"),
        (ISO_OFFSET + 1_500_000, b"\1\2\3\4", "copy differs"),
    ],
)
def test_a_change_is_named(check: Callable[[dict[int, bytes]], None], offset: int, data: bytes, fault: str) -> None:
    with pytest.raises(SelfCheckFailed, match=fault):
        check({offset: data})


def test_a_damaged_footer_is_named(check: Callable[[dict[int, bytes]], None], layout: Layout) -> None:
    with pytest.raises(SelfCheckFailed, match="footer"):
        check({layout.plan.size + 100: b"\1"})


def test_a_disk_of_another_size_is_named(layout: Layout, iso_bytes: bytes) -> None:
    iso = BytesSource(iso_bytes)
    with pytest.raises(SelfCheckFailed, match="were planned"):
        verify_disk(layout, BytesSource(bytes(SECTOR)), iso, progress=lambda _: None)


def test_a_footer_of_another_size_is_named(layout: Layout) -> None:
    with pytest.raises(SelfCheckFailed, match="another size"):
        check_vhd_footer(vhd_footer(MIB, layout.disk_guid), size=2 * MIB)
