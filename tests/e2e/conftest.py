"""Real boots: the stand-in client ISO and client images made of it, built once for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from assets.grub_images import build_grub
from failback.image.build import build_image
from failback.image.client import CLOUDS
from failback.image.compose import BuildOptions
from failback.image.grub import load_grub
from localcloud.standin.build import build_standin

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.model.image import BuiltImage, ImageFormat

STANDIN = Path(__file__).resolve().parents[2] / "build" / "standin"


@pytest.fixture(scope="session")
def standin_iso() -> Path:
    """The stand-in client ISO, taken from set-up's where it's current."""
    return build_standin(STANDIN)


@pytest.fixture(scope="session")
def make_image(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, ImageFormat], BuiltImage]:
    """Build a client image with real GRUB; the same ISO and format give the same file."""
    folder = tmp_path_factory.mktemp("images")
    build_grub(folder / "grub")
    made: dict[tuple[Path, ImageFormat], BuiltImage] = {}

    def make(iso: Path, image_format: ImageFormat) -> BuiltImage:
        if (iso, image_format) not in made:
            made[iso, image_format] = build_image(
                iso,
                folder / f"{len(made)}.{image_format}",
                image_format=image_format,
                grub=load_grub(folder / "grub"),
                options=BuildOptions(clouds=CLOUDS),
                progress=lambda _work, _total: lambda _count: None,
            )
        return made[iso, image_format]

    return make
