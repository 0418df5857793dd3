"""CloudFormation: state machines from files in buckets run with the functions of the same template."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from failback.errors import LocalCloudError
from localcloud.lambda_runner.function import RUNTIME
from localcloud.moto_seams.deploy import NOT_EMULATED, refuse_unknown_types, unknown_types
from tests.localcloud.gateway.conftest import ROLE, archive

if TYPE_CHECKING:
    from tests.localcloud.gateway.conftest import Fixture, Sdk

MACHINE = {
    "StartAt": "Call",
    "States": {
        "Call": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "${function}", "Payload": {"who": "${who}", "in.$": "$"}},
            "OutputPath": "$.Payload",
            "End": True,
        }
    },
}


def template(who: str) -> dict[str, Any]:
    code = {"S3Bucket": "assets", "S3Key": "code.zip"}
    function = {"Runtime": RUNTIME, "Handler": "app.echo", "Role": ROLE, "Code": code, "Timeout": 10, "MemorySize": 256}
    machine = {
        "RoleArn": ROLE,
        "DefinitionS3Location": {"Bucket": "assets", "Key": "machine.json"},
        "DefinitionSubstitutions": {"function": {"Fn::GetAtt": ["Echo", "Arn"]}, "who": who},
    }
    rule = {
        "EventPattern": {"source": ["deployed"]},
        "Targets": [{"Id": "m", "Arn": {"Ref": "Machine"}, "InputPath": "$.detail", "RoleArn": ROLE}],
    }
    return {
        "Resources": {
            "Echo": {"Type": "AWS::Lambda::Function", "Properties": function},
            "Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": machine},
            "Rule": {"Type": "AWS::Events::Rule", "Properties": rule},
            "Meta": {"Type": "AWS::CDK::Metadata", "Properties": {}},
        },
        "Outputs": {
            "Machine": {"Value": {"Ref": "Machine"}},
            "Arn": {"Value": {"Fn::GetAtt": ["Machine", "Arn"]}},
        },
    }


def finished(states: Sdk, machine: str) -> Sdk:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for execution in states.list_executions(stateMachineArn=machine)["executions"]:
            if execution["status"] != "RUNNING":
                return states.describe_execution(executionArn=execution["executionArn"])
        time.sleep(0.03)
    pytest.fail("nothing ended")


def test_a_template_is_deployed_and_runs(cloud: Fixture) -> None:
    s3 = cloud.client("s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="assets", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="assets", Key="code.zip", Body=archive())
    s3.put_object(Bucket="assets", Key="machine.json", Body=json.dumps(MACHINE).encode())
    stacks, states = cloud.client("cloudformation"), cloud.client("stepfunctions")
    refuse_unknown_types(template("first"))
    stacks.create_stack(StackName="s", TemplateBody=json.dumps(template("first")))
    stack = stacks.describe_stacks(StackName="s")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert outputs["Machine"] == outputs["Arn"]
    event = {"Source": "deployed", "DetailType": "x", "Detail": '{"n": 1}'}
    assert cloud.client("events").put_events(Entries=[event])["FailedEntryCount"] == 0
    told = finished(states, outputs["Machine"])
    assert json.loads(told["output"]) == {"who": "first", "in": {"n": 1}}
    stacks.update_stack(StackName="s", TemplateBody=json.dumps(template("second")))
    assert '"who": "second"' in states.describe_state_machine(stateMachineArn=outputs["Machine"])["definition"]
    stacks.delete_stack(StackName="s")
    assert outputs["Machine"] not in str(states.list_state_machines())


def test_types_that_would_be_dropped_are_named() -> None:
    unknown = {"Resources": {"B": {"Type": "AWS::Nobody::Knows"}, "A": {"Type": "AWS::Nobody::Knows"}}}
    assert unknown_types(unknown) == {"AWS::Nobody::Knows": ["A", "B"]}
    with pytest.raises(LocalCloudError, match=r"AWS::Nobody::Knows \(A, B\)"):
        refuse_unknown_types(unknown)
    assert not unknown_types({"Resources": {kind: {"Type": kind} for kind in [*NOT_EMULATED, "Custom::Thing"]}})


def test_a_template_with_a_type_that_nobody_knows_isnt_deployed(cloud: Fixture) -> None:
    unknown = {"Resources": {"A": {"Type": "AWS::Nobody::Knows", "Properties": {}}}}
    with pytest.raises(ClientError, match=r"Unrecognized resource types: \[AWS::Nobody::Knows\]"):
        cloud.client("cloudformation").create_stack(StackName="unknown", TemplateBody=json.dumps(unknown))
