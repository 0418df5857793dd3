"""What the image's tests share: GRUB's images (real ones where Debian's packages are installed) and small layouts."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from assets.grub_images import build_grub
from failback.errors import GrubUnavailable
from failback.image.grub import GrubImages, load_grub
from failback.image.layout import Layout, lay_out

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def real_grub_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with GRUB's images, built as at set-up."""
    directory = tmp_path_factory.mktemp("grub")
    try:
        build_grub(directory)
    except GrubUnavailable as error:
        pytest.skip(str(error))
    return directory


@pytest.fixture(scope="session")
def real_grub(real_grub_directory: Path) -> GrubImages:
    return load_grub(real_grub_directory)


@pytest.fixture
def iso_bytes() -> bytes:
    """Stands for an ISO where only its bytes matter; no whole number of MiB or sectors."""
    return random.Random(1).randbytes(2_345_678)


@pytest.fixture
def layout(grub: GrubImages, iso_bytes: bytes) -> Layout:
    files = {"grub/grub.cfg": b"menuentry", "live/agent.img": b"070701" * 500}
    return lay_out(iso_size=len(iso_bytes), iso_head=iso_bytes[:2048], grub=grub, files=files)
