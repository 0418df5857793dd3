"""Ballast that makes the stand-in as large as the real ISO: always the same bytes, made quickly, as compressible."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PAGE = 4096
# Of each page so many bytes are random: with one run of equal bytes for the rest, gzip shrinks it to the ratio of the
# real root file system (791 MiB of squashfs for 2.0 GiB of files).
RANDOM_PER_PAGE = PAGE * 38 // 100
# Sizes in turn, in pages: many small files and few large ones, 56 KiB on average as in the stand-in's own Debian root.
FILE_PAGES = (1, 1, 2, 3, 4, 8, 16, 77)
FILES_PER_FOLDER = 500
SEED = 20240220


def write_filler(folder: Path, size: int) -> None:
    """Write `size` bytes (rounded up to pages) as files in folders; nothing at all for 0."""
    left = -(-size // PAGE)
    noise = random.Random(SEED)
    for number in itertools.count():
        if not left:
            return
        pages = min(FILE_PAGES[number % len(FILE_PAGES)], left)
        path = folder / f"{number // FILES_PER_FOLDER:03d}" / f"{number:06d}"
        if number % FILES_PER_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"".join(_page(noise) for _ in range(pages)))
        left -= pages


def _page(noise: random.Random) -> bytes:
    return noise.randbytes(RANDOM_PER_PAGE) + bytes([0x90]) * (PAGE - RANDOM_PER_PAGE)
