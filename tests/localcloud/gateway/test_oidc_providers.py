"""CloudFormation makes OIDC providers, and roles that trust them by their ARN."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from localcloud.moto_seams.deploy import unknown_types

if TYPE_CHECKING:
    from tests.localcloud.gateway.conftest import Fixture

ISSUER = "sts.windows.net/11111111-1111-1111-1111-111111111111/"
ARN = f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"


def template(*audiences: str) -> dict[str, Any]:
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": {"Fn::GetAtt": ["Issuer", "Arn"]}},
        "Condition": {"StringEquals": {f"{ISSUER}:sub": "machine", f"{ISSUER}:aud": audiences[0]}},
    }
    role = {"RoleName": "client", "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}}
    provider = {"Url": f"https://{ISSUER}", "ClientIdList": list(audiences)}
    return {
        "Resources": {
            "Client": {"Type": "AWS::IAM::Role", "Properties": role},
            "Issuer": {"Type": "AWS::IAM::OIDCProvider", "Properties": provider},
        },
        "Outputs": {"Issuer": {"Value": {"Ref": "Issuer"}}},
    }


def test_a_role_trusts_the_provider_that_was_made_with_it(cloud: Fixture) -> None:
    stacks, iam = cloud.client("cloudformation"), cloud.client("iam")
    assert not unknown_types(template("api://a"))
    stacks.create_stack(StackName="oidc", TemplateBody=json.dumps(template("api://a")))
    stack = stacks.describe_stacks(StackName="oidc")["Stacks"][0]
    assert (stack["StackStatus"], stack["Outputs"][0]["OutputValue"]) == ("CREATE_COMPLETE", ARN)
    (statement,) = iam.get_role(RoleName="client")["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Federated": ARN}
    assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=ARN)["ClientIDList"] == ["api://a"]
    stacks.update_stack(StackName="oidc", TemplateBody=json.dumps(template("api://a", "api://b")))
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=ARN)
    assert (found["Url"], found["ClientIDList"]) == (ISSUER, ["api://a", "api://b"])
    stacks.delete_stack(StackName="oidc")
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_open_id_connect_provider(OpenIDConnectProviderArn=ARN)
