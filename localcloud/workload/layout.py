"""The workload's disk: a GPT with GRUB for both firmwares, kernel and initrd, and a record that the system reads aloud.

| from | holds |
|---|---|
| 1 MiB | GRUB's core image for a BIOS |
| 2 MiB | GRUB for UEFI, grub.cfg, kernel and initrd: FAT32, 64 MiB |
| 66 MiB | the record: one line of text in a sector of its own |
| 67 MiB | the backup partition table |

The disk may be larger: the partition table speaks of these 68 MiB only, and firmware, GRUB and kernel take that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from failback.image.layout import CORE_OFFSET, SYSTEM_OFFSET, SYSTEM_SIZE
from failback.image.plan import MIB, SECTOR

if TYPE_CHECKING:
    from localcloud.machines.spec import Firmware

CORE_SIZE = SYSTEM_OFFSET - CORE_OFFSET
RECORD_OFFSET = SYSTEM_OFFSET + SYSTEM_SIZE
RECORD_ROOM = 1 * MIB
DISK_SIZE = RECORD_OFFSET + RECORD_ROOM + 1 * MIB
"""Bytes from the beginning of the disk that are the system's; what's behind them is the server's own."""

SIGNATURE, SIGNATURE_OFFSET = b"\x55\xaa", SECTOR - 2
"""What a BIOS wants to see at the end of the first sector."""
MAGIC = "DRS-FAILBACK-WORKLOAD 1"
UP = "FAILBACK-WORKLOAD up nonce="
"""What the system prints on its serial console once it's up, and the nonce behind it."""
PROMPT = "workload login: "
NO_NONCE = "-"
_NONCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RECORD = re.compile(rf"{MAGIC} nonce=(\S+) firmware=(bios|uefi)\n".encode("ascii"))


@dataclass(frozen=True, slots=True)
class Record:
    """Which firmware the server boots by, and its nonce: letters, digits, ".", "_", "-", at most 64; None so far."""

    firmware: Firmware
    nonce: str | None = None

    def to_bytes(self) -> bytes:
        """A whole sector; raises ValueError for a nonce that can't stand in it."""
        if self.nonce is not None and not _NONCE.fullmatch(self.nonce):
            message = f"{self.nonce!r} is no nonce: it takes 1 to 64 letters, digits, dots, hyphens and underscores"
            raise ValueError(message)
        line = f"{MAGIC} nonce={self.nonce or NO_NONCE} firmware={self.firmware}\n"
        return line.encode("ascii").ljust(SECTOR, b"\0")

    @classmethod
    def parse(cls, sector: bytes) -> Record | None:
        """The record in a sector; None where there's none."""
        found = _RECORD.match(sector)
        if found is None:
            return None
        nonce = found[1].decode("ascii", "replace")
        return cls(cast("Firmware", found[2].decode("ascii")), None if nonce == NO_NONCE else nonce)
