"""Which Debian packages the embedded mode leans on: one table, and one clear list of what is missing."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Use = Literal["standin", "standin without root", "machines", "machines by UEFI"]


@dataclass(frozen=True, slots=True)
class Need:
    """A command (found on PATH) or a file (an absolute path), the Debian package it comes in, and what needs it."""

    provides: str
    package: str
    use: Use


NEEDS = (
    Need("apt-get", "apt", "standin"),
    Need("apt-cache", "apt", "standin"),
    Need("dpkg-deb", "dpkg", "standin"),
    Need("tar", "tar", "standin"),
    Need("mmdebstrap", "mmdebstrap", "standin"),
    Need("zstd", "zstd", "standin"),
    Need("mke2fs", "e2fsprogs", "standin"),
    Need("mksquashfs", "squashfs-tools", "standin"),
    Need("xorriso", "xorriso", "standin"),
    Need("/usr/lib/ISOLINUX/isolinux.bin", "isolinux", "standin"),
    Need("/usr/lib/syslinux/modules/bios/ldlinux.c32", "syslinux-common", "standin"),
    Need("unshare", "util-linux", "standin without root"),
    Need("newuidmap", "uidmap", "standin without root"),
    Need("qemu-system-x86_64", "qemu-system-x86", "machines"),
    Need("/usr/share/seabios/bios-256k.bin", "seabios", "machines"),
    Need("/usr/share/OVMF/OVMF_CODE.fd", "ovmf", "machines by UEFI"),
)

# mke2fs, unshare and friends are in the system folders, which a plain user's PATH often lacks.
SYSTEM_FOLDERS = (Path("/usr/sbin"), Path("/sbin"))


def find_command(name: str) -> str | None:
    """The path of a command, looked for on PATH and in the system folders; None where there is none."""
    return shutil.which(name) or shutil.which(name, path=":".join(map(str, SYSTEM_FOLDERS)))


def is_present(provides: str) -> bool:
    """Whether this machine has the command or file."""
    return Path(provides).exists() if provides.startswith("/") else find_command(provides) is not None


def missing(*uses: Use, present: Callable[[str], bool] = is_present) -> tuple[Need, ...]:
    """What the given uses need and this machine lacks, in the table's order."""
    return tuple(need for need in NEEDS if need.use in uses and not present(need.provides))


def explain_missing(purpose: str, needs: tuple[Need, ...]) -> str:
    """One message that names every missing piece and the command that installs them all."""
    pieces = ", ".join(need.provides for need in needs)
    packages = " ".join(dict.fromkeys(need.package for need in needs))
    return (
        f"{purpose} needs what this machine lacks: {pieces}. "
        f"On Debian 12 it comes with: apt-get install --no-install-recommends {packages}"
    )
