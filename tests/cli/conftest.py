"""A deployment to command: the embedded AWS's state machines and tables, with a machine of the product's outcomes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import boto3
import pytest
from typer.testing import CliRunner, Result

from cli.deployment import Deployment, Where, connect_stack
from cli.main import app
from failback.clouds.aws.run_log import DynamoRunLog
from localcloud.gateway.run import AwsSettings, run_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

Sdk: TypeAlias = Any
"""Something made at run time (an SDK's client, JSON) that has no type."""

STACK = "drs-failback"
REGION = "eu-west-1"
REFUSAL = "The request can't be run: target: there is no target 'refused'; this deployment has: home. Nothing was made."

MACHINE = {
    "StartAt": "which",
    "States": {
        "which": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.target", "StringEquals": name, "Next": name} for name in ("refused", "broken", "long")
            ],
            "Default": "a_while",
        },
        "refused": {
            "Type": "Fail",
            "Error": "RequestInvalid",
            "Cause": json.dumps({"errorType": "RequestInvalid", "errorMessage": REFUSAL}),
        },
        "broken": {"Type": "Fail", "Error": "CloudRefused", "Cause": "build_image: AWS denies a right"},
        "long": {"Type": "Wait", "Seconds": 3600, "End": True},
        "a_while": {"Type": "Wait", "Seconds": 1, "Next": "home"},
        "home": {"Type": "Succeed"},
    },
}

TABLE = {
    "Type": "AWS::DynamoDB::Table",
    "Properties": {
        "TableName": "runs",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "kind", "started")
        ],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "recent",
                "KeySchema": [
                    {"AttributeName": "kind", "KeyType": "HASH"},
                    {"AttributeName": "started", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    },
}
TEMPLATE = {
    "Resources": {
        "Runs": TABLE,
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {"RoleName": "machine", "AssumeRolePolicyDocument": {"Version": "2012-10-17"}},
        },
        "Machine": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "StateMachineName": "failback",
                "DefinitionString": json.dumps(MACHINE),
                "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
            },
        },
    },
    "Outputs": {"StateMachineArn": {"Value": {"Ref": "Machine"}}, "RunLogTable": {"Value": {"Ref": "Runs"}}},
}


@dataclass(frozen=True, slots=True)
class Cloud:
    """An AWS with the product's stack; `variables` are those by which AWS's SDK finds it, as a user sets them."""

    url: str
    variables: dict[str, str]
    states: Sdk
    run_log: DynamoRunLog
    deployment: Deployment

    def run(self, *words: str, **environment: str) -> Result:
        """A command against it, with the pauses of tests."""
        return CliRunner().invoke(app, words, obj=self.deployment, env=environment)

    def by_stack(self, *words: str, **more: str) -> Result:
        """A command that finds the deployment itself."""
        return CliRunner().invoke(app, words, env={**self.variables, **more})


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("aws")
    with run_aws(AwsSettings(folder, wait_scale=0.4)) as aws:
        session: Sdk = boto3.session.Session("local", "local", region_name=REGION)
        clouds = session.client("cloudformation", endpoint_url=aws.url)
        clouds.create_stack(StackName=STACK, TemplateBody=json.dumps(TEMPLATE))
        clouds.create_stack(StackName="other", TemplateBody=json.dumps({"Resources": {}}))
        variables = {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": str(folder / "none"),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
            "FAILBACK_STACK": STACK,
            "DRS_FAILBACK_LOCAL": str(folder / "local"),
        }
        with pytest.MonkeyPatch.context() as environment:
            for name, value in variables.items():
                environment.setenv(name, value)
            deployment = replace(connect_stack(Where(local=folder, stack=STACK)), interval=0.05)
        run_log = DynamoRunLog(session.client("dynamodb", endpoint_url=aws.url), "runs")
        yield Cloud(aws.url, variables, session.client("stepfunctions", endpoint_url=aws.url), run_log, deployment)
