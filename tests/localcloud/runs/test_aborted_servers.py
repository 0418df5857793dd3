"""StopExecution in every state on servers' ways, while the state's function is at work.

A call of it is held up, the execution is stopped meanwhile, and the call is made afterwards all the same.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from failback.clean_up import ABORTED
from failback.model.recovery import INITIATION_STEPS
from localcloud.drs.plans import ClientPlan
from localcloud.embedded.originals import OriginalServer, add_original
from localcloud.faults import FaultPlan
from tests.localcloud.runs.ends import (
    all_groups,
    check_all_as_before,
    cleaned_up,
    contents,
    groups_of,
    prepare,
    wall,
)
from tests.localcloud.runs.held_calls import (
    OF_SERVERS,
    OF_THE_IMAGE,
    Case,
    break_off,
    calling_states,
    is_held,
    name_of,
    rule_of,
    run_of,
    states_now,
    wait_until_idle,
)
from tests.localcloud.runs.servers import UNATTENDED, by_id, failed_over, outcome_of, plan_of, waiting_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.model.record import RunHistory
    from localcloud.drs.records import RecoveryInstance
    from tests.localcloud.runs.place import Place

pytestmark = pytest.mark.timeout(540)
Json = Any
FAILS = ClientPlan(fail_step={INITIATION_STEPS[-1]: "said by DRS"})
STARTED = ("cut_over/start", "verify_server", "await_commit", "close_server")
"""From then on the server may serve at home."""


@dataclass
class Story:
    """What was before and after, and all cases."""

    before: Json
    groups: dict[str, list[str]]
    contents: list[str]
    cases: dict[str, Case] = field(default_factory=dict)
    after: Json = None


@pytest.fixture(scope="module")
def servers(place: Place) -> dict[str, RecoveryInstance]:
    prepare(place)
    made = {state: failed_over(place, name_of(state)) for state in OF_SERVERS}
    for state in ("hold_server", "give_back_server"):
        place.clouds.drs.plan(made[state].id, FAILS)
    return made


@pytest.fixture(scope="module")
def original(place: Place, servers: dict[str, RecoveryInstance]) -> OriginalServer:
    """The one that's broken off in the change has its own machine at home."""
    return add_original(place.clouds, servers["cut_over"])


@pytest.fixture(scope="module")
def story(place: Place, servers: dict[str, RecoveryInstance], original: OriginalServer) -> Story:
    """A run for each state, all at the same time; each is stopped once its call is held up."""
    behind = {**UNATTENDED, "fence": {"kind": "security-group", "group": wall(place, servers["cut_over"])}}
    told = Story(place.listing(), all_groups(place, servers.values()), contents(place, original))
    rules = {state: rule_of(state, OF_SERVERS[state], server.id) for state, server in servers.items()}
    # The machine that's taken over is written to before, too: for the client.
    with place.faults(*(rule for state, rule in rules.items() if state != "cut_over")):
        for state, server in servers.items():
            asked = {"recovery_instance": server.id, **({"original": "cut-over"} if state == "cut_over" else {})}
            cutover = {**behind, "on_failure": "hold"} if state == "hold_server" else behind
            execution = place.start(
                run_of(state), goal="failback", target="azure-home", servers=[asked], cutover=cutover
            )
            told.cases[state] = Case(state, execution, rules[state], server)
            stop_the_held(place, told.cases)
        stop_all(place, told.cases)
        for case in told.cases.values():
            if case.state != "check_request":
                case.cleaned = cleaned_up(place, case.execution)
        opened_late = told.cases["check_request"].execution
        place.wait_until(lambda: is_closed(place.history(opened_late)), "the late run to be closed")
    place.wake()
    wait_until_idle(place)
    told.after = place.listing()
    return told


def is_closed(history: RunHistory | None) -> bool:
    return history is not None and history.record.status == "failed"


def stop_all(place: Place, cases: Mapping[str, Case]) -> None:
    """Each as soon as it's held, while the watcher looks."""
    end, changing = time.monotonic() + place.longest, cases["cut_over"].server
    while left := stop_the_held(place, cases):
        assert time.monotonic() < end, {each.state: states_now(place, each.execution) for each in left}
        if changing and changing.id in waiting_for(place, "launch"):
            place.clouds.faults.use(FaultPlan(rules=tuple(each.rule for each in left)))
            changing = None
        place.wake()
        time.sleep(0.3)


def stop_the_held(place: Place, cases: Mapping[str, Case]) -> list[Case]:
    """Those that are on their way still."""
    left = [each for each in cases.values() if not each.states]
    for case in [each for each in left if is_held(place, each)]:
        break_off(place, case)
    return [each for each in left if not each.states]


@pytest.mark.parametrize("state", OF_SERVERS)
def test_a_servers_run_is_stopped_where_it_was_held(place: Place, story: Story, state: str) -> None:
    case = story.cases[state]
    assert state.partition("/")[0] in case.states
    assert is_closed(place.history(case.execution)) or state == "close_server"
    if state != "check_request":
        assert case.cleaned["status"] == "SUCCEEDED", case.cleaned


def test_both_clouds_are_as_before_but_for_those_that_were_started(
    place: Place, story: Story, original: OriginalServer
) -> None:
    for state in OF_SERVERS:
        print(f"{state:20} {how_it_ended(place, story, state)}")
    started = [case.server for state in STARTED if (case := story.cases[state]).server]
    check_all_as_before(story.before, story.after, *started)
    assert story.after["leases"] == {}
    assert contents(place, original) == story.contents


def how_it_ended(place: Place, story: Story, state: str) -> str:
    case = story.cases[state]
    history = place.history(case.execution)
    assert history is not None
    assert history.record.outcome is not None
    if case.server is None or case.cleaned is None or not history.servers:
        return f"nothing was begun: {history.record.outcome.error}"
    outcome = by_id(place, case.execution)[case.server.id].record.outcome
    left = place.report(run_of(state))["given_back"]["left"]
    return f"{outcome.outcome if outcome else ''} {outcome.error if outcome else ''}, {len(left)} kept and told"


@pytest.mark.parametrize("state", [each for each in OF_SERVERS if each not in STARTED])
def test_a_server_that_was_not_started_goes_back(place: Place, story: Story, state: str) -> None:
    case = story.cases[state]
    assert case.server is not None
    record = by_id(place, case.execution)[case.server.id]
    assert record.record.milestones.started is None
    assert groups_of(place, case.server) == story.groups[case.server.id]
    if state == "check_request":
        assert record.stages == ()
        return
    assert outcome_of(record).outcome == "failed"
    assert place.report(run_of(state))["given_back"]["left"] == []


@pytest.mark.parametrize("state", STARTED[:-1])
def test_a_server_that_was_started_stays_and_is_told_with_commands(place: Place, story: Story, state: str) -> None:
    case = story.cases[state]
    assert case.server is not None
    record = by_id(place, case.execution)[case.server.id]
    assert (outcome_of(record).outcome, outcome_of(record).error) == ("failed", ABORTED)
    machines = [each for each in place.driver.guests if each.spec.name == plan_of(record).own_machine]
    # Where the start was only noted when the end was said, it's kept as if it had been made.
    assert machines[-1].is_running or state == "cut_over/start"
    left = place.report(run_of(state))["given_back"]["left"]
    assert {"fence", "machine", "disk", "interface"} <= {each["belonging"]["kind"] for each in left}, left
    assert all(each["command"] and each["why"] for each in left)
    assert groups_of(place, case.server) != story.groups[case.server.id]


def test_every_state_that_calls_a_function_has_a_case() -> None:
    assert calling_states() == {state.partition("/")[0] for state in (*OF_THE_IMAGE, *OF_SERVERS)}
