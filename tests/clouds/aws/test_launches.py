"""What the adapter of DRS's launches asks, and what it makes of answers that the emulator doesn't give."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from failback.clouds.aws.launches import DrsLaunches
from failback.clouds.aws.refusals import translate
from failback.errors import CloudBusy, CloudRefused, LaunchConflict
from tests.clouds.aws.embedded import client_at
from tests.memory.clock import NOON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clouds.aws.embedded import Sdk

ID = "i-0123456789abcdef0"
JOB = "drsjob-0123456789abcdef0"
STARTED = {"recoveryInstanceIDs": [ID], "tags": {"a": "b"}}


@pytest.fixture
def drs() -> Sdk:
    return client_at("drs", "http://127.0.0.1:9", attempts=1)


@pytest.fixture
def asked(drs: Sdk) -> Iterator[Stubber]:
    with Stubber(drs) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "status", "more", "expected"),
    [
        ("ConflictException", 409, {}, LaunchConflict),
        ("ValidationException", 400, {}, LaunchConflict),
        ("ResourceNotFoundException", 404, {}, LaunchConflict),
        ("ServiceQuotaExceededException", 402, {"quotaCode": "L-DD6D028C"}, LaunchConflict),
        ("ServiceQuotaExceededException", 402, {"quotaCode": "L-B827C881"}, LaunchConflict),
        ("ServiceQuotaExceededException", 402, {"quotaCode": "L-05AFA8C6"}, CloudBusy),
        ("ServiceQuotaExceededException", 402, {"quotaCode": "L-D88FAC3A"}, CloudBusy),
        ("ServiceQuotaExceededException", 402, {}, CloudBusy),
        ("SomethingNew", 402, {}, CloudBusy),
    ],
    ids=["conflict", "validation", "missing", "one-job", "per-job", "in-all", "jobs", "untold-quota", "new-word"],
)
def test_a_refused_launch_is_told_by_what_helps(
    drs: Sdk, asked: Stubber, *, code: str, status: int, more: dict[str, str], expected: type[Exception]
) -> None:
    asked.add_client_error(
        "start_failback_launch", code, "no", status, expected_params=STARTED, modeled_fields=_modelled(code, more)
    )
    with pytest.raises(expected, match=rf"StartFailbackLaunch: no \({code}\)"):
        DrsLaunches(drs).start([ID], tags={"a": "b"})


def _modelled(code: str, more: dict[str, str]) -> dict[str, str] | None:
    if not more:
        return None
    needed = {"message": "no", "resourceId": ID, "resourceType": "RecoveryInstance", "serviceCode": "drs"}
    return {**needed, **more} if code == "ServiceQuotaExceededException" else more


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [("ThrottlingException", 429, CloudBusy), ("AccessDeniedException", 403, CloudRefused)],
    ids=["throttled", "denied"],
)
def test_other_errors_are_left_to_the_vocabulary(
    drs: Sdk, asked: Stubber, *, code: str, status: int, expected: type[Exception]
) -> None:
    asked.add_client_error("start_failback_launch", code, "no", status)
    with pytest.raises(ClientError) as caught:
        DrsLaunches(drs).start([ID], tags={})
    assert isinstance(translate(caught.value), expected)


def test_jobs_are_looked_through_page_by_page_from_a_moment_on(drs: Sdk, asked: Stubber) -> None:
    filters = {"filters": {"fromDate": "2026-11-22T11:55:00Z"}}
    other = {"jobID": "drsjob-00000000000000001"}
    asked.add_response("describe_jobs", {"items": [other], "nextToken": "t"}, filters)
    asked.add_response(
        "describe_jobs", {"items": [{"jobID": JOB, "tags": {"a": "b", "c": "d"}}]}, {**filters, "nextToken": "t"}
    )
    assert DrsLaunches(drs).find({"a": "b"}, since=NOON - timedelta(minutes=5)) == JOB


def test_a_thousand_jobs_are_asked_for_at_a_time(drs: Sdk, asked: Stubber) -> None:
    names = [f"drsjob-{number:017}" for number in range(1001)]
    for some in (names[:1000], names[1000:]):
        asked.add_response("describe_jobs", {"items": [{"jobID": some[0]}]}, {"filters": {"jobIDs": some}})
    found = DrsLaunches(drs).jobs([*names, names[0]])
    assert {name: (job.status, job.servers) for name, job in found.items()} == {
        names[0]: ("", {}),
        names[1000]: ("", {}),
    }


def test_servers_without_a_recovery_instance_are_none_of_ours(drs: Sdk, asked: Stubber) -> None:
    servers = [{"sourceServerID": "s-0123456789abcdef0"}, {"recoveryInstanceID": ID, "launchStatus": "LAUNCHED"}]
    asked.add_response(
        "describe_jobs", {"items": [{"jobID": JOB, "status": "COMPLETED", "participatingServers": servers}]}
    )
    assert DrsLaunches(drs).jobs([JOB])[JOB].servers == {ID: "LAUNCHED"}


def test_a_log_is_told_oldest_first_in_short_lines(drs: Sdk, asked: Stubber) -> None:
    newest = {"logDateTime": "2026-11-22T12:00:02Z", "event": "JOB_END"}
    failed = {
        "logDateTime": "2026-11-22T12:00:01Z",
        "event": "LAUNCH_FAILED",
        "eventData": {"sourceServerID": "s-0123456789abcdef0", "rawError": "no\n  boot loader"},
    }
    asked.add_response("describe_job_log_items", {"items": [newest], "nextToken": "t"}, {"jobID": JOB})
    asked.add_response("describe_job_log_items", {"items": [failed, {}]}, {"jobID": JOB, "nextToken": "t"})
    assert DrsLaunches(drs).log(JOB) == [
        "",
        "2026-11-22T12:00:01Z LAUNCH_FAILED s-0123456789abcdef0: no boot loader",
        "2026-11-22T12:00:02Z JOB_END",
    ]
