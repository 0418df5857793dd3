"""Ballast that makes the stand-in as large as the real ISO: always the same bytes, made quickly, as compressible."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PAGE = 4096
# Of each page so many bytes are random: with one run of equal bytes for the rest, gzip shrinks it to the ratio of the
# real root file system (791 MiB of squashfs for 2.0 GiB of files).
RANDOM_PER_PAGE = PAGE * 38 // 100
PAGES_PER_FILE = 16 * 1024
SEED = 20240220


def write_filler(folder: Path, size: int) -> None:
    """Write `size` bytes (rounded up to pages) as files of at most 64 MiB; nothing at all for 0."""
    pages = -(-size // PAGE)
    if pages:
        folder.mkdir(parents=True)
    for first in range(0, pages, PAGES_PER_FILE):
        _write_file(folder / f"{first // PAGES_PER_FILE:03d}", min(PAGES_PER_FILE, pages - first), SEED + first)


def _write_file(path: Path, pages: int, seed: int) -> None:
    noise = random.Random(seed)
    calm = b"\x90" * (PAGE - RANDOM_PER_PAGE)
    with path.open("wb") as target:
        for _ in range(pages):
            target.write(noise.randbytes(RANDOM_PER_PAGE) + calm)
