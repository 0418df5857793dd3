"""Nonces on volumes and in files: written as the server would, read back, refused where there's no server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localcloud.drs.volume import BLOCK, Volume
from localcloud.workload.layout import DISK_SIZE, RECORD_OFFSET, Record
from localcloud.workload.marker import put_system, read_nonce, read_record, write_nonce

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.machines.spec import Firmware


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    with path.open("xb") as disk:
        disk.truncate(2 * DISK_SIZE)
    return path


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_a_file(file: Path, firmware: Firmware) -> None:
    put_system(file, real=False, firmware=firmware)
    assert (read_record(file), read_nonce(file)) == (Record(firmware), None)
    write_nonce(file, "first")
    write_nonce(file, "second")
    assert read_record(file) == Record(firmware, "second")
    assert b"first" not in file.read_bytes()
    assert file.stat().st_size == 2 * DISK_SIZE


def test_a_volume_knows_what_was_written_to_it(file: Path) -> None:
    put_system(file, real=False)
    rung = list[bool]()
    volume = Volume(file, device="/dev/xvda", ebs_id="vol-1", rung=lambda: rung.append(True))
    assert volume.changes(0, original=True)[1] == []
    write_nonce(volume, "n-1")
    assert volume.changes(0, original=True)[1] == [(RECORD_OFFSET, BLOCK)]
    assert rung == [True]
    assert read_nonce(volume) == read_nonce(file) == "n-1"


@pytest.mark.parametrize("lost", [510, RECORD_OFFSET], ids=["signature", "record"])
def test_there_is_no_server_on_a_disk_that_lacks_a_part(file: Path, lost: int) -> None:
    put_system(file, real=False)
    with file.open("r+b") as disk:
        disk.seek(lost)
        disk.write(bytes(2))
    assert read_nonce(file) is None
    with pytest.raises(ValueError, match="no workload on this volume"):
        write_nonce(file, "n-1")


def test_a_disk_that_is_too_small_has_none(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"\x55\xaa" * 300)
    assert read_record(tmp_path / "small") is None
