"""Waves and rehearsals: who goes home after whom, and who comes up at home only to be removed again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from failback.model.recovery import INITIATION_STEPS
from localcloud.drs.plans import ClientPlan
from tests.localcloud.runs.ends import check_all_as_before, failure_of, given_back, prepare
from tests.localcloud.runs.servers import ATTENDED, UNATTENDED, by_id, decide, failed_over, outcome_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from failback.model.record import ServerHistory
    from localcloud.drs.records import RecoveryInstance
    from tests.localcloud.runs.place import Place

pytestmark = pytest.mark.timeout(300)
Json = Any
FAILS = ClientPlan(fail_step={INITIATION_STEPS[-1]: "said by DRS"})
SIGN = "login:"


@pytest.fixture(scope="module", autouse=True)
def _prepared(place: Place) -> None:
    prepare(place)


def start(place: Place, run: str, waves: Mapping[str, list[RecoveryInstance]], **choices: Json) -> str:
    """Start a run of these waves, in this order; `on_failure` are theirs, `cutover` is the run's."""
    asked = [{"recovery_instance": each.id, "wave": wave} for wave, some in waves.items() for each in some]
    policies = choices.get("on_failure", {})
    return place.start(
        run,
        goal="failback",
        target="azure-home",
        servers=asked,
        waves=[{"name": wave, "on_failure": policies.get(wave, "stop")} for wave in waves],
        cutover=choices.get("cutover", UNATTENDED),
    )


def began(record: ServerHistory) -> datetime:
    return min(each.began for each in record.stages)


def ended(record: ServerHistory) -> datetime:
    return max(each.updated for each in record.stages)


def test_a_wave_begins_when_the_one_before_is_home_and_is_approved_as_one(place: Place) -> None:
    waves = {
        "databases": [failed_over(place, "database")],
        "fronts": [failed_over(place, "front-1"), failed_over(place, "front-2")],
    }
    cutover = {**UNATTENDED, "launch": {"mode": "approve", "per": "wave"}}
    execution = start(place, "in-waves", waves, cutover=cutover)
    for wave, servers in waves.items():
        wait_for(place, execution, "approval", servers)
        decide(place, "in-waves", "approval", "approve", wave=wave)
    told = place.finish_watched(execution)
    assert told["status"] == "SUCCEEDED", told
    records = by_id(place, execution)
    first, *others = (records[each.id] for servers in waves.values() for each in servers)
    assert {outcome_of(each).outcome for each in (first, *others)} == {"home"}
    assert all(ended(first) <= began(each) for each in others)
    # They were approved by one word, and one job launched them.
    history = place.report("in-waves")["history"]
    assert [each["scope"] for each in history["decisions"]] == ["wave:databases", "wave:fronts"]
    assert place.listing()["leases"] == {}


def test_one_that_fails_stops_no_other_of_its_wave_but_the_next_wave(place: Place) -> None:
    bad, good, later = (failed_over(place, name) for name in ("bad", "good", "later"))
    place.clouds.drs.plan(bad.id, FAILS)
    before = place.listing()
    execution = start(place, "stops", {"one": [bad, good], "two": [later]})
    told = place.finish_watched(execution)
    assert (told["status"], told["error"]) == ("FAILED", "ServersFailed")
    records = by_id(place, execution)
    assert failure_of(records[bad.id]) == ("register_client", "RegistrationFailed")
    assert outcome_of(records[good.id]).outcome == "home"
    skipped = outcome_of(records[later.id])
    assert (skipped.outcome, skipped.stage) == ("skipped", "begin_wave")
    assert bad.id in skipped.cause
    assert records[later.id].stages == ()
    after = place.listing()
    assert after["leases"] == {}
    check_all_as_before(before, after, good)


def test_a_wave_that_may_go_on_is_followed_by_the_next_whatever_failed(place: Place) -> None:
    bad, later = failed_over(place, "worse"), failed_over(place, "later-still")
    place.clouds.drs.plan(bad.id, FAILS)
    before = place.listing()
    execution = start(place, "goes-on", {"one": [bad], "two": [later]}, on_failure={"one": "continue"})
    told = place.finish_watched(execution)
    assert (told["status"], told["error"]) == ("FAILED", "ServersFailed")
    records = by_id(place, execution)
    assert failure_of(records[bad.id]) == ("register_client", "RegistrationFailed")
    assert outcome_of(records[later.id]).outcome == "home"
    assert began(records[later.id]) >= ended(records[bad.id])
    check_all_as_before(before, place.listing(), later)


def test_a_run_that_is_stopped_begins_no_other_wave(place: Place) -> None:
    waits, later = failed_over(place, "waits"), failed_over(place, "never")
    before = place.listing()
    execution = start(
        place, "stopped", {"one": [waits], "two": [later]}, cutover=ATTENDED, on_failure={"one": "continue"}
    )
    wait_for(place, execution, "approval", [waits])
    decide(place, "stopped", "stop", "stop")
    place.finish_watched(execution)
    records = by_id(place, execution)
    assert failure_of(records[waits.id]) == ("await_approval", "Stopped")
    assert outcome_of(records[later.id]).outcome == "skipped"
    check_all_as_before(before, place.listing())


def test_a_rehearsal_shows_that_a_server_comes_up_and_removes_all_of_it(place: Place) -> None:
    """A drill instance: nobody has to be asked, and nothing of it serves."""
    servers = [
        failed_over(place, "drill", is_drill=True, devices=("/dev/sda", "/dev/sdb")),
        failed_over(place, "drill-uefi", is_drill=True, boot_mode="uefi"),
    ]
    before = place.listing()
    execution = place.start(
        "rehearsal",
        goal="rehearse",
        target="azure-home",
        servers=[{"recovery_instance": each.id} for each in servers],
        cutover={"launch": {"mode": "automatic"}, "verify": {"serial": SIGN, "agent": False}},
    )
    told = place.finish_watched(execution)
    assert told["status"] == "SUCCEEDED", (told, place.history(execution))
    records, report = by_id(place, execution), place.report("rehearsal")
    for server in servers:
        record = records[server.id]
        assert outcome_of(record).outcome == "rehearsed"
        assert record.record.milestones.started is not None
        assert given_back(record)["left"] == []
        machine = [each for each in place.driver.guests if each.spec.name == server.made_of.name]
        assert not any(each.is_running for each in machine)
        (told_of,) = (each for each in report["servers"] if each["record"]["id"] == server.id)
        assert told_of["record"]["outcome"]["outcome"] == "rehearsed"
        (proof,) = (each["facts"] for each in told_of["stages"] if each["stage"] == "verify_server")
        assert (proof["verified"], proof["signal"]) == (True, "serial")
        assert SIGN in proof["console"]
    after = place.listing()
    assert after["leases"] == {}
    check_all_as_before(before, after)


def test_a_server_that_serves_is_not_rehearsed_with(place: Place) -> None:
    server = failed_over(place, "serves")
    before = place.listing()
    told = place.run("no-rehearsal", goal="rehearse", target="azure-home", servers=[{"recovery_instance": server.id}])
    assert told["status"] == "FAILED"
    assert "drill" in told["cause"]
    assert place.listing() == before
