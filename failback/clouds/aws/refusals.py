"""AWS's errors in our own vocabulary: what passes by itself, what doesn't, and what to do about it.

Source of the codes: botocore's service models, and EC2's, S3's and DynamoDB's pages on error codes. DRS tells a quota
by the status 402.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.clouds.aws.answers import code_of, status_of
from failback.errors import CloudBusy, CloudRefused, CloudUnreachable, SignInRefused

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

    from failback.errors import FailbackError

BUSY = frozenset(
    {
        "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
        "RequestLimitExceeded", "TooManyRequestsException", "SlowDown", "BandwidthLimitExceeded", "RequestTimeout",
        "RequestTimeoutException", "ProvisionedThroughputExceededException", "PriorRequestNotComplete",
        "TransactionInProgressException", "InternalError", "InternalFailure", "InternalServerError",
        "InternalServerException", "InternalServiceError", "ServiceUnavailable", "Unavailable", "OperationAborted",
        "SnapshotCreationPerVolumeRateExceeded", "ConcurrentSnapshotLimitExceeded", "ConcurrentLimitExceededException",
    }
)  # fmt: skip
"""Throttling, faults of the service, and limits of what may go on at once: all pass without anybody doing anything."""

FULL = frozenset(
    {
        "ResourceLimitExceeded", "ServiceQuotaExceededException", "SnapshotLimitExceeded", "AMIQuotaExceeded",
        "InstanceLimitExceeded", "VolumeLimitExceeded", "LimitExceededException", "TagLimitExceeded", "QuotaExceeded",
        "RulesPerSecurityGroupLimitExceeded",
    }
)  # fmt: skip
"""Quotas of what may be there: somebody has to remove something or ask for more."""

_PAYMENT_REQUIRED = 402

DENIED = frozenset(
    {
        "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedAccess", "AuthFailure", "403",
        "Forbidden", "AllAccessDisabled", "KMS.AccessDeniedException", "OptInRequired",
    }
)  # fmt: skip

STALE = frozenset(
    {
        "ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "InvalidAccessKeyId",
        "SignatureDoesNotMatch", "UnrecognizedClientException", "MissingAuthenticationTokenException",
        "RequestTimeTooSkewed",
    }
)  # fmt: skip

NOT_SET_UP = "UninitializedAccountException"

NO_FEDERATION = frozenset({"OutboundWebIdentityFederationDisabled", "OutboundWebIdentityFederationDisabledException"})

RIGHTS = {
    "HeadObject": "s3:GetObject (and s3:ListBucket)",
    "ListObjectsV2": "s3:ListBucket",
    "CreateMultipartUpload": "s3:PutObject (and s3:PutObjectTagging)",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "ListParts": "s3:ListMultipartUploadParts",
    "PutObject": "s3:PutObject (and s3:PutObjectTagging)",
    "GetSnapshotBlock": "ebs:GetSnapshotBlock (and kms:Decrypt on the key of an encrypted snapshot)",
    "StartSnapshot": "ebs:StartSnapshot (and ec2:CreateTags; with encryption by default kms:GenerateDataKey*)",
    "RegisterImage": "ec2:RegisterImage (and ec2:CreateTags)",
    "AuthorizeSecurityGroupIngress": "ec2:AuthorizeSecurityGroupIngress (and ec2:CreateTags)",
    "SendCommand": "ssm:SendCommand (on the document and on the instance)",
    "ModifyNetworkInterfaceAttribute": "ec2:ModifyNetworkInterfaceAttribute (on the interface and on its new groups)",
    "AssumeRole": "sts:AssumeRole (or the role doesn't trust the stage's)",
    "DescribeRecoveryInstances": "drs:DescribeRecoveryInstances",
    "DescribeSourceServers": "drs:DescribeSourceServers",
    "GetFailbackReplicationConfiguration": "drs:GetFailbackReplicationConfiguration",
    "UpdateFailbackReplicationConfiguration": "drs:UpdateFailbackReplicationConfiguration",
    "StopFailback": "drs:StopFailback",
    "TagResource": "drs:TagResource",
    "UntagResource": "drs:UntagResource",
}
"""Operations whose right has another name, or that need more than one."""


def foreign() -> tuple[type[Exception], ...]:
    """boto3's errors, which `translate` takes."""
    from botocore.exceptions import BotoCoreError, ClientError

    return (ClientError, BotoCoreError)


def translate(error: Exception) -> FailbackError:
    """One of boto3's errors as one of ours."""
    from botocore.exceptions import ClientError

    return _answered(error) if isinstance(error, ClientError) else _unanswered(error)


def _answered(error: ClientError) -> FailbackError:
    code, operation = code_of(error), error.operation_name
    said = f"{operation}: {error.response.get('Error', {}).get('Message') or code} ({code})"
    if code in NO_FEDERATION:
        return SignInRefused(
            f"{said}. Outbound web identity federation isn't enabled in this account. Enable it once by 'aws iam "
            "enable-outbound-web-identity-federation', and trust the issuer that it names at home."
        )
    if code == NOT_SET_UP:
        return CloudRefused(
            f"DRS isn't set up in this Region: {said}. Recovery instances are where it is: deploy there, or initialise "
            "it by DRS's console first."
        )
    if code in BUSY or (status_of(error) in {429, 500, 502, 503, 504} and code not in FULL):
        return CloudBusy(f"AWS is busy: {said}. It's tried again by itself; if it stays so, look at AWS's status page.")
    if code in FULL or status_of(error) == _PAYMENT_REQUIRED:
        return CloudRefused(
            f"A quota of this account is used up: {said}. Remove what isn't needed any more, or ask for more in "
            "Service Quotas, and start again."
        )
    if code in DENIED:
        return CloudRefused(
            f"AWS denies a right: {said}. The stage's role lacks {RIGHTS.get(operation, f'the right to {operation}')}, "
            "or a bucket or key policy, an SCP or a permissions boundary takes it away."
        )
    if code in STALE:
        return CloudRefused(
            f"AWS doesn't take the credentials: {said}. They have expired, or aren't those of this account, or the "
            "clock is wrong."
        )
    return CloudRefused(f"AWS refuses {said}. What was asked for can't be; correct it and start again.")


def _unanswered(error: Exception) -> FailbackError:
    from botocore.exceptions import ConnectionError as NotConnected
    from botocore.exceptions import HTTPClientError, IncompleteReadError

    if isinstance(error, NotConnected | HTTPClientError | IncompleteReadError):
        return CloudUnreachable(
            f"AWS can't be reached, or not in time: {error}. It's tried again by itself; if it stays so, check the "
            "function's network and the VPC endpoints it goes by."
        )
    return CloudRefused(
        f"A call of AWS couldn't be made: {error}. Usually credentials or the Region are missing where this runs."
    )
