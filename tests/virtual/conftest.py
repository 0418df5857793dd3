"""One world for the tests of a module: starting and deploying takes some seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.client_iso import ClientIso
from tests.localcloud.runs.ends import wall
from tests.localcloud.runs.servers import failed_over
from tests.virtual.battery import PREPARE
from tests.virtual.wire import Wire
from tests.virtual.world import open_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.virtual.world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """With the client image at home already."""
    iso = ClientIso().write(tmp_path_factory.mktemp("iso"))
    with open_world(tmp_path_factory.mktemp("world"), iso) as opened:
        assert opened.finish(opened.start("prepared", dict(PREPARE))).failure is None
        yield opened


@pytest.fixture(scope="module")
def wire(world: World) -> Iterator[Wire]:
    with Wire(world).tapped() as tapped:
        yield tapped


@pytest.fixture(scope="module")
def fence(world: World) -> str:
    """A security group that lets nothing in."""
    return wall(world.place, failed_over(world.place, "beside"))
