"""Every call that a run makes for itself disturbed, one at a time: the gate, the image, waves, watcher, report."""

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


def test_every_call_of_the_run_itself_disturbed(world: World, wire: Wire, fence: str) -> None:
    battery = Battery(world, wire, fence)
    cases = cases_of(battery.noted(run_level=True))
    faults = battery.play(cases, run_level=True)
    assert len(cases) > 80
    assert not faults, "\n\n".join(faults)
