"""What DRS is asked and what its answers mean, by its own model: portions, pages, spans of time, refusals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from failback.clouds.aws.recovery import DrsRecovery
from failback.clouds.aws.recovery_answers import lag_of, moment_of
from failback.model.recovery import INITIATION_STEPS, InitiationStep, RecoveryInstance, ReplicatedDisk, Volume
from localcloud.drs.records import ClientLink, DiskProgress, NewInstance
from localcloud.drs.service import DrsService
from localcloud.drs.settings import DrsSettings
from localcloud.serving import serve_application
from tests.clouds.aws.embedded import Sdk, client_at
from tests.memory.clock import NOON

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ID = "i-0123456789abcdef0"
ARN = f"arn:aws:drs:eu-west-1:123456789012:recovery-instance/{ID}"
SPARSE = {"recoveryInstanceID": ID, "arn": ARN, "sourceServerID": "s-0123456789abcdef0"}
WHOLE = {
    **SPARSE,
    "ec2InstanceID": ID,
    "ec2InstanceState": "STOPPED",
    "isDrill": True,
    "originEnvironment": "AWS",
    "tags": {"a": "b"},
    "recoveryInstanceProperties": {
        "identificationHints": {"fqdn": "web.example.org", "hostname": "web"},
        "os": {"fullString": "Windows Server 2022"},
        "cpus": [{"cores": 2, "modelName": "x"}, {"cores": 4}],
        "ramBytes": 1 << 33,
        "disks": [{"internalDeviceName": "c:0", "bytes": 5, "ebsVolumeID": "vol-0123456789abcdef0"}],
    },
    "failback": {
        "state": "FAILBACK_IN_PROGRESS",
        "failbackClientID": "client",
        "failbackJobID": "drsjob-0123456789abcdef0",
        "failbackToOriginalServer": True,
        "agentLastSeenByServiceDateTime": "2026-11-22T11:58:00Z",
        "failbackClientLastSeenByServiceDateTime": "2026-11-22T11:59:00.123456789Z",
        "firstByteDateTime": "2026-11-22T11:00:00Z",
    },
    "dataReplicationInfo": {
        "lagDuration": "2026-11-22T11:55:00Z",
        "etaDateTime": "2026-11-22T13:00:00Z",
        "dataReplicationState": "STALLED",
        "dataReplicationInitiation": {
            "steps": [{"name": "COMPLETE_VOLUME_MAPPING", "status": "FAILED"}, {"name": "X"}]
        },
        "dataReplicationError": {"error": "NOT_CONVERGING", "rawError": "slow"},
        "replicatedDisks": [
            {"deviceName": "c:0", "totalStorageBytes": 5, "replicatedStorageBytes": 4, "backloggedStorageBytes": 1}
        ],
    },
}


@pytest.fixture
def drs() -> Sdk:
    return client_at("drs", "http://127.0.0.1:9", attempts=1)


@pytest.fixture
def asked(drs: Sdk) -> Iterator[Stubber]:
    with Stubber(drs) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def recovery(drs: Sdk) -> DrsRecovery:
    return DrsRecovery(drs, now=lambda: NOON)


def names(first: int, last: int) -> list[str]:
    return [f"i-{number:017x}" for number in range(first, last)]


def test_every_field_is_read(drs: Sdk, asked: Stubber) -> None:
    asked.add_response("describe_recovery_instances", {"items": [WHOLE]})
    assert recovery(drs).instances([ID]) == {
        ID: RecoveryInstance(
            id=ID,
            arn=ARN,
            source_server="s-0123456789abcdef0",
            ec2_state="STOPPED",
            is_drill=True,
            origin="AWS",
            hostname="web",
            os="Windows Server 2022",
            cpus=6,
            ram_bytes=1 << 33,
            volumes=(Volume(device="c:0", bytes=5, volume="vol-0123456789abcdef0"),),
            tags={"a": "b"},
            failback_state="FAILBACK_IN_PROGRESS",
            client="client",
            client_seen=NOON - timedelta(seconds=60) + timedelta(microseconds=123456),
            agent_seen=NOON - timedelta(minutes=2),
            to_original=True,
            job="drsjob-0123456789abcdef0",
            first_byte=NOON - timedelta(hours=1),
            replication_state="STALLED",
            steps=(
                InitiationStep(name="COMPLETE_VOLUME_MAPPING", status="FAILED"),
                InitiationStep(name="X", status="NOT_STARTED"),
            ),
            error="NOT_CONVERGING",
            raw_error="slow",
            lag=timedelta(minutes=5),
            eta=NOON + timedelta(hours=1),
            disks=(ReplicatedDisk(device="c:0", total=5, replicated=4, backlogged=1),),
        )
    }


def test_what_is_not_said_is_left_at_its_default(drs: Sdk, asked: Stubber) -> None:
    asked.add_response("describe_recovery_instances", {"items": [SPARSE]})
    expected = RecoveryInstance(id=ID, arn=ARN, source_server="s-0123456789abcdef0", ec2_state="")
    assert recovery(drs).instances([ID]) == {ID: expected}


def test_members_without_a_name_fail_no_look_at_all(drs: Sdk, asked: Stubber) -> None:
    nameless = {
        **SPARSE,
        "recoveryInstanceProperties": {"disks": [{"bytes": 5}]},
        "dataReplicationInfo": {"replicatedDisks": [{}], "dataReplicationInitiation": {"steps": [{}]}},
    }
    asked.add_response("describe_recovery_instances", {"items": [nameless]})
    found = DrsRecovery(drs, now=lambda: NOON).instances([ID])[ID]
    assert (found.volumes, found.disks) == ((Volume(device="", bytes=5),), (ReplicatedDisk(device="", total=0),))
    assert found.steps == (InitiationStep(name="", status="NOT_STARTED"),)


def test_two_hundred_are_asked_for_at_a_time_and_every_page_is_read(drs: Sdk, asked: Stubber) -> None:
    first, second = names(0, 200), names(200, 201)
    page = {"filters": {"recoveryInstanceIDs": first}, "maxResults": 200}
    half = [{**SPARSE, "recoveryInstanceID": name} for name in first]
    asked.add_response("describe_recovery_instances", {"items": half[:150], "nextToken": "t"}, page)
    asked.add_response("describe_recovery_instances", {"items": half[150:]}, {**page, "nextToken": "t"})
    asked.add_response(
        "describe_recovery_instances",
        {"items": [{**SPARSE, "recoveryInstanceID": second[0]}]},
        {"filters": {"recoveryInstanceIDs": second}, "maxResults": 200},
    )
    assert list(recovery(drs).instances([*first, *second, first[0]])) == [*first, *second]


def test_source_servers_are_asked_for_by_their_ids(drs: Sdk, asked: Stubber) -> None:
    item = {
        "sourceServerID": "s-0123456789abcdef0",
        "sourceProperties": {"architecture": "arm64", "identificationHints": {"fqdn": "web.example.org"}},
    }
    given = {"filters": {"sourceServerIDs": ["s-0123456789abcdef0"]}, "maxResults": 200}
    asked.add_response("describe_source_servers", {"items": [item]}, given)
    (found,) = recovery(drs).sources(["s-0123456789abcdef0"]).values()
    assert (found.architecture, found.hostname) == ("arm64", "web.example.org")


@pytest.mark.parametrize(
    ("text", "lag"),
    [
        pytest.param(None, None, id="nothing"),
        pytest.param("", None, id="empty"),
        pytest.param("PT5M", timedelta(minutes=5), id="duration"),
        pytest.param("P1DT2H0.5S", timedelta(days=1, hours=2, seconds=0.5), id="long-duration"),
        pytest.param("-PT5M", timedelta(0), id="negative-duration"),
        pytest.param("2026-11-22T11:59:30Z", timedelta(seconds=30), id="moment"),
        pytest.param("2026-11-22T11:59:30", timedelta(seconds=30), id="moment-without-zone"),
        pytest.param("2026-11-22T12:00:30Z", timedelta(0), id="moment-to-come"),
        pytest.param("soon", None, id="neither"),
    ],
)
def test_a_lag_is_read_in_both_forms(text: str | None, lag: timedelta | None) -> None:
    assert lag_of(text, now=NOON) == lag


def test_a_moment_that_is_none_is_none() -> None:
    assert moment_of("2026-11-22T12:00:00Z") == datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert moment_of("never") is None


def test_a_protocol_is_set_only_where_it_is_known(drs: Sdk, asked: Stubber) -> None:
    given = {"recoveryInstanceID": ID, "name": "web", "bandwidthThrottling": 7, "usePrivateIP": True}
    for protocol in ({}, {"internetProtocol": "IPV6"}):
        asked.add_response("get_failback_replication_configuration", {**given, **protocol}, {"recoveryInstanceID": ID})
        asked.add_response("update_failback_replication_configuration", {}, {**given, **protocol})
        recovery(drs).configure(ID, recovery(drs).configuration(ID))


@pytest.mark.parametrize("code", ["ConflictException", "ValidationException", "ResourceNotFoundException"])
@pytest.mark.parametrize(
    ("items", "fine"),
    [
        pytest.param([], True, id="not-there"),
        pytest.param([{**SPARSE, "failback": {"state": "FAILBACK_NOT_STARTED"}}], True, id="not-started"),
        pytest.param([{**SPARSE, "failback": {"state": "FAILBACK_IN_PROGRESS"}}], False, id="under-way"),
    ],
)
def test_a_refused_stop_is_fine_where_nothing_is_under_way(
    drs: Sdk, asked: Stubber, *, code: str, items: list[Sdk], fine: bool
) -> None:
    asked.add_client_error("stop_failback", code, expected_params={"recoveryInstanceID": ID})
    asked.add_response("describe_recovery_instances", {"items": items})
    if fine:
        recovery(drs).stop(ID)
        return
    with pytest.raises(ClientError, match=code):
        recovery(drs).stop(ID)


def test_a_right_that_is_lacking_is_told(drs: Sdk, asked: Stubber) -> None:
    asked.add_client_error("stop_failback", "AccessDeniedException", http_status_code=403)
    with pytest.raises(ClientError, match="AccessDenied"):
        recovery(drs).stop(ID)


def test_no_tags_are_no_call(drs: Sdk, asked: Stubber) -> None:
    recovery(drs).mark(ARN, {})
    recovery(drs).unmark(ARN, [])
    asked.add_response("tag_resource", {}, {"resourceArn": ARN, "tags": {"a": "b"}})
    asked.add_response("untag_resource", {}, {"resourceArn": ARN, "tagKeys": ["a"]})
    recovery(drs).mark(ARN, {"a": "b"})
    recovery(drs).unmark(ARN, ["a"])


@pytest.mark.parametrize("form", ["datetime", "iso8601"])
def test_the_emulated_drs_is_understood_in_both_forms(
    form: Literal["datetime", "iso8601"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto import mock_aws

    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    settings = DrsSettings(clock=lambda: NOON, durations=form)
    drs = DrsService(tmp_path, region="eu-west-1", settings=settings)
    with mock_aws(), serve_application(drs) as url:
        made = drs.world.add_recovery_instance(NewInstance({"/dev/xvda": 1 << 20}))
        made.link = ClientLink("c" * 32, original=True, started=NOON, seen=NOON, local={"/dev/sda": 1 << 20})
        made.link.first_byte = NOON - timedelta(minutes=10)
        made.link.disks["/dev/xvda"] = DiskProgress(1 << 20, replicated=1 << 19)
        adapter = DrsRecovery(client_at("drs", url), now=lambda: NOON)
        found = adapter.instances([made.id])[made.id]
        assert (found.client, found.to_original, found.lag) == ("c" * 32, True, timedelta(minutes=10))
        assert found.eta == NOON + timedelta(minutes=10)
        assert found.disks == (ReplicatedDisk(device="/dev/xvda", total=1 << 20, replicated=1 << 19),)
        assert tuple(step.name for step in found.steps) == INITIATION_STEPS
