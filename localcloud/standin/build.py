"""Builds the stand-in ISO, or hands out the one that is there: the root archive is cached apart from the disc."""

from __future__ import annotations

import fcntl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from failback.errors import StandinError
from localcloud.packages import explain_missing, missing
from localcloud.standin.apt import read_kernel
from localcloud.standin.disc import fill_disc, write_disc
from localcloud.standin.programs import running_as_root
from localcloud.standin.recipe import SIZES, recipe_key
from localcloud.standin.root_image import compose_root, squash
from localcloud.standin.root_tar import build_root_tar, root_tar_key
from localcloud.standin.tools import list_tools

if TYPE_CHECKING:
    from collections.abc import Callable

    from localcloud.standin.recipe import Size

SizeName = Literal["small", "real"]
ISO_NAME = "drs-failback-standin.iso"


def say_nothing(_: str) -> None:
    """Progress for nobody."""


def build_standin(out: Path, *, size: SizeName = "small", progress: Callable[[str], None] = say_nothing) -> Path:
    """The stand-in ISO `out`/`size`/drs-failback-standin.iso, made if it isn't there or its recipe has changed.

    The first build takes about a minute and a half, one with changed scripts some seconds, an unchanged one nothing.
    Raises StandinError, with every missing package in one message.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / "lock").open("w") as lock:
        # Two that start at once: the second waits, and finds what the first has made.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build_unless_current(out, SIZES[size], progress)


def _build_unless_current(out: Path, size: Size, progress: Callable[[str], None]) -> Path:
    kernel = read_kernel(out / "cache" / "kernel.json")
    key = recipe_key(root_tar_key(kernel), size)
    iso, stamp = out / size.name / ISO_NAME, out / size.name / "key"
    if iso.is_file() and stamp.is_file() and stamp.read_text() == key:
        return iso
    check_packages()
    root_tar = build_root_tar(out / "cache", kernel, progress=progress)
    iso.parent.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="work-", dir=iso.parent) as work:
        _make_iso(Path(work), root_tar, size, iso, progress)
    (iso.parent / "tools.txt").write_text(list_tools())
    stamp.write_text(key)
    return iso


def check_packages() -> None:
    """Raise StandinError, naming all that is missing, unless this machine can build a stand-in."""
    lacking = missing("standin") if running_as_root() else missing("standin", "standin without root")
    if lacking:
        raise StandinError(explain_missing("building the stand-in ISO", lacking))


def _make_iso(work: Path, root_tar: Path, size: Size, iso: Path, progress: Callable[[str], None]) -> None:
    progress("root file system: our files in, unlisted commands out, ext4")
    compose_root(work, root_tar, size)
    progress("squashfs")
    squash(work, work / "squashfs.img")
    progress("disc")
    disc = work / "disc"
    fill_disc(disc, kernel=work / "vmlinuz", initrd=work / "initrd.img", squashfs=work / "squashfs.img")
    write_disc(disc, iso)
