"""GRUB as the client image's boot loader: its images, how they're put on a disk, and its configuration.

The images are built from Debian's `grub-pc-bin` and `grub-efi-amd64-bin` (`assets/grub_images.py`) and don't depend on
the ISO. For a BIOS, `boot.img` goes into the first sector and `core.img` into the BIOS boot partition; both carry
sector numbers that are patched here as `grub-bios-setup --no-rs-codes` does (GRUB manual, "BIOS installation"; offsets
in GRUB's include/grub/i386/pc/boot.h and include/grub/offsets.h).
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.errors import GrubUnavailable
from failback.image.gpt import BOOT_CODE_SIZE
from failback.image.plan import SECTOR, round_up

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BOOT_FILE = "boot.img"
CORE_FILE = "core.img"
EFI_FILE = "grubx64.efi"
VERSION_FILE = "version"

# boot.h: where boot.img keeps the core's first sector (64 bits), the drive to read from, and the drive check.
_KERNEL_SECTOR = 0x5C
_BOOT_DRIVE = 0x64
_DRIVE_CHECK = 0x66
_BOOT_DRIVE_OF_BIOS = 0xFF
_NOP = b"\x90\x90"
# offsets.h: the core's first sector ends with a list of (first sector, count, load segment) of the rest of it.
_BLOCK_LIST = 0x1F4
_BLOCK = struct.Struct("<QHH")
_LOAD_SEGMENT = 0x0820


@dataclass(frozen=True, slots=True)
class GrubImages:
    """GRUB's three images and the Debian package version they were built from."""

    boot: bytes
    core: bytes
    efi: bytes
    version: str

    @property
    def digest(self) -> str:
        """SHA-256 over the three images, in hexadecimal."""
        return hashlib.sha256(self.boot + self.core + self.efi).hexdigest()


def load_grub(directory: Path) -> GrubImages:
    """Read the images that were built into `directory`; raises GrubUnavailable where one is missing."""
    try:
        boot, core, efi = ((directory / name).read_bytes() for name in (BOOT_FILE, CORE_FILE, EFI_FILE))
        version = (directory / VERSION_FILE).read_text(encoding="ascii").strip()
    except OSError as error:
        message = (
            f"{directory}: GRUB's images aren't there ({error.strerror}). They are built once from Debian's packages: "
            "run 'make grub', or 'python -m assets.grub_images DIRECTORY'"
        )
        raise GrubUnavailable(message) from error
    if len(boot) != SECTOR or len(core) <= SECTOR:
        message = f"{directory}: these aren't images of GRUB; run 'make grub' again"
        raise GrubUnavailable(message)
    return GrubImages(boot=boot, core=core, efi=efi, version=version)


def boot_code(grub: GrubImages, *, core_sector: int) -> bytes:
    """The 440 bytes of boot code for a disk whose core image begins at `core_sector`."""
    code = bytearray(grub.boot)
    struct.pack_into("<Q", code, _KERNEL_SECTOR, core_sector)
    code[_BOOT_DRIVE] = _BOOT_DRIVE_OF_BIOS
    code[_DRIVE_CHECK : _DRIVE_CHECK + 2] = _NOP
    return bytes(code[:BOOT_CODE_SIZE])


def core_image(grub: GrubImages, *, core_sector: int) -> bytes:
    """The core image for `core_sector`, padded to whole sectors, its block list pointing at its own rest."""
    core = bytearray(grub.core.ljust(round_up(len(grub.core), SECTOR), b"\0"))
    _BLOCK.pack_into(core, _BLOCK_LIST, core_sector + 1, len(core) // SECTOR - 1, _LOAD_SEGMENT)
    return bytes(core)


def boot_target(code: bytes) -> int:
    """The sector that boot code loads GRUB's core image from."""
    (sector,) = struct.unpack_from("<Q", code, _KERNEL_SECTOR)
    return int(sector)


def block_list(first_sector: bytes) -> tuple[int, int, int]:
    """What a core image's first sector says of the rest: first sector, number of sectors, load segment."""
    start, count, segment = _BLOCK.unpack_from(first_sector, _BLOCK_LIST)
    return start, count, segment


def grub_config(*, title: str, kernel: str, initrds: Sequence[str], arguments: Sequence[str], iso: int) -> str:
    """The configuration on the system partition: one entry, started at once.

    `kernel` and `initrds` are paths on the ISO, which is partition `iso` of the disk that GRUB was started from;
    `initrds` that begin with "(" stand as they are. There is no menu: noise on a serial line would hold it up.
    """
    return f"""\
# {title}. This file may be edited: nothing else on the disk depends on it.
set default=0
set timeout=0
if [ "$grub_platform" = pc ]; then
  if serial --unit=0 --speed=115200; then
    terminal_output --append serial
  fi
fi
regexp --set=1:disk '^([^,]+)' "$root"
set iso="$disk,gpt{iso}"
menuentry {_quoted(title)} {{
  echo {_quoted(f"Loading {title}")}
  linux ($iso){_quoted(kernel)} {" ".join(_quoted(argument) for argument in arguments)}
  initrd {" ".join(initrd if initrd.startswith("(") else f"($iso){_quoted(initrd)}" for initrd in initrds)}
}}
"""


def _quoted(word: str) -> str:
    """A word as GRUB's shell takes it literally; single quotes can't stand inside single quotes."""
    return "'" + word.replace("'", "'\\''") + "'"
