"""Deploys a cloud assembly (the CDK's `cdk.out`) into the embedded AWS, through CloudFormation as everybody does.

Source: cloud assembly schema (aws-cdk-lib, `cloud-assembly-schema`): manifest.json, <stack>.assets.json.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from failback.errors import LocalCloudError, RuntimeMismatch
from failback.model.target import HomeName
from localcloud.accounts import ACCOUNT
from localcloud.lambda_runner.function import RUNTIME
from localcloud.moto_seams.deploy import refuse_unknown_types

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from localcloud.embedded.clouds import Client, EmbeddedClouds

Json = dict[str, Any]
_FINISHED = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})


@dataclass(frozen=True, slots=True)
class Asset:
    """A file or folder that the template refers to by bucket and key."""

    source: Path
    is_folder: bool
    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Assembly:
    """One stack of a cloud assembly."""

    stack: str
    template: Json
    assets: tuple[Asset, ...] = ()


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a deployment gave: the stack's name, its outputs, and the functions it made, by name."""

    stack: str
    outputs: Mapping[str, str] = field(default_factory=dict)
    functions: tuple[str, ...] = ()


def read_assembly(folder: Path, *, region: str) -> Assembly:
    """The assembly's only stack; raises LocalCloudError if there isn't exactly one."""
    artifacts: Json = _read(folder / "manifest.json").get("artifacts", {})
    stacks = [(name, each) for name, each in artifacts.items() if each["type"] == "aws:cloudformation:stack"]
    if len(stacks) != 1:
        message = (
            f"{folder} holds {len(stacks)} stacks ({', '.join(name for name, _ in stacks) or 'none'}); the embedded "
            f"clouds deploy one. Synthesise one deployment into a folder of its own."
        )
        raise LocalCloudError(message)
    name, stack = stacks[0]
    properties = stack["properties"]
    listed = [each for each in artifacts.values() if each["type"] == "cdk:asset-manifest"]
    files = [item for each in listed for item in _read(folder / each["properties"]["file"])["files"].values()]
    assets = (asset for item in files for asset in _assets(item, folder, region))
    # The template is sent as it is; nothing reads its copy among the assets.
    others = tuple(asset for asset in assets if asset.source.name != properties["templateFile"])
    return Assembly(properties.get("stackName", name), _read(folder / properties["templateFile"]), others)


def _read(path: Path) -> Json:
    try:
        found: Json = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        message = f"{path} isn't there: this is no cloud assembly, or only half of one. Run `python app.py` again."
        raise LocalCloudError(message) from error
    return found


def _assets(item: Json, folder: Path, region: str) -> list[Asset]:
    source = folder / item["source"]["path"]
    is_folder = item["source"].get("packaging", "file") == "zip"
    places = item["destinations"].values()
    return [Asset(source, is_folder, _filled(each["bucketName"], region), each["objectKey"]) for each in places]


def _filled(text: str, region: str) -> str:
    """The three placeholders that an asset's place may hold."""
    values = {"${AWS::AccountId}": ACCOUNT, "${AWS::Region}": region, "${AWS::Partition}": "aws"}
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def deploy(clouds: EmbeddedClouds, folder: Path) -> Deployed:
    """Create the assembly's stack, or update it, and wait for it.

    Its functions run the files of the assembly's own asset folders. Raises LocalCloudError that says what was refused,
    and RuntimeMismatch for functions of another Python than this one.
    """
    assembly = read_assembly(folder, region=clouds.region)
    refuse_unknown_types(assembly.template)
    check_runtimes(assembly.template)
    _upload(clouds, assembly)
    _put_bootstrap_version(clouds, assembly.template)
    stack = _create_or_update(clouds.client("cloudformation"), assembly)
    resources = _resources(clouds.client("cloudformation"), assembly.stack)
    for bucket in resources.get("AWS::S3::Bucket", ()):
        # CloudFormation keeps the bucket's record; its objects are too large for that.
        clouds.objects.add_bucket(bucket)
    functions = tuple(resources.get("AWS::Lambda::Function", ()))
    _trust_homes(clouds, functions)
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())}
    return Deployed(assembly.stack, outputs, functions)


def check_runtimes(template: Mapping[str, Any]) -> None:
    """Refuse functions of another runtime than this interpreter's; raises RuntimeMismatch that names all of them."""
    functions = {
        name: each["Properties"].get("Runtime")
        for name, each in template.get("Resources", {}).items()
        if each["Type"] == "AWS::Lambda::Function"
    }
    others = [f"{name} ({runtime})" for name, runtime in sorted(functions.items()) if runtime != RUNTIME]
    if others:
        message = (
            f"These functions can't run here, as this is {RUNTIME}: {', '.join(others)}. Their packages hold compiled "
            "files of one Python only. Set the deployment's Python version to this interpreter's, and synthesise it."
        )
        raise RuntimeMismatch(message)


def _upload(clouds: EmbeddedClouds, assembly: Assembly) -> None:
    s3 = clouds.client("s3", s3={"addressing_style": "path"})
    for bucket in sorted({asset.bucket for asset in assembly.assets}):
        s3.create_bucket(Bucket=bucket)
    staged: dict[Path, bytes] = {}
    for asset in assembly.assets:
        if asset.is_folder:
            # Hundreds of megabytes never go through the emulation: a small archive stands for the folder.
            body = staged.setdefault(asset.source, b"") or clouds.code.stage(asset.source)
            staged[asset.source] = body
        else:
            body = asset.source.read_bytes()
        s3.put_object(Bucket=asset.bucket, Key=asset.key, Body=body)


def _put_bootstrap_version(clouds: EmbeddedClouds, template: Mapping[str, Any]) -> None:
    """The parameter by which a CDK template asks whether the account is prepared; here it always is."""
    wanted = template.get("Parameters", {}).get("BootstrapVersion", {}).get("Default")
    if wanted:
        clouds.client("ssm").put_parameter(Name=wanted, Value="999", Type="String", Overwrite=True)


def _create_or_update(stacks: Client, assembly: Assembly) -> Json:
    from botocore.exceptions import ClientError

    text = json.dumps(assembly.template)
    settings = {"StackName": assembly.stack, "TemplateBody": text, "Capabilities": ["CAPABILITY_NAMED_IAM"]}
    known = {each["StackName"] for each in stacks.describe_stacks()["Stacks"]}
    try:
        if assembly.stack in known:
            stacks.update_stack(**settings)
        else:
            stacks.create_stack(**settings)
    except ClientError as error:
        message = f"CloudFormation refuses the stack {assembly.stack}: {error}"
        raise LocalCloudError(message) from error
    stack: Json = stacks.describe_stacks(StackName=assembly.stack)["Stacks"][0]
    if stack["StackStatus"] not in _FINISHED:
        reason = stack.get("StackStatusReason", "no reason is given")
        message = f"The stack {assembly.stack} is {stack['StackStatus']} ({reason}), not complete."
        raise LocalCloudError(message)
    return stack


def _resources(stacks: Client, stack: str) -> dict[str, list[str]]:
    """The stack's resources: physical ids by type."""
    found: dict[str, list[str]] = {}
    for page in stacks.get_paginator("list_stack_resources").paginate(StackName=stack):
        for each in page["StackResourceSummaries"]:
            found.setdefault(each["ResourceType"], []).append(each["PhysicalResourceId"])
    return found


def _trust_homes(clouds: EmbeddedClouds, functions: tuple[str, ...]) -> None:
    """Let the functions that work at a home sign in there; their names end with the home's."""
    service = clouds.client("lambda")
    for name in functions:
        for home in get_args(HomeName):
            if name.endswith(f"-{home}"):
                clouds.trust_role(service.get_function_configuration(FunctionName=name)["Role"], home=home)
