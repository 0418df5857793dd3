"""A small cloud assembly, made by hand: what the CDK would write for one function at home, a table and a machine."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from localcloud.lambda_runner.function import RUNTIME

if TYPE_CHECKING:
    from pathlib import Path

STACK = "failback-test"
ASSETS = "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"
HANDLER = """
import boto3, os

NOTE = "{note}"


def handle(event, context):
    bucket = os.environ["FAILBACK_BUCKET"]
    boto3.client("s3").put_object(Bucket=bucket, Key="note", Body=NOTE.encode())
    boto3.resource("dynamodb").Table(os.environ["FAILBACK_TABLE"]).put_item(Item={{"pk": "run#1", "sk": "run"}})
    token = boto3.client("sts").get_web_identity_token(Audience=["x"], SigningAlgorithm="RS256")["WebIdentityToken"]
    trust = [os.environ[name] for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")]
    return {{
        "heard": event, "token": token, "trust": trust, "azure": os.environ["FAILBACK_AZURE_ARM"],
        "authority": os.environ["FAILBACK_AZURE_AUTHORITY"], "note": NOTE, "root": os.environ["LAMBDA_TASK_ROOT"],
    }}
"""
MACHINE = {
    "StartAt": "Call",
    "States": {
        "Call": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "${function}", "Payload.$": "$"},
            "OutputPath": "$.Payload",
            "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2}],
            "End": True,
        }
    },
}


@dataclass(frozen=True, slots=True)
class HandMade:
    """What the assembly holds; `note` is part of the function's code."""

    note: str = "first"
    runtime: str = RUNTIME
    extra: tuple[tuple[str, str], ...] = ()

    def with_note(self, note: str) -> HandMade:
        """The same with other code."""
        return replace(self, note=note)

    def write(self, folder: Path) -> Path:
        """Write the assembly into the folder and give it."""
        folder.mkdir(parents=True, exist_ok=True)
        code = HANDLER.format(note=self.note)
        code_hash = hashlib.sha256(code.encode()).hexdigest()
        place = folder / f"asset.{code_hash}"
        place.mkdir(exist_ok=True)
        (place / "app.py").write_text(code)
        text = json.dumps(MACHINE)
        machine_hash = hashlib.sha256(text.encode()).hexdigest()
        (folder / f"asset.{machine_hash}.json").write_text(text)
        files = {
            code_hash: _file(place.name, "zip", f"{code_hash}.zip"),
            machine_hash: _file(f"asset.{machine_hash}.json", "file", f"{machine_hash}.json"),
        }
        (folder / "failback.assets.json").write_text(json.dumps({"version": "1.0", "files": files}))
        template = self._template(f"{code_hash}.zip", f"{machine_hash}.json")
        (folder / "failback.template.json").write_text(json.dumps(template))
        (folder / "manifest.json").write_text(json.dumps(_manifest()))
        return folder

    def _template(self, code_key: str, machine_key: str) -> dict[str, Any]:
        bucket = {"Fn::Sub": ASSETS}
        trust = {"Version": "2012-10-17", "Statement": []}
        role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}
        arn = {"Fn::GetAtt": ["Role", "Arn"]}
        variables = {"FAILBACK_TABLE": {"Ref": "RunLog"}, "FAILBACK_BUCKET": {"Ref": "Images"}}
        function = {
            "FunctionName": "test-import-image-azure", "Runtime": self.runtime, "Handler": "app.handle", "Role": arn,
            "Code": {"S3Bucket": bucket, "S3Key": code_key}, "Timeout": 30, "MemorySize": 256,
            "Environment": {"Variables": variables},
        }  # fmt: skip
        machine = {
            "RoleArn": arn,
            "DefinitionS3Location": {"Bucket": bucket, "Key": machine_key},
            "DefinitionSubstitutions": {"function": {"Fn::GetAtt": ["Function", "Arn"]}},
        }
        keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
        table = {
            "KeySchema": keys, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        }  # fmt: skip
        version = {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/cdk-bootstrap/hnb659fds/version"}
        return {
            "Parameters": {"BootstrapVersion": version},
            "Resources": {
                "Role": role,
                "Images": {"Type": "AWS::S3::Bucket", "Properties": {}},
                "RunLog": {"Type": "AWS::DynamoDB::Table", "Properties": table},
                "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
                "Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": machine},
                **{name: {"Type": kind, "Properties": {}} for name, kind in self.extra},
            },
            "Outputs": {
                "StateMachineArn": {"Value": {"Ref": "Machine"}},
                "RunLogTable": {"Value": {"Ref": "RunLog"}},
                "ImageBucket": {"Value": {"Ref": "Images"}},
            },
        }


def _file(path: str, packaging: str, key: str) -> dict[str, Any]:
    place = {"bucketName": ASSETS, "objectKey": key}
    return {"source": {"path": path, "packaging": packaging}, "destinations": {"here": place}}


def _manifest() -> dict[str, Any]:
    stack = {"type": "aws:cloudformation:stack", "properties": {"templateFile": "failback.template.json"}}
    stack["properties"]["stackName"] = STACK  # type: ignore[index]
    assets = {"type": "cdk:asset-manifest", "properties": {"file": "failback.assets.json"}}
    return {"version": "36.0.0", "artifacts": {"failback": stack, "failback.assets": assets}}
