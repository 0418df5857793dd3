"""The disc itself: isolinux, kernel, initrd and the live image, as an ISO 9660 file system with the client's label."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from localcloud.standin.programs import SOURCE_DATE_EPOCH, run_program

HERE = Path(__file__).parent
LABEL = "DRSFAILBACK"
ISOLINUX = Path("/usr/lib/ISOLINUX/isolinux.bin")
MODULES = Path("/usr/lib/syslinux/modules/bios")
MODULE_NAMES = ("ldlinux.c32", "libutil.c32", "menu.c32")


def fill_disc(tree: Path, *, kernel: Path, initrd: Path, squashfs: Path) -> None:
    """Lay out the disc's files under `tree`; the squashfs is moved, not copied."""
    boot, live = tree / "isolinux", tree / "LiveOS"
    boot.mkdir(parents=True)
    live.mkdir()
    for source in (ISOLINUX, *(MODULES / name for name in MODULE_NAMES), HERE / "isolinux.cfg"):
        shutil.copyfile(source, boot / source.name)
    shutil.copyfile(kernel, boot / "vmlinuz")
    shutil.copyfile(initrd, boot / "initrd.img")
    squashfs.rename(live / "squashfs.img")


def write_disc(tree: Path, target: Path) -> None:
    """Write `tree` as a disc that BIOS machines boot; the same tree gives the same bytes."""
    for path in (tree, *tree.rglob("*")):
        _normalise(path)
    fresh = target.with_name(target.name + ".new")
    fresh.unlink(missing_ok=True)
    stamp = time.strftime("%Y%m%d%H%M%S00", time.gmtime(SOURCE_DATE_EPOCH))
    run_program(
        [
            *("xorriso", "-as", "mkisofs", "-quiet", "-o", fresh, "-V", LABEL, "-rational-rock", "-joliet"),
            *("-iso-level", "3", f"--modification-date={stamp}"),
            *("-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot"),
            *("-boot-load-size", "4", "-boot-info-table", tree),
        ]
    )
    fresh.replace(target)


def _normalise(path: Path) -> None:
    path.chmod(0o755 if path.is_dir() else 0o644)
    os.utime(path, (SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH))
