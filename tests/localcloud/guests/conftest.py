"""A small client image that boots by both firmwares as far as a scripted machine looks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from failback.image.build import build_image
from failback.image.compose import BuildOptions
from failback.image.grub import GrubImages

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def client_image(tmp_path_factory: pytest.TempPathFactory, whole_iso: Path) -> Path:
    """A raw client image."""
    folder = tmp_path_factory.mktemp("image")
    grub = GrubImages(boot=bytes(range(256)) * 2, core=bytes(range(256)) * 600, efi=b"MZ" + bytes(600_000), version="1")
    built = build_image(
        whole_iso,
        folder / "client.raw",
        image_format="raw",
        grub=grub,
        options=BuildOptions(clouds=("azure",)),
        progress=_quiet,
    )
    return Path(built.output)


def _quiet(_work: str, _total: int) -> Callable[[int], None]:
    return lambda _count: None
