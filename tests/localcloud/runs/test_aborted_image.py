"""StopExecution in every state that makes the client image, and in those that end a run, while its function is at work.

A call of it is held up, the execution is stopped meanwhile, and the call is made afterwards all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localcloud.faults import Deny, FaultRule
from tests.localcloud.runs.ends import cleaned_up
from tests.localcloud.runs.held_calls import (
    OF_THE_IMAGE,
    Case,
    break_off,
    is_held,
    rule_of,
    run_of,
    wait_until_idle,
)

if TYPE_CHECKING:
    from tests.localcloud.runs.place import Place

pytestmark = pytest.mark.timeout(540)


@pytest.fixture(scope="module")
def of_the_image(place: Place) -> dict[str, Case]:
    """One run after the other; each finds nothing of the one before."""
    before, cases = place.listing(), {}
    for state, rule in OF_THE_IMAGE.items():
        rules = [rule_of(state, rule)]
        if state == "give_back":
            rules.append(FaultRule(service="arm", operation="virtualMachines/write", action=Deny()))
        with place.faults(*rules):
            case = Case(state, place.start(run_of(state)), rules[0])
            place.wait_until(lambda case=case: is_held(place, case), f"{state} to be held")  # type: ignore[misc]
            break_off(place, case)
            case.cleaned = cleaned_up(place, case.execution)
        cases[state] = case
        wait_until_idle(place)
        if state != "write_report":
            assert place.listing() == before, (state, case.cleaned)
    return cases


@pytest.mark.parametrize("state", OF_THE_IMAGE)
def test_a_run_that_makes_the_image_is_stopped_where_it_was_held(of_the_image: dict[str, Case], state: str) -> None:
    case = of_the_image[state]
    assert case.states == {state}
    assert case.cleaned["status"] == "SUCCEEDED", case.cleaned


def test_a_run_whose_report_was_under_way_came_to_its_own_end(place: Place, of_the_image: dict[str, Case]) -> None:
    history = place.history(of_the_image["write_report"].execution)
    assert history is not None
    assert history.record.status == "done"
    assert place.report(run_of("write_report"))["outcome"]["outcome"] == "done"
