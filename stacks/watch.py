"""What wakes the watcher: every minute, and each event on the state of a failback."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import Stack
    from aws_cdk.aws_lambda import Function as LambdaFunction

# DRS user guide, "Alarm events and EventBridge": no event tells of a server that's ready for launch, hence the clock.
FAILBACK_EVENT = "DRS Recovery Instance Failback State Change"
MINUTES = 1


def add_watch(stack: Stack, watcher: LambdaFunction) -> None:
    """Two rules. What is lost isn't tried again: a minute later the watcher looks at everything anyway."""
    from aws_cdk import Duration
    from aws_cdk import aws_events as events
    from aws_cdk import aws_events_targets as targets

    minute = Duration.minutes(MINUTES)
    watcher.configure_async_invoke(retry_attempts=0, max_event_age=minute)
    clock = events.Rule(
        stack, "WatchClock", description="Looks at all that wait", schedule=events.Schedule.rate(minute)
    )
    pattern = events.EventPattern(source=["aws.drs"], detail_type=[FAILBACK_EVENT])
    told = events.Rule(stack, "WatchEvents", description="Looks when DRS tells of a change", event_pattern=pattern)
    for rule in (clock, told):
        rule.add_target(targets.LambdaFunction(watcher, retry_attempts=0, max_event_age=minute))
