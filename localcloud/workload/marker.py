"""Puts the workload on a volume, and the nonce that tells what was written to it on AWS from what was there before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from failback.image.plan import SECTOR
from localcloud.sparse_files import data_ranges
from localcloud.workload.layout import RECORD_OFFSET, SIGNATURE, SIGNATURE_OFFSET, Record
from localcloud.workload.system import build_system

if TYPE_CHECKING:
    from localcloud.drs.volume import Volume
    from localcloud.machines.spec import Firmware


def put_system(volume: Volume | Path, *, real: bool, firmware: Firmware = "bios") -> None:
    """Make a volume, or a disk's file, one of a server that boots by `firmware`; it has no nonce yet.

    The `real` system is built if it isn't there, and boots in QEMU by both. Otherwise there's only what a scripted
    machine looks at: the boot signature and the record.
    """
    if real:
        _copy(build_system(), volume)
    else:
        _write(volume, SIGNATURE_OFFSET, SIGNATURE)
    _write(volume, RECORD_OFFSET, Record(firmware).to_bytes())


def write_nonce(volume: Volume | Path, nonce: str) -> None:
    """Write the nonce as the server itself would; raises ValueError for a bad one, or where there's no workload."""
    found = read_record(volume)
    if found is None:
        message = "There's no workload on this volume that could take a nonce."
        raise ValueError(message)
    _write(volume, RECORD_OFFSET, Record(found.firmware, nonce).to_bytes())


def read_nonce(volume: Volume | Path) -> str | None:
    """The nonce on a volume or in a disk's file; None where there's no workload, or none was written."""
    found = read_record(volume)
    return found.nonce if found else None


def read_record(volume: Volume | Path) -> Record | None:
    """The record of a disk that could be booted; None where it's no workload's."""
    if _read(volume, SIGNATURE_OFFSET, len(SIGNATURE)) != SIGNATURE:
        return None
    return Record.parse(_read(volume, RECORD_OFFSET, SECTOR))


def _copy(system: Path, volume: Volume | Path) -> None:
    with system.open("rb") as file:
        for start, end in data_ranges(file.fileno(), 0, system.stat().st_size):
            _write(volume, start, os.pread(file.fileno(), end - start, start))


def _read(volume: Volume | Path, offset: int, length: int) -> bytes:
    if not isinstance(volume, Path):
        return volume.read(offset, length)
    with volume.open("rb") as file:
        return os.pread(file.fileno(), length, offset)


def _write(volume: Volume | Path, offset: int, data: bytes) -> None:
    if not isinstance(volume, Path):
        volume.write(offset, data)
        return
    with volume.open("r+b") as file:
        os.pwrite(file.fileno(), data, offset)
