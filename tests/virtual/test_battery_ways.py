"""What the other ways call besides: new machines and helpers, their calls disturbed one at a time."""

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


@pytest.mark.parametrize("way", ["new", "helper"])
def test_what_a_way_calls_besides(world: World, wire: Wire, fence: str, way: str) -> None:
    known = {call[:2] for call in Battery(world, wire, fence).noted()}
    battery = Battery(world, wire, fence, way=way)
    cases = [each for each in cases_of(battery.noted()) if each.call[:2] not in known]
    faults = battery.play(cases)
    assert cases
    assert not faults, "\n\n".join(faults)
