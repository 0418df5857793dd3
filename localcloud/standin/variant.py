"""Variants of a finished stand-in ISO: another initrd or other kernel arguments, in seconds."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from failback.errors import StandinError
from localcloud.standin.disc import write_disc
from localcloud.standin.initrd import (
    compress_initrd,
    decompress_initrd,
    early_archive,
    read_cpio,
    with_files,
    without_modules,
    write_cpio,
)
from localcloud.standin.programs import run_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from localcloud.standin.initrd import InitrdCompression

LIVE_ARGUMENT = "rd.live.image"


@dataclass(frozen=True, slots=True)
class InitrdChange:
    """What a variant's initrd has otherwise: modules taken out, files put in (path -> content), and how it's packed.

    `early_cpio` puts an uncompressed archive first, as for microcode.
    """

    drop_modules: frozenset[str] = frozenset()
    add_files: Mapping[str, bytes] = field(default_factory=dict)
    compression: InitrdCompression = "gzip"
    early_cpio: bool = False


def variant_iso(
    base: Path,
    out: Path,
    *,
    drop_modules: Iterable[str] = (),
    add_files: Mapping[str, bytes] | None = None,
    initrd_compression: InitrdCompression = "gzip",
    early_cpio: bool = False,
    kernel_arguments: str = "",
) -> Path:
    """Write the ISO `base` to `out` with its initrd changed (InitrdChange), and return `out`; the live image stays.

    `kernel_arguments` are added to every entry of isolinux.cfg. Raises StandinError.
    """
    if not base.is_file():
        message = f"{base}: there is no ISO to make a variant of"
        raise StandinError(message)
    change = InitrdChange(frozenset(drop_modules), add_files or {}, initrd_compression, early_cpio)
    with tempfile.TemporaryDirectory(prefix="variant-", dir=out.parent) as work:
        disc = Path(work) / "disc"
        run_program(["xorriso", "-osirrox", "on", "-indev", base, "-extract", "/", disc])
        make_writable(disc)
        (disc / "isolinux" / "boot.cat").unlink()
        initrd = disc / "isolinux" / "initrd.img"
        initrd.write_bytes(change_initrd(initrd.read_bytes(), change))
        configuration = disc / "isolinux" / "isolinux.cfg"
        configuration.write_text(add_arguments(configuration.read_text(), kernel_arguments))
        write_disc(disc, out)
    return out


def change_initrd(initrd: bytes, change: InitrdChange) -> bytes:
    """The stand-in's initrd, changed and compressed anew."""
    members = without_modules(read_cpio(decompress_initrd(initrd)), change.drop_modules)
    archive = write_cpio(with_files(members, change.add_files))
    first = early_archive() if change.early_cpio else b""
    return first + compress_initrd(archive, change.compression)


def add_arguments(configuration: str, arguments: str) -> str:
    """isolinux.cfg with kernel arguments added to every live entry."""
    return configuration.replace(LIVE_ARGUMENT, f"{LIVE_ARGUMENT} {arguments}".rstrip())


def make_writable(tree: Path) -> None:
    """Let the owner write everywhere: what xorriso unpacks is read-only, as on a disc."""
    for path in (tree, *tree.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
