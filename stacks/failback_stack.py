"""The stack: storage, functions, state machine, the watcher's clock, client machines' roles, targets as parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.aborted import CLEAN_UP, add_clean_up
from stacks.clients import add_clients
from stacks.functions import WATCH, Surroundings, add_function, targets_prefix
from stacks.machine import add_machine
from stacks.storage import add_storage
from stacks.watch import add_watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import App, Stack
    from aws_cdk.aws_lambda import Function as LambdaFunction

    from failback.model.deployment import Deployment
    from stacks.assets import Function, Workshop


def add_stack(app: App, deployment: Deployment, workshop: Workshop) -> Stack:
    """The whole deployment as one stack, called as the deployment; raises PackageIncomplete."""
    from aws_cdk import DefaultStackSynthesizer, Environment, Stack

    stack = Stack(
        app,
        deployment.name,
        description="drs-failback: takes workloads home from AWS Elastic Disaster Recovery",
        env=Environment(region=deployment.region) if deployment.region else None,
        # The embedded AWS has no bootstrap stack whose version could be looked up; the CDK's command checks it anyway.
        synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        analytics_reporting=False,
    )
    storage = add_storage(stack, deployment)
    functions = workshop.functions(deployment.homes)
    around = Surroundings(deployment, storage, functions)
    made = {function: add_function(stack, function, workshop.make(function), around) for function in functions}
    machine = add_machine(stack, workshop.root, deployment, storage, made)
    for function, each in made.items():
        if function.stage == WATCH:
            add_watch(stack, each)
        elif function.stage == CLEAN_UP:
            add_clean_up(stack, deployment, each)
    add_clients(stack, deployment, made)
    _add_targets(stack, deployment)
    outputs = {
        "StateMachineArn": machine.state_machine_arn,
        "RunLogTable": storage.table.table_name,
        "ImageBucket": storage.bucket.bucket_name,
        "TargetsPrefix": targets_prefix(deployment),
        "DecideFunction": f"{deployment.name}-decide",
        **{f"RolesAt{home.capitalize()}": _roles_at(home, made) for home in deployment.homes},
    }
    _add_outputs(stack, outputs)
    return stack


def _roles_at(home: str, made: Mapping[Function, LambdaFunction]) -> str:
    """The roles that sign in at a home: what its federated credentials have to name, one each."""
    roles = [each.role.role_arn for function, each in made.items() if function.home == home and each.role]
    return ", ".join(roles)


def _add_targets(stack: Stack, deployment: Deployment) -> None:
    from aws_cdk import aws_ssm as ssm

    for target in deployment.targets:
        ssm.StringParameter(
            stack,
            f"Target-{target.name}",
            parameter_name=f"{targets_prefix(deployment)}/{target.name}",
            description=f"Target of {deployment.name} in {target.home}",
            string_value=target.model_dump_json(),
        )


def _add_outputs(stack: Stack, outputs: Mapping[str, str]) -> None:
    from aws_cdk import CfnOutput

    for name, value in outputs.items():
        CfnOutput(stack, name, value=value)
