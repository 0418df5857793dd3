"""An embedded Google identity on a clock that the test moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localcloud.azure.clock import VirtualClock
from localcloud.google_identity.service import GoogleIdentity, IdentityEndpoints
from tests.localcloud.google_identity.givers import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def identity(clock: VirtualClock) -> GoogleIdentity:
    return GoogleIdentity(SETTINGS, clock=clock)


@pytest.fixture
def at(identity: GoogleIdentity) -> Iterator[IdentityEndpoints]:
    with identity.serve() as endpoints:
        yield endpoints
