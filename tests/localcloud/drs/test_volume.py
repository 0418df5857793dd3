"""A volume's changes: what isn't zeros, what came later, and never more than was touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localcloud.drs.volume import BLOCK, LARGEST_EXTENT, Volume

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 10 * BLOCK + 512


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    path = tmp_path / "0.raw"
    path.write_bytes(bytes(SIZE))
    return Volume(path, device="/dev/xvda", ebs_id="vol-1")


def test_zeros_arent_announced_at_first(volume: Volume) -> None:
    assert volume.changes(-1, original=False) == (0, [])
    volume.write(3 * BLOCK, b"x")
    volume.write(SIZE - 1, b"y")
    assert volume.changes(-1, original=False) == (2, [(3 * BLOCK, BLOCK), (10 * BLOCK, 512)])


def test_a_change_is_announced_once_a_generation(volume: Volume) -> None:
    volume.write(BLOCK - 1, b"xy")
    generation, extents = volume.changes(0, original=False)
    assert extents == [(0, 2 * BLOCK)]
    assert volume.changes(generation, original=False) == (generation, [])
    volume.write(BLOCK, bytes(1))
    assert volume.changes(generation, original=False) == (generation + 1, [(BLOCK, BLOCK)])


def test_the_original_is_told_only_what_changed_since_the_failover(tmp_path: Path) -> None:
    path = tmp_path / "0.raw"
    path.write_bytes(b"\x01" * SIZE)
    volume = Volume(path, device="/dev/xvda", ebs_id="vol-1")
    volume.write(5 * BLOCK, bytes(BLOCK))
    assert volume.changes(-1, original=True) == (1, [(5 * BLOCK, BLOCK)])
    assert sum(length for _, length in volume.changes(-1, original=False)[1]) == SIZE - BLOCK


def test_an_extent_has_an_end(tmp_path: Path) -> None:
    path = tmp_path / "0.raw"
    path.write_bytes(b"\x01" * (2 * LARGEST_EXTENT + BLOCK))
    _, extents = Volume(path, device="/dev/xvda", ebs_id="vol-1").changes(-1, original=False)
    assert extents == [(0, LARGEST_EXTENT), (LARGEST_EXTENT, LARGEST_EXTENT), (2 * LARGEST_EXTENT, BLOCK)]


@pytest.mark.parametrize("offset", [-1, SIZE])
def test_a_write_beyond_the_end_is_an_error(volume: Volume, offset: int) -> None:
    with pytest.raises(ValueError, match="don't lie in a volume"):
        volume.write(offset, b"x")
