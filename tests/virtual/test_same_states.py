"""Our interpreter goes through the states that the embedded Step Functions goes through, for the same servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from localcloud.drs.plans import REPORTED_STEPS, ClientPlan
from localcloud.moto_seams.map_runs import child_histories
from tests.client_iso import ClientIso
from tests.localcloud.runs.place import open_place
from tests.localcloud.runs.servers import UNATTENDED, failed_over
from tests.virtual.world import open_world

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.localcloud.runs.place import Place

Json = Any


def request(place: Place) -> Json:
    """One that comes home, one whose launch fails and that's given back."""
    servers = [failed_over(place, "good"), failed_over(place, "bad")]
    place.clouds.drs.plan(servers[1].id, ClientPlan(fail_step={REPORTED_STEPS[0]: "no such agent"}))
    asked = [{"recovery_instance": each.id} for each in servers]
    return {"goal": "failback", "target": "azure-home", "servers": asked, "cutover": UNATTENDED}


def once(states: Sequence[str]) -> list[str]:
    """Without repetitions: how often a stage is called depends on how long things take."""
    shown: list[str] = []
    for each in states:
        if each.endswith("_waits"):
            continue
        if each in shown[-2:]:
            del shown[shown.index(each, len(shown) - 2) :]
        shown.append(each)
    return shown


@pytest.mark.timeout(480)
def test_the_same_states_in_the_same_order(tmp_path: Path) -> None:
    iso = ClientIso().write(tmp_path)
    with open_place(tmp_path / "place", iso) as place:
        assert place.run("prepared")["status"] == "SUCCEEDED"
        execution = place.start("compared", **request(place))
        engine = place.finish_watched(execution)
        children = [
            [each["stateEnteredEventDetails"]["name"] for each in events if "stateEnteredEventDetails" in each]
            for events in child_histories(execution)
        ]
        pages = place.clouds.client("stepfunctions").get_paginator("get_execution_history")
        told = [each for page in pages.paginate(executionArn=execution) for each in page["events"]]
        parent = [each["stateEnteredEventDetails"]["name"] for each in told if "stateEnteredEventDetails" in each]
    with open_world(tmp_path / "world", iso) as world:
        assert world.finish(world.start("prepared", {"goal": "prepare", "target": "azure-home"})).failure is None
        history = world.finish(world.start("compared", request(world.place)))
    assert engine["status"] == "FAILED"
    assert history.failure is not None
    assert history.failure.error == engine["error"]
    assert [once(each.states) for each in history.children] == [once(each) for each in children]
    assert {"close_server", "give_back_server"} <= {state for each in children for state in each}
    assert [each for each in once(history.states) if each != "waves"] == [
        each for each in once(parent) if each != "waves"
    ]
