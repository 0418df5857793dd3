"""What cleans up after executions that ended without giving anything back: no Catch runs where one is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.functions import machine_arn

if TYPE_CHECKING:
    from aws_cdk import Stack
    from aws_cdk.aws_lambda import Function as LambdaFunction

    from failback.model.deployment import Deployment

CLEAN_UP = "clean_up_aborted"
"""The door that it's about."""
# Step Functions developer guide, "Automating Step Functions event delivery with EventBridge". FAILED too: the engine
# itself fails an execution whose history or state is too long; the door leaves alone what was closed.
ENDED = ("ABORTED", "TIMED_OUT", "FAILED")


def add_clean_up(stack: Stack, deployment: Deployment, door: LambdaFunction) -> None:
    """A rule on the end of this machine's own executions; tried again for a day, since nothing else comes."""
    from aws_cdk import Duration
    from aws_cdk import aws_events as events
    from aws_cdk import aws_events_targets as targets

    pattern = events.EventPattern(
        source=["aws.states"],
        detail_type=["Step Functions Execution Status Change"],
        detail={"status": list(ENDED), "stateMachineArn": [machine_arn(stack, deployment)]},
    )
    told = events.Rule(stack, "Aborted", description="Cleans up after stopped executions", event_pattern=pattern)
    told.add_target(targets.LambdaFunction(door, retry_attempts=185, max_event_age=Duration.hours(24)))
