"""Launches: their jobs, logs, quotas and events, and both ways of each oddity."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from localcloud.drs.plans import ClientPlan
from tests.localcloud.drs.place import Place, Sdk, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.drs.records import RecoveryInstance
    from tests.localcloud.drs.place import Machine

pytestmark = pytest.mark.embedded
READY = ("FAILBACK_READY_FOR_LAUNCH", "CONTINUOUS")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    quotas = {"concurrent_jobs": 3, "servers_per_job": 3, "servers_in_jobs": 4}
    oddities = {"launch_status": "absent", "durations": "iso8601", "event_ids": "i"}
    with running(tmp_path_factory.mktemp("launching"), **oddities, **quotas) as place:
        place.listen_to_events()
        yield place


def ready(place: Place, **plan: str) -> tuple[RecoveryInstance, Machine]:
    instance = place.add()
    place.open_port(instance)
    machine = place.machine(instance).start()
    place.await_state(instance, *READY)
    place.clouds.drs.plan(instance.id, ClientPlan(**plan))  # type: ignore[arg-type]
    return instance, machine


def code(place: Place, *instances: RecoveryInstance) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        place.drs.start_failback_launch(recoveryInstanceIDs=[each.id for each in instances])
    answer: Sdk = caught.value.response
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    return status, answer["Error"]["Code"], answer.get("quotaCode", "")


def test_a_job_that_is_done_may_leave_its_servers_pending(place: Place) -> None:
    (one, first), (two, second) = ready(place), ready(place)
    place.events()
    job = place.drs.start_failback_launch(recoveryInstanceIDs=[one.id, two.id], tags={"run": "r"})["job"]
    assert (job["type"], job["initiatedBy"], job["status"]) == ("LAUNCH", "FAILBACK", "PENDING")
    assert job["tags"] == {"run": "r"}
    assert first.end().launched
    assert second.end().launched
    (done,) = place.drs.describe_jobs(filters={"jobIDs": [job["jobID"]]})["items"]
    assert done["status"] == "COMPLETED"
    assert [server["launchStatus"] for server in done["participatingServers"]] == ["PENDING", "PENDING"]
    events = [each["event"] for each in place.drs.describe_job_log_items(jobID=job["jobID"])["items"]]
    assert (events[0], events[-1]) == ("JOB_START", "JOB_END")
    assert sorted(events[1:-1]) == sorted(["CONVERSION_START", "CONVERSION_END", "LAUNCH_START"] * 2)
    assert sorted(place.events()) == sorted(("FAILBACK_COMPLETED", each.arn) for each in (one, two))


def test_a_launch_that_fails_is_told_by_its_server_and_an_event(place: Place) -> None:
    instance, machine = ready(place, launch_error="conversion broke")
    place.events()
    job = place.drs.start_failback_launch(recoveryInstanceIDs=[instance.id])["job"]["jobID"]
    (done,) = place.drs.describe_jobs(filters={"jobIDs": [job]})["items"]
    assert (done["status"], done["participatingServers"][0]["launchStatus"]) == ("COMPLETED", "FAILED")
    log = place.drs.describe_job_log_items(jobID=job)["items"]
    assert [each["eventData"]["rawError"] for each in log if each["event"] == "LAUNCH_FAILED"] == ["conversion broke"]
    assert place.state(instance) == ("FAILBACK_ERROR", "STOPPED")
    assert place.events() == [("FAILBACK_ERROR", instance.arn)]
    assert machine.stop().launched is False


def test_events_tell_the_start_but_not_that_its_ready(place: Place) -> None:
    place.events()
    instance, machine = ready(place)
    assert place.events() == [("FAILBACK_IN_PROGRESS", instance.arn)]
    machine.stop()


def test_only_what_is_ready_can_be_launched(place: Place) -> None:
    instance = place.add()
    assert code(place, instance)[:2] == (409, "ConflictException")
    assert code(place, instance, instance)[:2] == (400, "ValidationException")


def test_quotas_are_refused_with_402(place: Place) -> None:
    found = [ready(place) for _ in range(5)]
    instances = [instance for instance, _ in found]
    for _, machine in found:
        machine.stop()
    assert code(place, *instances[:4]) == (402, "ServiceQuotaExceededException", "L-B827C881")
    job = place.drs.start_failback_launch(recoveryInstanceIDs=[each.id for each in instances[:3]])["job"]["jobID"]
    assert code(place, instances[0]) == (402, "ServiceQuotaExceededException", "L-DD6D028C")
    assert code(place, *instances[3:]) == (402, "ServiceQuotaExceededException", "L-05AFA8C6")
    assert [item["status"] for item in place.drs.describe_jobs(filters={"jobIDs": [job]})["items"]] == ["PENDING"]
    for each in instances[:3]:
        place.drs.stop_failback(recoveryInstanceID=each.id)
    (stopped,) = place.drs.describe_jobs(filters={"jobIDs": [job]})["items"]
    assert stopped["status"] == "COMPLETED"
    assert {server["launchStatus"] for server in stopped["participatingServers"]} == {"FAILED"}
    started = [ready(place) for _ in range(4)]
    for instance, machine in started[:3]:
        machine.stop()
        place.drs.start_failback_launch(recoveryInstanceIDs=[instance.id])
    assert code(place, started[3][0]) == (402, "ServiceQuotaExceededException", "L-D88FAC3A")
    for instance, machine in started:
        place.drs.stop_failback(recoveryInstanceID=instance.id)
        machine.stop()


def test_lags_may_be_durations(place: Place) -> None:
    instance, machine = ready(place)
    told = place.described(instance)
    assert told["dataReplicationInfo"]["lagDuration"] == "PT0S"
    assert re.fullmatch(r"PT\d+S", told["failback"]["elapsedReplicationDuration"])
    machine.stop()
