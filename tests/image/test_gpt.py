"""Partition tables: what we write, sgdisk accepts and reads the same; what is damaged, we notice."""

from __future__ import annotations

import re
import shutil
import subprocess
import uuid
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failback.errors import SelfCheckFailed
from failback.image.gpt import BIOS_BOOT, EFI_SYSTEM, LINUX_DATA, Partition, partition_table, read_partitions
from failback.image.plan import MIB, SECTOR, make_plan
from failback.image.source import BytesSource

if TYPE_CHECKING:
    from pathlib import Path

KINDS = (BIOS_BOOT, EFI_SYSTEM, LINUX_DATA)
needs_sgdisk = pytest.mark.skipif(shutil.which("sgdisk") is None, reason="sgdisk (gdisk) isn't installed")


@st.composite
def tables(draw: st.DrawFn) -> tuple[int, list[Partition]]:
    """A disk of some MiB with partitions on MiB boundaries."""
    mib = draw(st.integers(8, 64))
    cuts = sorted(draw(st.sets(st.integers(1, mib - 2), min_size=2, max_size=10)))
    partitions = [
        Partition(
            offset=first * MIB,
            size=(last - first) * MIB,
            kind=draw(st.sampled_from(KINDS)),
            guid=draw(st.uuids(version=4)),
            name=draw(st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=36)),
        )
        for first, last in zip(cuts[::2], cuts[1::2], strict=False)
    ]
    return mib * MIB, partitions


DISK_GUID = uuid.UUID(int=7)


def disk_of(size: int, partitions: list[Partition]) -> bytes:
    plan = make_plan(size, partition_table(partitions, disk_size=size, disk_guid=DISK_GUID, boot_code=b"\xeb" * 440))
    return plan.read(BytesSource(b""), 0, size)


@given(tables())
@settings(max_examples=15, deadline=None)
def test_a_table_reads_back(case: tuple[int, list[Partition]]) -> None:
    size, partitions = case
    assert read_partitions(BytesSource(disk_of(size, partitions))) == tuple(partitions)


@needs_sgdisk
@given(tables())
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sgdisk_accepts_it_and_reads_the_same(tmp_path: Path, case: tuple[int, list[Partition]]) -> None:
    size, partitions = case
    image = tmp_path / "disk"
    image.write_bytes(disk_of(size, partitions))
    verdict = subprocess.run(["sgdisk", "-v", image], capture_output=True, text=True, check=True).stdout
    assert "No problems found" in verdict
    for number, partition in enumerate(partitions, 1):
        shown = subprocess.run(["sgdisk", "-i", str(number), image], capture_output=True, text=True, check=True).stdout
        assert str(partition.kind).upper() in shown
        assert str(partition.guid).upper() in shown
        assert f"First sector: {partition.first_sector} " in shown
        assert f"Last sector: {partition.last_sector} " in shown
        assert re.search(rf"^Partition name: '{partition.name}'$", shown, re.MULTILINE)


def test_the_boot_code_stands_in_the_first_sector() -> None:
    disk = disk_of(8 * MIB, [])
    assert disk[:440] == b"\xeb" * 440
    assert disk[446 + 4] == 0xEE
    assert disk[510:512] == b"\x55\xaa"


PARTITION = Partition(offset=MIB, size=MIB, kind=LINUX_DATA, guid=uuid.UUID(int=1), name="one")


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        (510, "protective MBR"),
        (SECTOR + 40, "sector 1 has a wrong checksum"),
        (SECTOR, "no GPT header in sector 1"),
        (2 * SECTOR + 3, "entries of sector 1 have a wrong checksum"),
        (8 * MIB - SECTOR + 40, "wrong checksum"),
        (8 * MIB - 33 * SECTOR, "wrong checksum"),
    ],
)
def test_one_flipped_bit_is_noticed(where: int, fault: str) -> None:
    disk = bytearray(disk_of(8 * MIB, [PARTITION]))
    disk[where] ^= 1
    with pytest.raises(SelfCheckFailed, match=fault):
        read_partitions(BytesSource(bytes(disk)))


def test_two_sound_tables_that_differ_are_noticed() -> None:
    disk = bytearray(disk_of(8 * MIB, [PARTITION]))
    other = disk_of(8 * MIB, [])
    disk[-33 * SECTOR :] = other[-33 * SECTOR :]
    with pytest.raises(SelfCheckFailed, match="differ"):
        read_partitions(BytesSource(bytes(disk)))
