"""A call that outlives its stopped execution, and runs that a person stops: what was begun goes back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from failback.clean_up import ABORTED
from failback.model.recovery import INITIATION_STEPS
from failback.run_over import ENDED_BY
from localcloud.drs.plans import ClientPlan
from localcloud.faults import Delay, FaultRule
from tests.localcloud.runs.ends import check_all_as_before, cleaned_up, failure_of, prepare, stop_execution
from tests.localcloud.runs.servers import (
    UNATTENDED,
    by_id,
    decide,
    failback,
    failed_over,
    history_of,
    outcome_of,
    wait_for,
    waiting_for,
)

if TYPE_CHECKING:
    from tests.localcloud.runs.place import Place

pytestmark = pytest.mark.timeout(480)
Json = Any
HALF = ClientPlan(hold=0.5)
LATE = "late-call"
HELD = Delay(seconds=20)
"""Long enough for the clean-up to begin meanwhile, on a busy machine too."""


@pytest.fixture(scope="module", autouse=True)
def _prepared(place: Place) -> None:
    prepare(place)


def test_what_a_call_makes_after_its_execution_was_stopped_goes_too(place: Place) -> None:
    server = failed_over(place, "late")
    before = place.listing()
    rule = FaultRule(service="arm", operation="virtualMachines/write", body=LATE, nth=(1,), action=HELD)
    with place.faults(rule):
        execution = failback(place, LATE, [server], cutover=UNATTENDED)
        place.wait_until(lambda: any(each.action == HELD for each in place.clouds.faults.records), "it to be held")
        stop_execution(place, execution)
        told = cleaned_up(place, execution)
    assert told["status"] == "SUCCEEDED", told
    history = history_of(place, execution)
    assert place.driver.guests[-1].spec.name.startswith("late"), "it was made after all"
    check_all_as_before(before, place.listing())
    assert place.listing()["leases"] == {}
    record = by_id(place, execution)[server.id]
    assert failure_of(record)[1] == ABORTED
    (stop,) = history.decisions
    assert (stop.subject, stop.actor) == ("stop", ENDED_BY)
    # Giving back had begun when the call was made at last, and looked again; and it waited for no time-out.
    (boots,) = (each for each in record.stages if each.stage == "boot_client")
    (gave,) = (each for each in history.stages if each.stage == "give_back")
    times = (stop.at, gave.began, boots.updated, gave.updated)
    print("stopped, giving back began, the call ended, all given back:", *(f"{each:%T}" for each in times))
    assert list(times) == sorted(times)
    assert gave.updated < stop.at + timedelta(minutes=3)
    assert gave.calls > 1


STOPPED = "stopped-by-a-person"


def test_a_run_that_is_stopped_gives_back_what_is_not_launched_and_keeps_what_is(place: Place) -> None:
    servers = {name: failed_over(place, name) for name in ("replicates", "waits", "failed", "launched")}
    place.clouds.drs.plan(servers["replicates"].id, HALF)
    place.clouds.drs.plan(servers["failed"].id, ClientPlan(fail_step={INITIATION_STEPS[-1]: "said by DRS"}))
    before = place.listing()
    asked = [{"recovery_instance": each.id} for each in servers.values()]
    execution = place.start(
        STOPPED, goal="failback", target="azure-home", servers=asked, cutover={"fence": {"kind": "none"}}
    )
    wait_for(place, execution, "approval", [servers["waits"], servers["launched"]])
    decide(place, STOPPED, "approval", "approve", servers["launched"])
    wait_for(place, execution, "commit", [servers["launched"]])
    wait_for(place, execution, "hold", [servers["failed"]])
    assert waiting_for(place, "replication") == {servers["replicates"].id}
    decide(place, STOPPED, "stop", "stop", why="wrong weekend")
    told = place.finish_watched(execution)
    records = by_id(place, execution)
    assert (told["status"], told["error"]) == ("FAILED", "ServersFailed")
    outcomes = {name: outcome_of(records[each.id]) for name, each in servers.items()}
    assert {name: (each.outcome, each.stage, each.error) for name, each in outcomes.items()} == {
        "replicates": ("failed", "await_replication", "Stopped"),
        "waits": ("failed", "await_approval", "Stopped"),
        "failed": ("failed", "register_client", "RegistrationFailed"),
        "launched": ("launched", "await_commit", ""),
    }
    for name in ("replicates", "waits", "launched"):
        assert "wrong weekend" in outcomes[name].cause
    check_all_as_before(before, place.listing(), servers["launched"])
    assert place.listing()["leases"] == {}
