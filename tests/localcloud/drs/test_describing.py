"""DRS's public operations by boto3: what they tell is the model's, what they refuse is refused as the model says."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from localcloud.drs.ec2_side import PROFILE
from localcloud.drs.records import ClientLink, NewInstance
from localcloud.embedded.listing import listing
from localcloud.faults import Call, Deny, FaultPlan, FaultRule, Throttle
from tests.localcloud.drs.place import MIB, Place, Sdk, running

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.embedded
UNKNOWN = "i-0123456789abcdef0"
NOT_EMULATED = ("CreateSourceNetwork", "DescribeSourceNetworks", "ReverseReplication", "InitializeService")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running(tmp_path_factory.mktemp("describing")) as place:
        yield place


def raw(
    place: Place, path: str, body: bytes = b"{}", method: str = "POST", *, signed: bool = True
) -> requests.Response:
    request = AWSRequest(method, place.clouds.aws.url + path, data=body)
    if signed:
        SigV4Auth(Credentials("local", "local"), "drs", "us-east-1").add_auth(request)
    return requests.request(method, place.clouds.aws.url + path, data=body, headers=dict(request.headers), timeout=10)


def refusal(call: Sdk, **values: Sdk) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call(**values)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_a_recovery_instance_is_told_with_all_thats_known_of_it(place: Place) -> None:
    instance = place.add(
        3 * MIB, MIB, name="shop", tags={"env": "prod"}, is_drill=True, os="Windows Server 2022", cores=8, origin="AWS",
        vmware_uuid="564d5a9b-0000-4000-8000-000000000001",
    )  # fmt: skip
    told = place.described(instance)
    assert (told["recoveryInstanceID"], told["ec2InstanceID"]) == (instance.id, instance.id)
    assert told["arn"] == f"arn:aws:drs:us-east-1:123456789012:recovery-instance/{instance.id}"
    assert (told["ec2InstanceState"], told["isDrill"], told["originEnvironment"]) == ("RUNNING", True, "AWS")
    assert told["tags"] == {"env": "prod"}
    assert told["dataReplicationInfo"] == {"dataReplicationState": "NOT_STARTED"}
    properties = told["recoveryInstanceProperties"]
    disks = [(disk["internalDeviceName"], disk["bytes"]) for disk in properties["disks"]]
    assert disks == [("/dev/xvda", 3 * MIB), ("/dev/nvme1n1", MIB)]
    assert properties["os"]["fullString"] == "Windows Server 2022"
    assert properties["identificationHints"]["awsInstanceID"] == instance.id
    assert properties["networkInterfaces"][0]["ips"] == [instance.private_address]
    volumes = place.ec2.describe_volumes(VolumeIds=[disk["ebsVolumeID"] for disk in properties["disks"]])["Volumes"]
    assert {volume["Attachments"][0]["InstanceId"] for volume in volumes} == {instance.id}


@pytest.mark.parametrize("mode", ["legacy-bios", "uefi"])
def test_ec2_knows_it_with_its_boot_mode_and_profile(place: Place, mode: str) -> None:
    instance = place.add(boot_mode=mode, private_address=f"169.254.64.{'77' if mode == 'uefi' else '78'}")
    (told,) = place.ec2.describe_instances(InstanceIds=[instance.id])["Reservations"][0]["Instances"]
    assert (told["BootMode"], told["CurrentInstanceBootMode"]) == (mode, mode)
    assert told["PrivateIpAddress"] == instance.private_address
    assert told["IamInstanceProfile"]["Arn"].endswith(f"/{PROFILE}")
    assert [group["GroupId"] for group in told["SecurityGroups"]] == [instance.security_group]
    assert "PublicIpAddress" not in told
    profile = place.clouds.client("iam").get_instance_profile(InstanceProfileName=PROFILE)["InstanceProfile"]
    assert [role["RoleName"] for role in profile["Roles"]] == [PROFILE]


def test_its_state_is_ec2s(place: Place) -> None:
    instance = place.add()
    place.ec2.stop_instances(InstanceIds=[instance.id])
    assert place.described(instance)["ec2InstanceState"] == "STOPPED"
    place.ec2.terminate_instances(InstanceIds=[instance.id])
    assert place.described(instance)["ec2InstanceState"] == "TERMINATED"


def test_its_source_server_and_the_job_that_made_it_are_told_too(place: Place) -> None:
    instance = place.add(boot_mode="uefi", source_tags={"owner": "shop"})
    filters = {"sourceServerIDs": [instance.source]}
    (source,) = place.drs.describe_source_servers(filters=filters)["items"]
    assert source["recoveryInstanceId"] == instance.id
    assert source["tags"] == {"Name": "server", "owner": "shop"}
    assert source["sourceProperties"]["architecture"] == "x86_64"
    (by_source,) = place.drs.describe_recovery_instances(filters=filters)["items"]
    assert by_source["recoveryInstanceID"] == instance.id
    job = by_source["jobID"]
    (told,) = place.drs.describe_jobs(filters={"jobIDs": [job]})["items"]
    assert (told["status"], told["initiatedBy"]) == ("COMPLETED", "START_RECOVERY")
    log = place.drs.describe_job_log_items(jobID=job)["items"]
    (properties,) = (each["eventData"]["conversionProperties"] for each in log if each["event"] == "CONVERSION_END")
    assert properties["forceUefi"] is True
    (by_hardware,) = place.drs.describe_source_servers(filters={"hardwareId": instance.mac_address})["items"]
    assert by_hardware["sourceServerID"] == instance.source


@pytest.mark.parametrize(
    ("original", "outcome", "state"),
    [(True, "", "DISCONNECTED"), (True, "failed", "DISCONNECTED"), (False, "completed", "DISCONNECTED"),
     (True, "completed", "RESCAN")],
    ids=["under-way", "failed", "into-another-machine", "into-the-original"],
)  # fmt: skip
def test_a_source_server_replicates_again_once_its_original_is_failed_back(
    place: Place, original: bool, outcome: Literal["", "failed", "completed"], state: str
) -> None:
    instance = place.add()
    filters = {"sourceServerIDs": [instance.source]}
    (before,) = place.drs.describe_source_servers(filters=filters)["items"]
    assert before["dataReplicationInfo"] == {"dataReplicationState": "DISCONNECTED"}
    world = place.clouds.drs.world
    now = world.clock()
    with world.lock:
        link = ClientLink("c" * 32, original=original, started=now, seen=now, local={}, outcome=outcome)
        world.find(instance.id).link = link
    (told,) = place.drs.describe_source_servers(filters=filters)["items"]
    assert told["dataReplicationInfo"] == {"dataReplicationState": state}


def test_the_failback_configuration_is_kept_member_by_member(place: Place) -> None:
    instance = place.clouds.drs.world.add_recovery_instance(NewInstance({"/dev/sda": MIB}, name="one"))
    read = place.drs.get_failback_replication_configuration
    first = {"name": "one", "bandwidthThrottling": 0, "usePrivateIP": False, "internetProtocol": "IPV4"}
    kept = read(recoveryInstanceID=instance.id)
    assert kept.items() >= first.items()
    change = {"bandwidthThrottling": 200, "usePrivateIP": True}
    place.drs.update_failback_replication_configuration(recoveryInstanceID=instance.id, **change)
    place.drs.update_failback_replication_configuration(recoveryInstanceID=instance.id, internetProtocol="IPV6")
    kept = read(recoveryInstanceID=instance.id)
    assert kept.items() >= {**first, **change, "internetProtocol": "IPV6"}.items()


def test_tags_of_every_kind_of_thing(place: Place) -> None:
    instance = place.add()
    job = place.drs.describe_jobs(filters={"jobIDs": [instance.job]})["items"][0]["arn"]
    for arn in (instance.arn, instance.source_arn, job):
        before = place.drs.list_tags_for_resource(resourceArn=arn)["tags"]
        place.drs.tag_resource(resourceArn=arn, tags={"a": "1", "b/c": "2 3"})
        assert place.drs.list_tags_for_resource(resourceArn=arn)["tags"] == {**before, "a": "1", "b/c": "2 3"}
        place.drs.untag_resource(resourceArn=arn, tagKeys=["a", "b/c"])
        assert place.drs.list_tags_for_resource(resourceArn=arn)["tags"] == before
    fifty = {str(number): "" for number in range(50)}
    place.drs.tag_resource(resourceArn=instance.arn, tags=fifty)
    assert refusal(place.drs.tag_resource, resourceArn=instance.arn, tags={"x": ""}) == (400, "ValidationException")
    assert refusal(place.drs.tag_resource, resourceArn=job, tags={"aws:x": ""}) == (400, "ValidationException")
    missing = f"{instance.arn}0"
    assert refusal(place.drs.list_tags_for_resource, resourceArn=missing) == (404, "ResourceNotFoundException")


def test_what_isnt_there_is_refused_or_told_by_an_empty_list(place: Place) -> None:
    assert place.drs.describe_recovery_instances(filters={"recoveryInstanceIDs": [UNKNOWN]})["items"] == []
    for call in (
        place.drs.get_failback_replication_configuration,
        place.drs.update_failback_replication_configuration,
        place.drs.stop_failback,
    ):
        assert refusal(call, recoveryInstanceID=UNKNOWN) == (404, "ResourceNotFoundException")
    job = "drsjob-" + "0" * 17
    assert refusal(place.drs.describe_job_log_items, jobID=job) == (400, "ValidationException")
    assert place.drs.describe_jobs(filters={"jobIDs": [job]})["items"] == []
    start = place.drs.start_failback_launch
    assert refusal(start, recoveryInstanceIDs=[UNKNOWN]) == (400, "ValidationException")


@pytest.mark.parametrize(
    ("operation", "values", "field"),
    [
        ("describe_recovery_instances", {"filters": {"recoveryInstanceIDs": ["x"]}}, "filters.recoveryInstanceIDs[0]"),
        ("describe_recovery_instances", {"maxResults": 0}, "maxResults"),
        ("describe_recovery_instances", {"nextToken": "bm8="}, "nextToken"),
        ("describe_jobs", {"filters": {"fromDate": "yesterday"}}, "filters.fromDate"),
        ("start_failback_launch", {"recoveryInstanceIDs": []}, "recoveryInstanceIDs"),
        ("start_failback_launch", {"recoveryInstanceIDs": [UNKNOWN] * 201}, "recoveryInstanceIDs"),
        ("stop_failback", {}, "recoveryInstanceID"),
        (
            "update_failback_replication_configuration",
            {"recoveryInstanceID": UNKNOWN, "bandwidthThrottling": -1},
            "bandwidthThrottling",
        ),
        (
            "update_failback_replication_configuration",
            {"recoveryInstanceID": UNKNOWN, "internetProtocol": "IPX"},
            "internetProtocol",
        ),
    ],
    ids=["pattern", "least", "token", "moment", "few", "many", "required", "negative", "enum"],
)
def test_a_member_that_cant_be_is_named(place: Place, operation: str, values: dict[str, Sdk], field: str) -> None:
    with pytest.raises(place.drs.exceptions.ValidationException) as caught:
        getattr(place.drs, operation)(**values)
    answer = caught.value.response
    assert answer["reason"] == "fieldValidationFailed"
    assert [fault["name"] for fault in answer["fieldList"]] == [field]


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/DescribeJobs", b"{", "cannotParse"),
        ("/DescribeJobs", b"[]", "cannotParse"),
        ("/DescribeJobs", b'{"wrong": 1}', "fieldValidationFailed"),
        ("/DescribeJobs", b'{"maxResults": "3"}', "fieldValidationFailed"),
        ("/DescribeJobs", b'{"maxResults": true}', "fieldValidationFailed"),
        ("/DescribeJobs", b'{"filters": {"jobIDs": "x"}}', "fieldValidationFailed"),
        ("/DescribeJobs", b'{"filters": 1}', "fieldValidationFailed"),
        ("/NoSuchThing", b"{}", "unknownOperation"),
        *[(f"/{name}", b"{}", None) for name in NOT_EMULATED],
    ],
    ids=lambda value: value.decode() if isinstance(value, bytes) else str(value),
)
def test_what_the_sdk_wouldnt_send_is_refused_as_well(place: Place, path: str, body: bytes, reason: str | None) -> None:
    answer = raw(place, path, body)
    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (400, "ValidationException")
    assert reason in (None, answer.json()["reason"])


def test_an_unsigned_call_is_refused(place: Place) -> None:
    answer = raw(place, "/DescribeJobs", signed=False)
    # Without a signature nothing says that it's for DRS.
    assert answer.status_code >= 400
    direct = requests.post(f"{place.clouds.drs_url}/DescribeJobs", data=b"{}", timeout=10)
    assert (direct.status_code, direct.headers["x-amzn-ErrorType"]) == (403, "MissingAuthenticationTokenException")


def test_faults_meet_functions_and_look_like_the_services_own(place: Place) -> None:
    rules = (
        FaultRule(service="drs", operation="DescribeJobs", nth=(1,), action=Throttle()),
        FaultRule(service="drs", operation="StopFailback", action=Deny()),
    )
    function = place.clouds.sessions.open(role="arn:aws:iam::123456789012:role/f", function="arn:f")
    config = Config(retries={"total_max_attempts": 2})
    client = boto3.client(
        "drs", "us-east-1", endpoint_url=place.clouds.aws.url, aws_access_key_id=function, aws_secret_access_key="x",
        config=config,
    )  # fmt: skip
    place.clouds.faults.use(FaultPlan(rules=rules))
    place.drs.describe_jobs()
    assert client.describe_jobs()["ResponseMetadata"]["RetryAttempts"] == 1
    assert refusal(client.stop_failback, recoveryInstanceID=UNKNOWN) == (403, "AccessDeniedException")
    calls = [record.call for record in place.clouds.faults.records]
    assert calls == [Call("drs", "DescribeJobs"), Call("drs", "StopFailback")]
    place.clouds.faults.use(FaultPlan())


def test_nothing_that_is_sent_breaks_it(place: Place) -> None:
    deep = b"[" * 100_000
    for path, body in (("/DescribeJobs", deep), ("/StopFailback", b"\xff"), ("/tags/x", b"{}")):
        assert raw(place, path, body).status_code == 400


def test_the_listing_changes_with_what_a_run_changes_and_comes_back(place: Place) -> None:
    instance = place.add()
    before = listing(place.clouds)
    assert listing(place.clouds) == before
    place.open_port(instance)
    place.drs.tag_resource(resourceArn=instance.arn, tags={"drs-failback:run": "1"})
    place.drs.update_failback_replication_configuration(recoveryInstanceID=instance.id, bandwidthThrottling=7)
    during = listing(place.clouds)
    assert {name for name in before if during[name] != before[name]} == {"recovery", "security_groups"}
    assert during["security_groups"][instance.security_group]["ingress"] == ["tcp 1500-1500 10.20.0.0/24"]
    rule = {"IpProtocol": "tcp", "FromPort": 1500, "ToPort": 1500, "IpRanges": [{"CidrIp": "10.20.0.0/24"}]}
    place.ec2.revoke_security_group_ingress(GroupId=instance.security_group, IpPermissions=[rule])
    place.drs.untag_resource(resourceArn=instance.arn, tagKeys=["drs-failback:run"])
    place.drs.update_failback_replication_configuration(recoveryInstanceID=instance.id, bandwidthThrottling=0)
    assert listing(place.clouds) == before
    json.dumps(before)


def test_pages_hold_at_most_two_hundred(place: Place) -> None:
    there = len(place.clouds.drs.world.instances)
    for _ in range(450 - there):
        place.clouds.drs.world.add_recovery_instance(NewInstance({"/dev/xvda": MIB}))
    pages = list(place.drs.get_paginator("describe_recovery_instances").paginate(PaginationConfig={"PageSize": 300}))
    assert [len(page["items"]) for page in pages] == [200, 200, 50]
    names = [item["recoveryInstanceID"] for page in pages for item in page["items"]]
    assert names == [instance.id for instance in place.clouds.drs.world.instances]
    sources = place.drs.get_paginator("describe_source_servers").paginate(PaginationConfig={"PageSize": 150})
    assert [len(page["items"]) for page in sources] == [150, 150, 150]
    token = place.drs.describe_jobs(maxResults=1)["nextToken"]
    assert refusal(place.drs.describe_source_servers, nextToken=token) == (400, "ValidationException")
    created = [
        datetime.fromisoformat(job["creationDateTime"])
        for page in place.drs.get_paginator("describe_jobs").paginate()
        for job in page["items"]
    ]
    assert len(created) == 450
    assert created == sorted(created, reverse=True)
    middle = place.drs.describe_jobs(maxResults=100)["items"][-1]["creationDateTime"]
    since = place.drs.get_paginator("describe_jobs").paginate(filters={"fromDate": middle})
    assert 100 <= sum(len(page["items"]) for page in since) < 110
    until = place.drs.describe_jobs(filters={"fromDate": middle, "toDate": middle})["items"]
    assert 1 <= len(until) < 10
    addresses = {instance.private_address for instance in place.clouds.drs.world.instances}
    assert len(addresses) == 450
