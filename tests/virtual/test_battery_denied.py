"""Every call of a server's way home denied for good, one at a time: the original machine, behind a fence."""

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


def test_every_call_of_a_server_denied_for_good(world: World, wire: Wire, fence: str) -> None:
    # Who can't be seen to be up is accepted by a person.
    battery = Battery(world, wire, fence, verdict="accept")
    cases = [each for each in cases_of(battery.noted()) if each.kind == "denied"]
    faults = battery.play(cases)
    assert len(cases) > 100
    assert not faults, "\n\n".join(faults)
