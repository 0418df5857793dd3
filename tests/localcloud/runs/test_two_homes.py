"""One run with servers for both homes: a part for each, one approval, waves across them, one report; stopped as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from localcloud.embedded.synthesis import GOOGLE_TARGET, TARGET
from tests.client_iso import ClientIso
from tests.localcloud.runs.google_place import google_place
from tests.localcloud.runs.servers import (
    ATTENDED,
    by_id,
    check_disks,
    decide,
    failed_over,
    history_of,
    outcome_of,
    plan_of,
    wait_for,
    waiting_for,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.drs.records import RecoveryInstance
    from tests.localcloud.runs.place import Place

pytestmark = pytest.mark.timeout(480)
RUN, STOPPED = "both", "stopped"
Json = Any


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    iso = ClientIso().write(tmp_path_factory.mktemp("iso"))
    with google_place(tmp_path_factory.mktemp("place"), iso) as opened:
        yield opened


@pytest.fixture(scope="module")
def servers(place: Place) -> dict[str, RecoveryInstance]:
    """By where they go: in the first wave there's one for each home, in the second one for Azure."""
    return {name: failed_over(place, name) for name in ("google-data", "azure-data", "azure-web")}


def asked(servers: dict[str, RecoveryInstance]) -> list[Json]:
    return [
        {
            "recovery_instance": each.id,
            "wave": name.partition("-")[2],
            **({"target": TARGET} if name.startswith("azure") else {}),
        }
        for name, each in servers.items()
    ]


@pytest.fixture(scope="module")
def execution(place: Place, servers: dict[str, RecoveryInstance]) -> str:
    """All of it by the run's own name; the one at Google is accepted last, and the second wave waits for it."""
    cutover = {**ATTENDED, "launch": {"per": "run"}}
    began = place.start(RUN, goal="failback", target=GOOGLE_TARGET, servers=asked(servers), cutover=cutover)
    first = [servers["google-data"], servers["azure-data"]]
    wait_for(place, began, "approval", first)
    decide(place, RUN, "approval", "approve", why="for both homes")
    wait_for(place, began, "commit", first)
    decide(place, RUN, "commit", "accept", servers["azure-data"])
    place.wait_until(lambda: _is_home(place, began, servers["azure-data"]), "the first one to be home")
    place.wait_until(lambda: "data comes first" in _note_of_wave(place, f"{RUN}.{TARGET}"), "the second wave to wait")
    assert servers["azure-web"].id not in {
        each for kind in ("replication", "approval") for each in waiting_for(place, kind)
    }
    decide(place, RUN, "commit", "accept", servers["google-data"])
    wait_for(place, began, "commit", [servers["azure-web"]])
    decide(place, RUN, "commit", "accept", servers["azure-web"])
    told = place.finish_watched(began)
    assert told["status"] == "SUCCEEDED", (told, place.history(began))
    return began


def _is_home(place: Place, execution: str, server: RecoveryInstance) -> bool:
    outcome = by_id(place, execution)[server.id].record.outcome
    return outcome is not None and outcome.outcome == "home"


def _note_of_wave(place: Place, part: str) -> str:
    history = history_of(place, f"execution:{part}")
    notes = (entry.progress.note for entry in history.stages if entry.stage == "begin_wave" and entry.progress)
    return next(notes, "")


def test_all_are_home_each_at_its_own(place: Place, servers: dict[str, RecoveryInstance], execution: str) -> None:
    found = by_id(place, execution)
    for each in servers.values():
        assert outcome_of(found[each.id]).outcome == "home"
        check_disks(place, each, plan_of(found[each.id]))
    at_google = {path.rpartition("/")[2] for path in place.clouds.google.listing() if "/instances/" in path}
    at_azure = {
        each["name"] for each in place.clouds.azure.listing().values() if each["type"].endswith("/virtualMachines")
    }
    assert plan_of(found[servers["google-data"].id]).own_machine in at_google
    assert {plan_of(found[servers[name].id]).own_machine for name in ("azure-data", "azure-web")} <= at_azure


def test_the_run_and_its_parts_have_one_report(
    place: Place, servers: dict[str, RecoveryInstance], execution: str
) -> None:
    history = history_of(place, execution)
    assert [part.record.run for part in history.parts] == [f"{RUN}.{GOOGLE_TARGET}", f"{RUN}.{TARGET}"]
    assert [part.record.status for part in history.parts] == ["done", "done"]
    assert [entry.stage for entry in history.stages] == ["write_report"]
    report = place.report(RUN)
    assert {each["record"]["id"] for each in report["servers"]} == {each.id for each in servers.values()}
    assert report["outcome"]["outcome"] == "done"
    assert place.listing()["leases"] == {}


def test_a_run_that_is_ended_from_outside_takes_its_parts_with_it(place: Place, execution: str) -> None:
    assert execution
    servers = {name: failed_over(place, name) for name in ("google-later", "azure-later")}
    before = place.listing()
    began = place.start(STOPPED, goal="failback", target=GOOGLE_TARGET, servers=asked(servers), cutover=dict(ATTENDED))
    wait_for(place, began, "approval", list(servers.values()))
    states = place.clouds.client("stepfunctions")
    states.stop_execution(executionArn=began, cause="by hand")
    names = [STOPPED, *(f"{STOPPED}.{target}" for target in (GOOGLE_TARGET, TARGET))]
    arns = [began.replace(f":{STOPPED}", f":clean-up-{name}") for name in names]

    def cleaned() -> bool:
        place.wake()
        return all(_status(states, arn) == "SUCCEEDED" for arn in arns)

    place.wait_until(cleaned, "all of them to be cleaned up after")
    for name in names:
        assert _status(states, began.replace(f":{STOPPED}", f":{name}")) == "ABORTED"
        assert place.report(name)["outcome"]["error"] == "Aborted"
    after = place.listing()
    for part in ("azure", "google", "recovery", "security_groups", "leases"):
        if part in before:
            assert after[part] == before[part], part


def _status(states: Json, arn: str) -> str:
    try:
        return str(states.describe_execution(executionArn=arn)["status"])
    except states.exceptions.ExecutionDoesNotExist:
        return "not begun"
