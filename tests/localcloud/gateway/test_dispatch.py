"""Each request reaches whoever answers for it, told by its signature, its operation or its bucket."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from failback.errors import LocalCloudError
from localcloud.gateway.run import AwsSettings, run_aws

if TYPE_CHECKING:
    from pathlib import Path

    from tests.localcloud.gateway.conftest import Fixture


def test_a_service_of_ours_is_asked(cloud: Fixture) -> None:
    assert cloud.client("drs").describe_source_servers()["items"] == []
    assert cloud.heard["drs"] == ["POST /DescribeSourceServers {}"]


def test_the_rest_is_motos_and_has_its_account(cloud: Fixture) -> None:
    assert cloud.client("sts").get_caller_identity()["Account"] == "123456789012"
    table = cloud.client("dynamodb").create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    assert ":123456789012:" in table["TableDescription"]["TableArn"]


def test_a_part_of_a_service_is_ours_and_the_other_stays(cloud: Fixture) -> None:
    ec2 = cloud.client("ec2")
    place = {"S3Bucket": "b"}
    task = ec2.export_image(ImageId="ami-1", DiskImageFormat="RAW", S3ExportLocation=place, ClientToken="c")
    assert task["ExportImageTaskId"] == "export-ami-1"
    assert "DiskImageFormat=RAW" in cloud.heard["ec2"][0]
    assert ec2.describe_vpcs()["Vpcs"]


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_buckets_go_to_the_store_that_is_named_for_them(cloud: Fixture, style: str) -> None:
    s3 = cloud.client("s3", s3={"addressing_style": "path"})
    cloud.heard.pop("bulk", None)
    if style == "path":
        s3.head_object(Bucket="images-a", Key="x/y")
    else:
        host = f"images-a.s3.eu-west-1.amazonaws.com:{cloud.aws.url.rpartition(':')[2]}"
        with urllib.request.urlopen(urllib.request.Request(f"{cloud.aws.url}/x/y", headers={"Host": host})) as answer:
            assert answer.status == 200
    assert cloud.heard["bulk"][0].split()[1] == "/images-a/x/y"
    s3.create_bucket(Bucket=f"assets-{style}", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=f"assets-{style}", Key="k", Body=b"moto has it")
    assert s3.get_object(Bucket=f"assets-{style}", Key="k")["Body"].read() == b"moto has it"


def test_a_presigned_request_is_told_by_its_query(cloud: Fixture) -> None:
    s3 = cloud.client("s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="signed", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="signed", Key="k", Body=b"by link")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "signed", "Key": "k"})
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"by link"


def test_an_unsigned_sts_request_isnt_taken_for_s3(cloud: Fixture) -> None:
    form = b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=xx&WebIdentityToken=abcd"
    form += b"&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Ftest"
    with urllib.request.urlopen(cloud.aws.url, form) as answer:
        assert b"AssumeRoleWithWebIdentityResult" in answer.read()


def test_every_answer_has_a_request_id(cloud: Fixture) -> None:
    for answer in (
        cloud.client("drs").describe_source_servers(),
        cloud.client("stepfunctions").list_state_machines(),
        cloud.client("ec2").describe_vpcs(),
    ):
        assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]


def test_what_nobody_knows_is_refused_by_name(cloud: Fixture) -> None:
    with pytest.raises(ClientError, match=r"NotImplemented.*ec2:DescribeExportImageTasks"):
        cloud.client("ec2").describe_export_image_tasks()


def test_a_second_cloud_in_one_process_is_refused(cloud: Fixture, tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match=cloud.aws.url), run_aws(AwsSettings(tmp_path)):
        pass
