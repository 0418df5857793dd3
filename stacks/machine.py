"""The state machine, from its file: AWS's functions are put in, those of the homes come with the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.accepted import NO_RESOURCE, accept_wildcard
from stacks.functions import machine_arn
from stacks.storage import log_retention

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aws_cdk import Stack
    from aws_cdk.aws_lambda import Function as LambdaFunction
    from aws_cdk.aws_stepfunctions import StateMachine

    from failback.model.deployment import Deployment
    from stacks.assets import Function
from stacks.storage import Storage

DEFINITION = "statemachine/failback.asl.json"


def add_machine(
    stack: Stack, root: Path, deployment: Deployment, storage: Storage, functions: Mapping[Function, LambdaFunction]
) -> StateMachine:
    """The state machine, named as the deployment; it may call the stages' functions and run its own children."""
    from aws_cdk import RemovalPolicy
    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_logs as logs
    from aws_cdk import aws_stepfunctions as states

    group = logs.LogGroup(
        stack,
        "MachineLogs",
        log_group_name=f"/aws/vendedlogs/states/{deployment.name}",
        retention=log_retention(deployment),
        encryption_key=storage.key,
        removal_policy=storage.removal,
    )
    stages = {function: made for function, made in functions.items() if function.part == "stages"}
    # The state repeats with each event what the run log holds anyway; without it a log line stays small, and no home's
    # ids spread. The console shows inputs and outputs of 90 days regardless.
    logged = states.LogOptions(destination=group, level=states.LogLevel.ALL, include_execution_data=False)
    machine = states.StateMachine(
        stack,
        "Machine",
        state_machine_name=deployment.name,
        definition_body=states.DefinitionBody.from_file(str(root / DEFINITION)),
        definition_substitutions={
            function.stage: made.function_arn for function, made in stages.items() if not function.home
        },
        logs=logged,
        tracing_enabled=True,
        removal_policy=RemovalPolicy.DESTROY,
    )
    arns = [made.function_arn for made in stages.values()]
    machine.add_to_role_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=arns))
    _let_map_run(stack, machine, deployment)
    _let_parts_run(stack, machine)
    accept_wildcard(machine, stack, "*", NO_RESOURCE)
    return machine


def _let_map_run(stack: Stack, machine: StateMachine, deployment: Deployment) -> None:
    """What a Distributed Map asks of its machine's role (Step Functions developer guide, "IAM policies for using
    Distributed Map"). The ARNs come from the name: the machine itself waits for its role's policy."""
    from aws_cdk import aws_iam as iam

    own = machine_arn(stack, deployment)
    executions = own.replace(":stateMachine:", ":execution:")
    children, parts = f"{executions}/*", f"{executions}:*"
    machine.add_to_role_policy(iam.PolicyStatement(actions=["states:StartExecution"], resources=[own]))
    on_children = ["states:DescribeExecution", "states:StopExecution"]
    machine.add_to_role_policy(iam.PolicyStatement(actions=on_children, resources=[children, parts]))
    accept_wildcard(machine, stack, children, "A child's name comes from its map run; all are this machine's own.")
    accept_wildcard(machine, stack, parts, "A part's name comes from whoever starts its run; all are this machine's.")


def _let_parts_run(stack: Stack, machine: StateMachine) -> None:
    """What waiting for an execution's end asks of its starter's role, besides what the Map does (Step Functions
    developer guide, "Start a new execution", startExecution.sync): the rule by which Step Functions itself hears of
    that end."""
    from aws_cdk import ArnFormat
    from aws_cdk import aws_iam as iam

    rule = stack.format_arn(
        service="events",
        resource="rule",
        resource_name="StepFunctionsGetEventsForStepFunctionsExecutionRule",
        arn_format=ArnFormat.SLASH_RESOURCE_NAME,
    )
    actions = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
    machine.add_to_role_policy(iam.PolicyStatement(actions=actions, resources=[rule]))
