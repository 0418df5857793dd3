"""What STS is asked for: an hour, and a policy that holds to one recovery instance."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from botocore.stub import ANY, Stubber

from failback.clouds.aws.client_keys import StsKeyMint, session_policy
from tests.clouds.aws.embedded import client_at
from tests.memory.clock import NOON

ROLE = "arn:aws:iam::123456789012:role/prod-client-home"
ARN = "arn:aws-us-gov:drs:us-gov-west-1:123456789012:recovery-instance/i-0123456789abcdef0"
# STS, AssumeRole: Policy.
LONGEST_POLICY = 2048


def test_keys_are_asked_for_by_role_session_and_policy() -> None:
    sts = client_at("sts", "http://127.0.0.1:9", attempts=1)
    keys = {"AccessKeyId": "ASIA" + "A" * 16, "SecretAccessKey": "s" * 40, "SessionToken": "t" * 60}
    given = {"RoleArn": ROLE, "RoleSessionName": "web", "Policy": ANY, "DurationSeconds": 3600}
    with Stubber(sts) as stubber:
        credentials = {**keys, "Expiration": NOON + timedelta(hours=1)}
        stubber.add_response("assume_role", {"Credentials": credentials}, given)
        found = StsKeyMint(sts).mint(ROLE, session="web", instance_arn=ARN)
    assert [each.get_secret_value() for each in found] == list(keys.values())


def test_a_policy_holds_to_the_recovery_instance() -> None:
    text = session_policy(ARN)
    assert len(text) <= LONGEST_POLICY
    statements = json.loads(text)["Statement"]
    by_resource = {each["Resource"]: set(each["Action"]) for each in statements if each["Effect"] == "Allow"}
    assert set(by_resource) == {"*", ARN}
    assert "drs:DescribeRecoveryInstances" in by_resource["*"]
    assert "drs:AssociateFailbackClientToRecoveryInstanceForDrs" in by_resource[ARN]
    assert not by_resource["*"] & by_resource[ARN]
    assert not any("*" in action for actions in by_resource.values() for action in actions)


@pytest.mark.parametrize("word", ["Terminate", "Delete", "StartFailbackLaunch", "Disconnect"])
def test_nothing_of_the_recovery_instance_can_be_ended_with_them(word: str) -> None:
    assert word not in session_policy(ARN)
