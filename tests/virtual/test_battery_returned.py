"""Every call of giving back disturbed, one at a time: a server that was launched, started, and isn't wanted."""

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

UNPROVEN = {
    "verify": {"serial": "it never says that", "agent": False, "minutes": 1},
    "commit": {"by": "person", "hours": 1},
}
STAGES = {"await_commit", "hold_server", "give_back"}


def test_every_call_of_giving_back_disturbed(world: World, wire: Wire, fence: str) -> None:
    battery = Battery(world, wire, fence, cutover=UNPROVEN, verdict="give_back")
    cases = [each for each in cases_of(battery.noted(undisturbed="given back, all")) if each.call.stage in STAGES]
    faults = battery.play(cases)
    assert len(cases) > 80
    assert not faults, "\n\n".join(faults)
