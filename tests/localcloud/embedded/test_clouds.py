"""Both clouds as one: a template is deployed and its machine run, AWS's ISO is there, and a listing tells all."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from botocore.exceptions import ClientError

from failback.errors import LocalCloudError, RuntimeMismatch
from failback.naming import PREFIX
from localcloud.embedded.clouds import CloudSettings, EmbeddedClouds, run_clouds
from localcloud.embedded.deploy import Deployed, deploy, read_assembly
from localcloud.embedded.iso_bucket import HASH_KEY, ISO_KEY, OWNER, iso_buckets, sha512_of
from localcloud.embedded.listing import listing
from localcloud.faults import FaultPlan, FaultRule, Status, Throttle
from tests.localcloud.azure.clients import RecordingDriver
from tests.localcloud.embedded.assembly import STACK, HandMade

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Sdk = Any


@pytest.fixture(scope="module")
def iso(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("iso") / "client.iso"
    path.write_bytes(b"an ISO\n" * 100_000)
    return path


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory, iso: Path) -> Iterator[EmbeddedClouds]:
    settings = CloudSettings(tmp_path_factory.mktemp("clouds"), iso, RecordingDriver(), wait_scale=0.01)
    with run_clouds(settings) as running:
        yield running


@pytest.fixture(scope="module")
def deployed(clouds: EmbeddedClouds, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return deploy(clouds, HandMade().write(tmp_path_factory.mktemp("assembly")))


def run_machine(clouds: EmbeddedClouds, deployed: Deployed) -> Sdk:
    states = clouds.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=deployed.outputs["StateMachineArn"], input='{"n": 1}')["executionArn"]
    end = time.monotonic() + 20
    while (told := states.describe_execution(executionArn=arn))["status"] == "RUNNING":
        assert time.monotonic() < end, "the machine didn't end"
        time.sleep(0.03)
    assert told["status"] == "SUCCEEDED", told
    return json.loads(told["output"])


def test_the_deployed_machine_runs_with_all_that_functions_are_told(clouds: EmbeddedClouds, deployed: Deployed) -> None:
    assert deployed.stack == STACK
    told = run_machine(clouds, deployed)
    assert told["heard"] == {"n": 1}
    assert told["azure"] == told["authority"] == clouds.azure_at.base_url
    assert told["trust"] == [str(clouds.azure_at.ca_file)] * 3
    claims = jwt.decode(told["token"], options={"verify_signature": False})
    role = clouds.client("lambda").get_function_configuration(FunctionName=deployed.functions[0])["Role"]
    assert claims["sub"] == role
    s3, bucket = clouds.client("s3"), deployed.outputs["ImageBucket"]
    assert s3.get_object(Bucket=bucket, Key="note")["Body"].read() == b"first"
    assert listing(clouds)["objects"][bucket]["note"][0] == 5


def test_an_update_runs_the_new_files_and_keeps_objects(
    clouds: EmbeddedClouds, deployed: Deployed, tmp_path: Path
) -> None:
    kept = clouds.client("s3")
    kept.put_object(Bucket=deployed.outputs["ImageBucket"], Key="kept", Body=b"x")
    again = deploy(clouds, HandMade().with_note("second").write(tmp_path))
    assert again.outputs == deployed.outputs
    assert run_machine(clouds, again)["note"] == "second"
    assert kept.get_object(Bucket=again.outputs["ImageBucket"], Key="kept")["Body"].read() == b"x"


def test_what_cant_run_here_is_refused_by_name(clouds: EmbeddedClouds, tmp_path: Path) -> None:
    with pytest.raises(RuntimeMismatch, match=r"Function \(python3\.2\)"):
        deploy(clouds, HandMade(runtime="python3.2").write(tmp_path / "old"))
    unknown = HandMade(extra=(("Odd", "AWS::Nobody::Knows"),))
    with pytest.raises(LocalCloudError, match=r"AWS::Nobody::Knows \(Odd\)"):
        deploy(clouds, unknown.write(tmp_path / "odd"))
    (tmp_path / "old/manifest.json").write_text('{"artifacts": {}}')
    with pytest.raises(LocalCloudError, match=r"0 stacks \(none\)"):
        read_assembly(tmp_path / "old", region="us-east-1")
    with pytest.raises(LocalCloudError, match="no cloud assembly"):
        read_assembly(tmp_path, region="us-east-1")


def test_the_iso_is_where_aws_has_it_and_belongs_to_aws(clouds: EmbeddedClouds, iso: Path) -> None:
    s3, (isos, hashes) = clouds.client("s3"), iso_buckets("us-east-1")
    assert s3.get_object(Bucket=isos, Key=ISO_KEY, ExpectedBucketOwner=OWNER)["Body"].read() == iso.read_bytes()
    digest = s3.get_object(Bucket=hashes, Key=HASH_KEY, ExpectedBucketOwner=OWNER)["Body"].read()
    assert digest.decode() == sha512_of(iso) == clouds.iso_sha512
    with pytest.raises(ClientError, match="403"):
        s3.head_object(Bucket=isos, Key=ISO_KEY, ExpectedBucketOwner="123456789012")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=isos, Key=ISO_KEY, Body=b"")


def test_the_hash_kept_beside_an_iso_is_that_of_its_bytes(tmp_path: Path) -> None:
    iso = tmp_path / "x.iso"
    iso.write_bytes(b"one")
    first = sha512_of(iso)
    assert sha512_of(iso) == first
    iso.write_bytes(b"three")
    assert sha512_of(iso) != first
    iso.with_name("x.iso.sha512.json").write_text("{}")
    assert len(sha512_of(iso)) == 128


def test_a_listing_changes_with_every_kind_of_thing_and_comes_back(clouds: EmbeddedClouds, deployed: Deployed) -> None:
    before = listing(clouds)
    assert listing(clouds) == before
    s3, bucket, ebs = clouds.client("s3"), deployed.outputs["ImageBucket"], clouds.client("ebs")
    dynamodb, table = clouds.client("dynamodb"), deployed.outputs["RunLogTable"]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="half")["UploadId"]
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    key = {"pk": {"S": "lease#image"}, "sk": {"S": "lease"}}
    dynamodb.put_item(TableName=table, Item={**key, "holder": {"S": PREFIX}})
    during = listing(clouds)
    changed = {name for name in before if during[name] != before[name]}
    assert changed == {"uploads", "snapshots", "leases"}
    assert during["leases"] == {f"{table}/lease#image": PREFIX}
    s3.abort_multipart_upload(Bucket=bucket, Key="half", UploadId=upload)
    clouds.client("ec2").delete_snapshot(SnapshotId=snapshot)
    dynamodb.delete_item(TableName=table, Key=key)
    dynamodb.put_item(TableName=table, Item={"pk": {"S": "run#2"}, "sk": {"S": "run"}})
    assert listing(clouds) == before


@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [
        ("s3", "PutObject", Throttle()),
        ("dynamodb", "PutItem", Throttle()),
        ("sts", "GetWebIdentityToken", Throttle()),
        ("sts", "GetWebIdentityToken", Status(code=503)),
    ],
    ids=["s3", "dynamodb", "sts", "sts-503"],
)
def test_faults_meet_functions_and_nobody_else(
    clouds: EmbeddedClouds, deployed: Deployed, service: str, operation: str, action: Throttle | Status
) -> None:
    rule = FaultRule(service=service, operation=operation, nth=(1,), action=action)
    clouds.faults.use(FaultPlan(rules=(rule,)))
    done = len(clouds.faults.records)
    clouds.client("s3").put_object(Bucket=deployed.outputs["ImageBucket"], Key="mine", Body=b"")
    assert len(clouds.faults.records) == done
    run_machine(clouds, deployed)
    assert [record.call.operation for record in clouds.faults.records[done:]] == [operation]
    clouds.faults.use(FaultPlan())
