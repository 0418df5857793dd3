"""What lasts: the key, the bucket for images, the table that is the run log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from failback.model.deployment import LogDays
from stacks.accepted import accept

if TYPE_CHECKING:
    from aws_cdk import RemovalPolicy, Stack
    from aws_cdk.aws_dynamodb import Table
    from aws_cdk.aws_kms import Key
    from aws_cdk.aws_logs import RetentionDays
    from aws_cdk.aws_s3 import Bucket

    from failback.model.deployment import Deployment

RECENT_INDEX = "recent"
"""The index by which the last runs are found: partition `kind`, sorted by `started`."""
TTL_ATTRIBUTE = "expires"

_UPLOAD_DAYS = 7
"""An upload that isn't finished after so long belongs to nobody: the longest stage's deadline is a day."""
_OLD_VERSION_DAYS = 7
"""An object that was replaced or removed can be had back for so long."""


@dataclass(frozen=True, slots=True)
class Storage:
    """The deployment's storage, and what becomes of it when the stack goes."""

    key: Key
    bucket: Bucket
    table: Table
    removal: RemovalPolicy


def add_storage(stack: Stack, deployment: Deployment) -> Storage:
    """Key, image bucket and run log."""
    from aws_cdk import RemovalPolicy

    removal = RemovalPolicy.RETAIN if deployment.removal == "retain" else RemovalPolicy.DESTROY
    key = _key(stack, deployment, removal)
    return Storage(key, _bucket(stack, key, removal), _table(stack, key, removal), removal)


def log_retention(deployment: Deployment) -> RetentionDays:
    """How long logs are kept, in the CDK's word for it: it has one for each number that CloudWatch Logs takes."""
    from aws_cdk.aws_logs import RetentionDays

    words = [word for word in RetentionDays if word is not RetentionDays.INFINITE]
    named: dict[int, RetentionDays] = dict(zip(get_args(LogDays), words, strict=True))
    return named[deployment.log_days]


def _key(stack: Stack, deployment: Deployment, removal: RemovalPolicy) -> Key:
    """One key for all of it; CloudWatch Logs may use it for this deployment's log groups only."""
    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_kms as kms

    key = kms.Key(
        stack,
        "Key",
        description=f"{deployment.name}: images, run log and logs",
        enable_key_rotation=True,
        removal_policy=removal,
    )
    names = (f"/aws/lambda/{deployment.name}-*", f"/aws/vendedlogs/states/{deployment.name}")
    group = f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group:"
    statement = iam.PolicyStatement(
        principals=[iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com")],
        actions=["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
        resources=["*"],
        conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": [f"{group}{name}" for name in names]}},
    )
    key.add_to_resource_policy(statement)
    return key


def _bucket(stack: Stack, key: Key, removal: RemovalPolicy) -> Bucket:
    """AWS's ISO, the images made from it, and the runs' reports."""
    from aws_cdk import Duration
    from aws_cdk import aws_s3 as s3

    bucket = s3.Bucket(
        stack,
        "Images",
        encryption=s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=True,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        versioned=True,
        removal_policy=removal,
        lifecycle_rules=[
            s3.LifecycleRule(
                id="leftovers",
                abort_incomplete_multipart_upload_after=Duration.days(_UPLOAD_DAYS),
                noncurrent_version_expiration=Duration.days(_OLD_VERSION_DAYS),
            ),
            s3.LifecycleRule(id="markers", expired_object_delete_marker=True),
        ],
    )
    accept(
        bucket,
        "AwsSolutions-S1",
        "Only this stack's functions use the bucket, and each of their calls stands in a run's log. Server "
        "access logs would need a second bucket that nobody reads; CloudTrail's data events can be switched on.",
    )
    return bucket


def _table(stack: Stack, key: Key, removal: RemovalPolicy) -> Table:
    """The run log: runs, their stages, and leases."""
    from aws_cdk import aws_dynamodb as dynamodb

    def text(name: str) -> dynamodb.Attribute:
        return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)

    table = dynamodb.Table(
        stack,
        "Runs",
        partition_key=text("pk"),
        sort_key=text("sk"),
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
        encryption_key=key,
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=True
        ),
        time_to_live_attribute=TTL_ATTRIBUTE,
        removal_policy=removal,
    )
    table.add_global_secondary_index(index_name=RECENT_INDEX, partition_key=text("kind"), sort_key=text("started"))
    return table
