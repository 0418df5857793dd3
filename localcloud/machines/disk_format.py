"""Which of the disk formats that machines take a file is in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from failback.errors import MachineError

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.machines.spec import DiskFormat

_FOOTER = 512
_COOKIE = b"conectix"
_SECTOR = 512


def disk_format(path: Path) -> DiskFormat:
    """`vpc` where the file ends with a VHD's footer, else `raw`; raises MachineError where it's no disk at all."""
    try:
        with path.open("rb") as disk:
            size = disk.seek(0, os.SEEK_END)
            disk.seek(max(0, size - _FOOTER))
            footer = disk.read(_FOOTER)
    except OSError as error:
        message = f"{path}: can't be read: {error.strerror}"
        raise MachineError(message) from error
    if size == 0 or size % _SECTOR:
        message = f"{path}: {size} bytes are no whole number of {_SECTOR}-byte sectors, so it's no disk"
        raise MachineError(message)
    return "vpc" if footer.startswith(_COOKIE) else "raw"
