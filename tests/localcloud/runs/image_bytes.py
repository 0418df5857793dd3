"""What's the same all the way: the bytes of an image built by hand, of the snapshot, of the export, of the disk."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING, Any

from cli.image import grub_images
from failback.image.build import build_image
from failback.image.compose import BuildOptions
from tests.client_iso import ClientIso

if TYPE_CHECKING:
    from pathlib import Path

    from tests.localcloud.runs.place import Place

FOOTER = 512
MIB = 1 << 20


def weighted_iso(folder: Path, *, mib: int, seed: int) -> Path:
    """A client ISO with so many MiB more, which nothing makes smaller; another one for each seed."""
    return ClientIso(files={"ballast.bin": random.Random(seed).randbytes(mib * MIB)}).write(folder)


def sha256(path: Path, *, without: int = 0) -> str:
    """A file's hash, without its last bytes."""
    digest, left = hashlib.sha256(), path.stat().st_size - without
    with path.open("rb") as content:
        while left:
            data = content.read(min(left, MIB))
            digest.update(data)
            left -= len(data)
    return digest.hexdigest()


def check_bytes(place: Place, finished: dict[str, Any], iso: Path, folder: Path) -> None:
    """A finished run's snapshot, export and disk are what `failback image build` makes of the ISO."""
    wanted = _built(iso, folder / "client.raw")
    snapshot = finished["build_image"]["facts"]["snapshot"]
    assert sha256(place.clouds.snapshots.raw_path(snapshot)) == wanted
    exported = place.fetch(finished["export_image"]["facts"]["key"], folder / "exported.vhd")
    assert sha256(exported, without=FOOTER) == wanted
    exported.unlink()
    disk = place.clouds.azure.everything()[finished["import_image"]["facts"]["id"]]
    assert sha256(place.clouds.azure_settings.folder / f"disks/{disk['properties']['uniqueId']}.raw") == wanted


def _built(iso: Path, target: Path) -> str:
    build_image(
        iso,
        target,
        image_format="raw",
        grub=grub_images(None),
        options=BuildOptions(clouds=("azure", "aws")),
        progress=lambda _work, _total: lambda _n: None,
    )
    digest = sha256(target)
    target.unlink()
    return digest
