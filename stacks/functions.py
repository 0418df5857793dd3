"""One Lambda function and one role for each stage and door; at home, for each stage and enabled home."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.doorway import METRICS_NAMESPACE
from failback.naming import client_role_name
from stacks.accepted import NO_RESOURCE, accept, accept_wildcard
from stacks.assets import GRUB, GRUB_STAGES
from stacks.permissions import Places, statements
from stacks.storage import log_retention

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk import Stack
    from aws_cdk.aws_iam import Role
    from aws_cdk.aws_lambda import Function as LambdaFunction
    from aws_cdk.aws_logs import LogGroup

    from failback.model.deployment import Deployment
    from stacks.assets import Asset, Function
    from stacks.storage import Storage

FIRST_STAGE = "check_request"
"""The stage that tells the run which functions work at its home."""
WATCH = "watch"
"""The door that looks at everybody who waits."""
HOOK_STAGES = ("check_request",)
"""Who judges whether the functions and documents that a request names may be called."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all functions share."""

    deployment: Deployment
    storage: Storage
    functions: Sequence[Function]

    @property
    def targets(self) -> str:
        """The prefix of the parameters that hold the targets."""
        return targets_prefix(self.deployment)


def targets_prefix(deployment: Deployment) -> str:
    """Where a deployment's targets are kept, without a slash at its end."""
    return f"/{deployment.name}/targets"


def machine_arn(stack: Stack, deployment: Deployment) -> str:
    """The state machine's ARN from its name: functions that answer it can't wait until it's made."""
    return f"arn:{stack.partition}:states:{stack.region}:{stack.account}:stateMachine:{deployment.name}"


def function_arn(stack: Stack, deployment: Deployment, name: str) -> str:
    """A function's ARN from its name: those that call each other can't wait until both are made."""
    return f"arn:{stack.partition}:lambda:{stack.region}:{stack.account}:function:{deployment.name}-{name}"


def client_role_arn(stack: Stack, deployment: Deployment, target: str) -> str:
    """The ARN of AWS's role for a target's client machines, from its name."""
    return f"arn:{stack.partition}:iam::{stack.account}:role/{client_role_name(deployment.name, target)}"


def add_function(stack: Stack, function: Function, asset: Asset, around: Surroundings) -> LambdaFunction:
    """The function with its role and its log group."""
    from aws_cdk import AssetHashType, Duration
    from aws_cdk import aws_lambda as lambda_

    logs = _logs(stack, function, around)
    made = lambda_.Function(
        stack,
        _id(function),
        function_name=f"{around.deployment.name}-{function.name}",
        description=function.contract.summary,
        runtime=lambda_.Runtime(f"python{around.deployment.python}", lambda_.RuntimeFamily.PYTHON),
        architecture=lambda_.Architecture.X86_64,
        handler=function.handler,
        code=lambda_.Code.from_asset(str(asset.folder), asset_hash=asset.digest, asset_hash_type=AssetHashType.CUSTOM),
        memory_size=function.contract.memory_mib,
        timeout=Duration.seconds(function.contract.timeout_seconds),
        tracing=lambda_.Tracing.ACTIVE,
        environment=dict(_environment(stack, function, around)),
        log_group=logs,
        role=_role(stack, function, logs, around),
    )
    accept(
        made,
        "AwsSolutions-L1",
        "The deployment file names the Python; the packages beside the function are compiled for that one.",
    )
    return made


def _id(function: Function) -> str:
    return "".join(word.capitalize() for word in function.name.split("-"))


def _logs(stack: Stack, function: Function, around: Surroundings) -> LogGroup:
    from aws_cdk import aws_logs as logs

    return logs.LogGroup(
        stack,
        f"{_id(function)}Logs",
        log_group_name=f"/aws/lambda/{around.deployment.name}-{function.name}",
        retention=log_retention(around.deployment),
        encryption_key=around.storage.key,
        removal_policy=around.storage.removal,
    )


def _role(stack: Stack, function: Function, logs: LogGroup, around: Surroundings) -> Role:
    """The function's role: its contract, and writing to its own log."""
    from aws_cdk import aws_iam as iam

    principal = iam.ServicePrincipal("lambda.amazonaws.com")
    role = iam.Role(stack, f"{_id(function)}Role", assumed_by=principal, description=function.contract.summary)
    logs.grant_write(role)
    for each in statements(function.contract, _places(stack, function, around)):
        allowed = iam.PolicyStatement(
            actions=list(each.actions), resources=list(each.resources), conditions=each.conditions
        )
        role.add_to_policy(allowed)
        for resource in each.resources:
            if resource.endswith(("/*", ":*")):
                accept_wildcard(role, stack, resource, each.why)
    accept_wildcard(role, stack, "*", NO_RESOURCE)
    return role


def _places(stack: Stack, function: Function, around: Surroundings) -> Places:
    deployment, storage, home = around.deployment, around.storage, function.home
    return Places(
        partition=stack.partition,
        region=stack.region,
        account=stack.account,
        bucket=storage.bucket.bucket_arn,
        table=storage.table.table_arn,
        key=storage.key.key_arn,
        targets=f"arn:{stack.partition}:ssm:{stack.region}:{stack.account}:parameter{around.targets}",
        audiences=[word for name in deployment.homes if name == home for word in deployment.audiences(name)],
        secrets=[arn for name in deployment.homes if name == home for arn in deployment.secrets(name)],
        snapshot_keys=deployment.snapshot_keys,
        machine=machine_arn(stack, deployment),
        client_roles=[client_role_arn(stack, deployment, name) for name in deployment.targets_with_keys(home)],
        watcher=function_arn(stack, deployment, WATCH),
        hooks=deployment.hooks,
        documents=deployment.documents,
    )


def _environment(stack: Stack, function: Function, around: Surroundings) -> Mapping[str, str]:
    """What failback.settings reads, and Powertools."""
    own = {
        "FAILBACK_STAGE": function.stage,
        "FAILBACK_TABLE": around.storage.table.table_name,
        "FAILBACK_BUCKET": around.storage.bucket.bucket_name,
        "FAILBACK_TARGETS": around.targets,
        "FAILBACK_DEADLINE_MINUTES": str(function.contract.deadline_minutes),
        "POWERTOOLS_SERVICE_NAME": function.stage,
        "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }
    if function.home:
        own["FAILBACK_HOME"] = function.home
        own["FAILBACK_CLIENT_ROLES"] = client_role_arn(stack, around.deployment, "")
    if function.stage in GRUB_STAGES:
        own["FAILBACK_GRUB"] = GRUB
    if "watcher" in function.contract.allow:
        own["FAILBACK_WATCHER"] = f"{around.deployment.name}-{WATCH}"
    if "state_machine" in function.contract.allow:
        own["FAILBACK_STATE_MACHINE"] = machine_arn(stack, around.deployment)
    if function.stage in HOOK_STAGES:
        allowed = {"functions": around.deployment.hooks, "documents": around.deployment.documents}
        own["FAILBACK_HOOKS"] = json.dumps(allowed, separators=(",", ":"))
    if function.stage == FIRST_STAGE:
        own["FAILBACK_FUNCTIONS"] = json.dumps(_home_functions(around), separators=(",", ":"), sort_keys=True)
    return own


def _home_functions(around: Surroundings) -> dict[str, dict[str, str]]:
    """Names of the functions at home, by home and stage."""
    named: dict[str, dict[str, str]] = {}
    for function in around.functions:
        if function.home:
            named.setdefault(function.home, {})[function.stage] = f"{around.deployment.name}-{function.name}"
    return named
