"""Every change of a server's way home done and its answer lost for good, and its process killed after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.virtual.battery import Battery, cases_of

if TYPE_CHECKING:
    from tests.virtual.wire import Wire
    from tests.virtual.world import World

pytestmark = [
    pytest.mark.battery,
    pytest.mark.timeout(2400),
    # What a killed process leaves open is left open here, too.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_every_change_of_a_server_lost_and_killed(world: World, wire: Wire, fence: str) -> None:
    battery = Battery(world, wire, fence)
    cases = [each for each in cases_of(battery.noted()) if each.kind != "denied"]
    faults = battery.play(cases)
    assert len(cases) > 100
    assert not faults, "\n\n".join(faults)
