"""One place for all runs of a module: starting and deploying takes some seconds. Its calls are judged in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.client_iso import ClientIso
from tests.localcloud.runs.safety_place import checked_place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.localcloud.runs.place import Place


@pytest.fixture(scope="module")
def iso(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ClientIso().write(tmp_path_factory.mktemp("iso"))


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, iso: Path) -> Iterator[Place]:
    """A module's own settings for its functions are its VARIABLES."""
    variables = getattr(request.module, "VARIABLES", {})
    with checked_place(tmp_path_factory.mktemp("place"), iso, variables=variables) as opened:
        yield opened
