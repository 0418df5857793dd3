"""The adapter on an embedded Azure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clouds.azure.embedded import EmbeddedHome, embedded_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedHome]:
    """A fresh one."""
    with embedded_home(tmp_path / "azure", monkeypatch) as embedded:
        yield embedded
