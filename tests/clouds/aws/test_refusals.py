"""AWS's errors in our vocabulary."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ReadTimeoutError,
)

from failback.clouds.aws.refusals import foreign, translate
from failback.errors import CloudBusy, CloudRefused, CloudUnreachable, SignInRefused


def refused(code: str, operation: str = "PutSnapshotBlock", status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "as AWS says"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        operation,
    )


@pytest.mark.parametrize(
    ("error", "ours", "says"),
    [
        pytest.param(refused("SlowDown", status=503), CloudBusy, "tried again", id="throttled"),
        pytest.param(refused("RequestThrottledException"), CloudBusy, "PutSnapshotBlock", id="ebs-throttled"),
        pytest.param(refused("ConcurrentSnapshotLimitExceeded"), CloudBusy, "busy", id="snapshots-at-once"),
        pytest.param(refused("SnapshotCreationPerVolumeRateExceeded"), CloudBusy, "busy", id="snapshot-rate"),
        pytest.param(refused("Whatever", status=500), CloudBusy, "busy", id="fault-of-aws"),
        pytest.param(refused("ResourceLimitExceeded"), CloudRefused, "Service Quotas", id="quota"),
        pytest.param(refused("ServiceQuotaExceededException", status=503), CloudRefused, "quota", id="quota-503"),
        pytest.param(refused("403", "HeadObject", 403), CloudRefused, "s3:GetObject", id="head-denied"),
        pytest.param(
            refused("AccessDeniedException", "GetSnapshotBlock"), CloudRefused, "kms:Decrypt", id="key-denied"
        ),
        pytest.param(refused("UnauthorizedOperation", "DeleteSnapshot"), CloudRefused, "DeleteSnapshot", id="denied"),
        pytest.param(refused("ExpiredToken"), CloudRefused, "expired", id="expired"),
        pytest.param(refused("InvalidParameterValue"), CloudRefused, "as AWS says", id="wrong"),
        pytest.param(
            refused("OutboundWebIdentityFederationDisabledException", "GetWebIdentityToken"),
            SignInRefused,
            "aws iam enable-outbound-web-identity-federation",
            id="federation",
        ),
        pytest.param(
            refused("ServiceQuotaExceededException", "StartFailbackLaunch", 402), CloudRefused, "quota", id="drs-quota"
        ),
        pytest.param(refused("", "StartFailbackLaunch", 402), CloudRefused, "Service Quotas", id="drs-402"),
        pytest.param(refused("ThrottlingException", "StopFailback", 429), CloudBusy, "busy", id="drs-throttled"),
        pytest.param(refused("InternalServerException", "StopFailback", 500), CloudBusy, "busy", id="drs-fault"),
        pytest.param(
            refused("UninitializedAccountException", "DescribeRecoveryInstances"),
            CloudRefused,
            "DRS isn't set up in this Region",
            id="drs-not-set-up",
        ),
        pytest.param(
            refused("AccessDeniedException", "DescribeRecoveryInstances", 403),
            CloudRefused,
            "drs:DescribeRecoveryInstances",
            id="drs-denied",
        ),
        pytest.param(refused("AccessDenied", "AssumeRole", 403), CloudRefused, "trust", id="role-denied"),
        pytest.param(
            refused("RulesPerSecurityGroupLimitExceeded", "AuthorizeSecurityGroupIngress"),
            CloudRefused,
            "quota",
            id="rules",
        ),
        pytest.param(EndpointConnectionError(endpoint_url="https://s3"), CloudUnreachable, "network", id="no-network"),
        pytest.param(ReadTimeoutError(endpoint_url="https://s3"), CloudUnreachable, "in time", id="time-out"),
        pytest.param(IncompleteReadError(actual_bytes=1, expected_bytes=2), CloudUnreachable, "2", id="broken-off"),
        pytest.param(NoCredentialsError(), CloudRefused, "credentials", id="no-credentials"),
    ],
)
def test_each_error_has_its_word(error: Exception, ours: type[Exception], says: str) -> None:
    assert isinstance(error, foreign())
    translated = translate(error)
    assert type(translated) is ours
    assert says in str(translated)
