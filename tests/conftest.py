"""What tests of several folders share: a small client ISO to build from."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from failback.image.grub import GrubImages
from tests.client_iso import ClientIso

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def grub() -> GrubImages:
    """Something of GRUB's shape and size, for tests that don't boot it."""
    noise = random.Random(2).randbytes
    return GrubImages(boot=noise(512), core=noise(160_000), efi=noise(600_000), version="test")


@pytest.fixture(scope="session")
def whole_iso(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A client ISO that lacks nothing."""
    return ClientIso().write(tmp_path_factory.mktemp("whole"))
