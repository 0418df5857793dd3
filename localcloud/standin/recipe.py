"""What a stand-in is made of: its sizes, and the key that tells when it has to be made anew."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Size:
    """`root_bytes`: the ext4 file system; `filler_bytes`: ballast in it."""

    name: str
    root_bytes: int
    filler_bytes: int


SIZES = {
    # About 130 MiB of squashfs: what a test needs.
    "small": Size("small", 1024 * MIB, 0),
    # The real one's 3891 MiB with 2.2 GiB in use and 820 MiB of squashfs: for measuring only.
    "real": Size("real", 3891 * MIB, 1900 * MIB),
}


def recipe_key(root_key: str, size: Size) -> str:
    """Names a finished ISO: a hash over its root archive's key, its size and every file of this folder."""
    digest = hashlib.sha256(f"{root_key} {size}\n".encode())
    for path in sorted(Path(__file__).parent.iterdir()):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
