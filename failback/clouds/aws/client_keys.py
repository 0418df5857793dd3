"""Keys for a client machine by STS, good for an hour and for one recovery instance only.

Actions as in AWS's managed policy AWSElasticDisasterRecoveryFailbackInstallationPolicy, version 3. It's unconfirmed
that they're enough when the session policy allows them on that one recovery instance instead of on all.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import SecretStr

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

# The most that AWS gives a role that assumes another one; the client needs its keys until it's paired, some minutes.
SECONDS = 3600

EVERYWHERE = (
    "DescribeRecoveryInstances",
    "DescribeSourceServers",
    "SendClientLogsForDrs",
    "SendClientMetricsForDrs",
)
"""Calls that take no resource."""

ON_THE_INSTANCE = (
    "AssociateFailbackClientToRecoveryInstanceForDrs",
    "GetSuggestedFailbackClientDeviceMappingForDrs",
    "IssueAgentCertificateForDrs",
    "TagResource",
    "UpdateAgentReplicationInfoForDrs",
    "UpdateFailbackClientDeviceMappingForDrs",
)


class StsKeyMint:
    """A KeyMint. The role's own policy bounds what it can give; the session's bounds it to the recovery instance."""

    def __init__(self, sts: STSClient) -> None:
        self._sts = sts

    def mint(self, role: str, *, session: str, instance_arn: str) -> tuple[SecretStr, SecretStr, SecretStr]:
        keys = self._sts.assume_role(
            RoleArn=role, RoleSessionName=session, Policy=session_policy(instance_arn), DurationSeconds=SECONDS
        )["Credentials"]
        return (
            SecretStr(keys["AccessKeyId"]),
            SecretStr(keys["SecretAccessKey"]),
            SecretStr(keys["SessionToken"]),
        )  # fmt: skip


def session_policy(instance_arn: str) -> str:
    """What a client may do with its keys, as JSON without blanks: STS takes 2,048 characters."""
    statements = [_allow(EVERYWHERE, "*"), _allow(ON_THE_INSTANCE, instance_arn)]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))


def _allow(actions: tuple[str, ...], resource: str) -> dict[str, object]:
    return {"Effect": "Allow", "Action": [f"drs:{action}" for action in actions], "Resource": resource}
