"""Faults as boto3 and as a plain HTTP client see them, and what is written down of them."""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionClosedError as BotoClosed

from failback.errors import SettingsInvalid
from localcloud.azure.arm_faults import ArmShape
from localcloud.ebs.direct import EbsDirectService
from localcloud.ebs.images import ImageService
from localcloud.ebs.store import SnapshotStore
from localcloud.embedded.fault_points import AwsShape
from localcloud.faults import LARGEST_SEARCHED, Call, FaultInjector, FaultPlan
from localcloud.objects.service import ObjectService
from localcloud.objects.store import ObjectStore
from localcloud.serving import serve_application

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Clients of boto3 are made from models at run time, they've no types of their own.
Dynamic = Any


BUCKET = "images-1"


def plan(*rules: dict[str, Any], seed: int = 0) -> FaultPlan:
    return FaultPlan.model_validate_json(json.dumps({"rules": rules, "seed": seed}))


@contextmanager
def faulty(
    service: Dynamic, faults: FaultPlan, name: str, attempts: int = 1, **more: Dynamic
) -> Iterator[tuple[FaultInjector, Any]]:
    injector = FaultInjector(service, faults, service, **more)
    config = Config(retries={"total_max_attempts": attempts, "mode": "standard"})
    with serve_application(injector) as url:
        yield (
            injector,
            boto3.client(
                name,  # type: ignore[call-overload]
                "us-east-1",
                endpoint_url=url,
                aws_access_key_id="AKIAMINE",
                aws_secret_access_key="x",
                config=config,
            ),
        )


@pytest.fixture
def objects(tmp_path: Path) -> ObjectService:
    service = ObjectService(ObjectStore(tmp_path))
    service.add_bucket(BUCKET)
    return service


def test_every_service_throttles_in_its_own_words(objects: ObjectService, tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "ebs")
    throttle = plan({"action": {"kind": "throttle"}})
    with faulty(objects, throttle, "s3") as (_, s3), pytest.raises(ClientError, match="SlowDown"):
        s3.list_buckets()
    with faulty(ImageService(store), throttle, "ec2") as (_, ec2), pytest.raises(ClientError, match="RequestLimitExc"):
        ec2.describe_images()
    with (
        faulty(EbsDirectService(store), throttle, "ebs") as (_, ebs),
        pytest.raises(ebs.exceptions.RequestThrottledException) as caught,
    ):
        ebs.start_snapshot(VolumeSize=1)
    assert caught.value.response["Reason"] == "ACCOUNT_THROTTLED"
    assert store.records == {}


def test_every_service_denies_in_its_own_words(objects: ObjectService, tmp_path: Path) -> None:
    """And a client that's still sending its body gets the answer, not a broken line."""
    store = SnapshotStore(tmp_path / "ebs")
    deny, body = plan({"action": {"kind": "deny"}}), bytes(20_000_000)
    with faulty(objects, deny, "s3") as (_, s3), pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=BUCKET, Key="k", Body=body)
    with faulty(ImageService(store), deny, "ec2") as (_, ec2), pytest.raises(ClientError, match="UnauthorizedOp"):
        ec2.describe_images()
    with (
        faulty(EbsDirectService(store), deny, "ebs") as (_, ebs),
        pytest.raises(ebs.exceptions.AccessDeniedException) as caught,
    ):
        ebs.start_snapshot(VolumeSize=1)
    assert caught.value.response["Reason"] == "UNAUTHORIZED_ACCOUNT"
    assert objects.handles(BUCKET)
    assert store.records == {}


@pytest.mark.parametrize(
    ("name", "call", "code"),
    [
        ("dynamodb", lambda client: client.list_tables(), "AccessDeniedException"),
        ("ssm", lambda client: client.get_parameter(Name="n"), "AccessDeniedException"),
        ("sts", lambda client: client.get_caller_identity(), "AccessDenied"),
        ("secretsmanager", lambda client: client.list_secrets(), "AccessDeniedException"),
    ],
    ids=["dynamodb", "ssm", "sts", "secretsmanager"],
)
def test_services_of_the_emulation_deny_too(objects: ObjectService, name: str, call: Dynamic, code: str) -> None:
    shape = AwsShape({}, objects)
    injector = FaultInjector(objects, plan({"service": name, "action": {"kind": "deny"}}), shape)
    keys = {"aws_access_key_id": "AKIAMINE", "aws_secret_access_key": "x"}
    with serve_application(injector) as url, pytest.raises(ClientError, match=code):
        call(boto3.client(name, "us-east-1", endpoint_url=url, **keys))  # type: ignore[call-overload]
    assert [record.call.service for record in injector.records] == [name]


@pytest.mark.parametrize(
    ("path", "method", "status", "words"),
    [
        ("/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/d", "PUT", 403,
         "'Microsoft.Compute/disks/write'"),
        ("/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/d/beginGetAccess", "POST", 403,
         "'Microsoft.Compute/disks/beginGetAccess/action'"),
        ("/tenant/oauth2/v2.0/token", "POST", 400, "AADSTS700016"),
    ],
    ids=["write", "action", "token"],
)  # fmt: skip
def test_arm_and_entra_deny_by_the_right_that_is_lacking(path: str, method: str, status: int, words: str) -> None:
    answer = ArmShape().denied({"PATH_INFO": path, "REQUEST_METHOD": method})
    assert answer.status == status
    assert words in answer.body.decode()


def test_a_bare_error_may_ask_to_wait(objects: ObjectService) -> None:
    with faulty(objects, plan({"action": {"kind": "status", "wait_ms": 50}}), "s3") as (_, s3):
        with pytest.raises(ClientError) as caught:
            s3.list_buckets()
        assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["x-ms-retry-after-ms"] == "50"


def test_the_nth_call_of_an_operation(objects: ObjectService) -> None:
    rule = {"service": "s3", "operation": "PutObject", "nth": [2], "action": {"kind": "status", "code": 500}}
    with faulty(objects, plan(rule), "s3") as (injector, s3):
        s3.put_object(Bucket=BUCKET, Key="1", Body=b"1")
        with pytest.raises(ClientError, match="500"):
            s3.put_object(Bucket=BUCKET, Key="2", Body=b"2")
        s3.put_object(Bucket=BUCKET, Key="3", Body=b"3")
        assert [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["1", "3"]
        (record,) = injector.records
        assert (record.call.operation, record.method, record.path) == ("PutObject", "PUT", f"/{BUCKET}/2")
        injector.use(plan())
        s3.put_object(Bucket=BUCKET, Key="2", Body=b"2")


def test_a_query_service_s_form_is_still_read(tmp_path: Path) -> None:
    rule = {"operation": "DescribeImages", "nth": [1], "action": {"kind": "status"}}
    with faulty(ImageService(SnapshotStore(tmp_path)), plan(rule), "ec2", attempts=2) as (injector, ec2):
        assert ec2.describe_images()["Images"] == []
        assert [record.call.operation for record in injector.records] == ["DescribeImages"]


def test_a_lost_answer_took_effect(objects: ObjectService) -> None:
    rule = {"path": "/lost$", "method": "PUT", "nth": [1], "action": {"kind": "lose"}}
    with faulty(objects, plan(rule), "s3") as (_, s3):
        with pytest.raises((BotoClosed, HTTPClientError)):
            s3.put_object(Bucket=BUCKET, Key="lost", Body=b"data")
        assert s3.get_object(Bucket=BUCKET, Key="lost")["Body"].read() == b"data"


def test_a_cut_answer_as_a_plain_client_sees_it(objects: ObjectService) -> None:
    objects.add_bucket("open", public=True)
    rule = {"operation": "GetObject", "nth": [1], "action": {"kind": "cut", "after": 300_000}}
    with faulty(objects, plan(rule), "s3") as (_, s3):
        s3.put_object(Bucket="open", Key="k", Body=bytes(1_000_000))
        connection = http.client.HTTPConnection(urlsplit(s3.meta.endpoint_url).netloc)
        connection.request("GET", "/open/k")
        answer = connection.getresponse()
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)) as caught:
            answer.read()
        connection.close()
        assert answer.headers["Content-Length"] == "1000000"
        if isinstance(caught.value, http.client.IncompleteRead):
            assert len(caught.value.partial) == 300_000
        assert len(s3.get_object(Bucket="open", Key="k")["Body"].read()) == 1_000_000


def test_a_delay_and_then_the_rule_after_it(objects: ObjectService) -> None:
    slept: list[float] = []
    rules = ({"action": {"kind": "delay", "seconds": 3}}, {"nth": [1], "action": {"kind": "throttle"}})
    with faulty(objects, plan(*rules), "s3", sleep=slept.append) as (injector, s3):
        with pytest.raises(ClientError):
            s3.list_buckets()
        s3.list_buckets()
    assert slept == [3, 3]
    assert [record.action.kind for record in injector.records] == ["delay", "throttle", "delay"]


def test_the_same_seed_gives_the_same_faults(objects: ObjectService) -> None:
    def outcomes(seed: int) -> list[bool]:
        rule = {"probability": 0.5, "action": {"kind": "status"}}
        found = []
        with faulty(objects, plan(rule, seed=seed), "s3") as (_, s3):
            for _ in range(20):
                try:
                    s3.list_buckets()
                    found.append(True)
                except ClientError:
                    found.append(False)
        return found

    assert outcomes(1) == outcomes(1) != outcomes(2)
    assert 0 < sum(outcomes(1)) < 20


def test_the_sdk_gets_over_what_passes(objects: ObjectService) -> None:
    rule = {"nth": [1], "action": {"kind": "throttle"}}
    with faulty(objects, plan(rule), "s3", attempts=3) as (_, s3):
        assert s3.list_buckets()["Buckets"]


def test_a_plan_s_file_is_judged(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    file.write_text('{"rules": [{"nth": [0], "path": "(", "action": {"kind": "explode"}}], "colour": 1}')
    with pytest.raises(SettingsInvalid) as caught:
        FaultPlan.read(file)
    for word in ("rules.0.nth.0", "rules.0.path", "rules.0.action", "colour"):
        assert word in str(caught.value)
    file.write_text('{"rules": [{"action": {"kind": "lose"}}]}')
    assert FaultPlan.read(file).rules[0].action.kind == "lose"


def test_a_rule_for_calls_that_say_something_leaves_the_body_readable(objects: ObjectService, tmp_path: Path) -> None:
    rule = {"operation": "PutObject", "body": "i-0[ab]+", "action": {"kind": "deny"}}
    with faulty(objects, plan(rule), "s3") as (injector, s3):
        s3.put_object(Bucket=BUCKET, Key="1", Body=b"about i-0c")
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.put_object(Bucket=BUCKET, Key="2", Body=b"about i-0ba")
        assert s3.get_object(Bucket=BUCKET, Key="1")["Body"].read() == b"about i-0c"
        assert [record.path for record in injector.records] == [f"/{BUCKET}/2"]
    images = ImageService(SnapshotStore(tmp_path))
    form = plan({"body": "ImageId.1=ami-2", "action": {"kind": "deny"}})
    gateway = FaultInjector(images, form, AwsShape({"ec2": images}, objects))
    keys = {"aws_access_key_id": "AKIAMINE", "aws_secret_access_key": "x"}
    with serve_application(gateway) as url:
        ec2 = boto3.client("ec2", "us-east-1", endpoint_url=url, **keys)  # type: ignore[call-overload]
        assert ec2.describe_images()["Images"] == []
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            ec2.describe_images(ImageIds=["ami-2"])


def test_only_the_first_mib_of_a_body_is_searched_and_all_of_it_arrives(objects: ObjectService) -> None:
    late = bytes(LARGEST_SEARCHED) + b"needle"
    with faulty(objects, plan({"body": "needle", "action": {"kind": "deny"}}), "s3") as (injector, s3):
        s3.put_object(Bucket=BUCKET, Key="late", Body=late)
        assert injector.records == ()
        assert s3.get_object(Bucket=BUCKET, Key="late")["Body"].read() == late
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.put_object(Bucket=BUCKET, Key="early", Body=late[10:])


def test_a_body_is_read_for_rules_that_ask_for_it_only() -> None:
    class Unread:
        def read(self, _size: int) -> bytes:
            raise AssertionError

    rule = {"operation": "Write", "body": "x", "action": {"kind": "deny"}}
    environ: Dynamic = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "3", "wsgi.input": Unread()}
    called = []

    def application(given: Dynamic, start: Dynamic) -> list[bytes]:
        called.append(given["wsgi.input"])
        start("200 OK", [])
        return []

    class Shape:
        def identify(self, _environ: Dynamic) -> Call:
            return Call("some", "Read")

    assert list(FaultInjector(application, plan(rule), Shape())(environ, lambda *_: None)) == []  # type: ignore[arg-type]
    assert isinstance(called[0], Unread)
