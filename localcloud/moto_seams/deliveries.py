"""Seams in EventBridge: events and schedules reach state machines and functions; executions tell of their end."""

from __future__ import annotations

import json
import uuid
from collections import deque
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from failback.errors import LocalCloudError
from localcloud.events import target_input
from localcloud.moto_seams.functions import ACCOUNT
from localcloud.schedules import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from localcloud.lambda_runner.runner import LambdaRunner
    from localcloud.moto_seams.functions import MotoFunctions
    from localcloud.moto_seams.pins import Inside, Swaps

_RULE = "moto.events.models:Rule.send_to_targets"
_ENDED = "moto.stepfunctions.parser.backend.execution:BaseExecutionWorkerCommunication.terminated"
_OURS = frozenset({"states", "lambda"})
UNDELIVERED_KEPT = 100


class Deliveries:
    """Hands a payload to whatever an ARN names."""

    def __init__(self, runner: LambdaRunner, functions: MotoFunctions) -> None:
        self._runner, self._functions = runner, functions
        self.undelivered: deque[str] = deque(maxlen=UNDELIVERED_KEPT)

    def deliver(self, target: Mapping[str, Any], event: Mapping[str, Any], *, rule_arn: str) -> None:
        """Start the target's state machine, or queue the event for its function.

        What can't be delivered fails no caller, as in EventBridge; `undelivered` says why.
        """
        from moto.core.exceptions import AWSError

        try:
            self._hand_over(target["Arn"], target_input(target, event, rule_arn=rule_arn))
        except (LocalCloudError, AWSError) as error:
            self.undelivered.append(f"{rule_arn} -> {target['Arn']}: {error}")

    def _hand_over(self, arn: str, payload: str) -> None:
        _, _, service, region, *_ = arn.split(":")
        if service == "states":
            from moto.stepfunctions.parser.models import stepfunctions_parser_backends

            stepfunctions_parser_backends[ACCOUNT][region].start_execution(arn, str(uuid.uuid4()), payload)
            return
        function = self._functions.find(arn, region=region, qualifier=None) if service == "lambda" else None
        if function is None:
            message = (
                f"An event can't be delivered to {arn}: nothing of that name is deployed, or its kind isn't known."
            )
            raise LocalCloudError(message)
        self._runner.enqueue(function, payload.encode())

    def schedules(self) -> Iterator[Schedule]:
        """Every enabled rule and schedule that goes by the clock."""
        from moto.events.models import events_backends
        from moto.scheduler.models import scheduler_backends

        for region, events in list(events_backends[ACCOUNT].items()):
            for bus in list(events.event_buses.values()):
                for rule in list(bus.rules.values()):
                    if rule.scheduled_expression and rule.state == "ENABLED":
                        yield Schedule(rule.arn, rule.scheduled_expression, partial(self._fire_rule, rule, region))
        for scheduler in list(scheduler_backends[ACCOUNT].values()):
            for group in list(scheduler.schedule_groups.values()):
                for each in list(group.schedules.values()):
                    if each.state == "ENABLED":
                        fire = partial(self._fire_schedule, each)
                        yield Schedule(each.arn, each.schedule_expression, fire, each.schedule_expression_timezone)

    def _fire_rule(self, rule: Inside, region: str, now: datetime) -> None:
        event = _scheduled_event("aws.events", rule.arn, region, now)
        for target in list(rule.targets):
            self.deliver(target, event, rule_arn=rule.arn)

    def _fire_schedule(self, schedule: Inside, now: datetime) -> None:
        event = _scheduled_event("aws.scheduler", schedule.arn, schedule.arn.split(":")[3], now)
        self.deliver(schedule.target, event, rule_arn=schedule.arn)


def seam_deliveries(swaps: Swaps, deliveries: Deliveries) -> None:
    """Deliver to state machines and functions, which moto can't, and put an event when an execution ends."""
    from moto.events.models import Rule
    from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication

    send, terminated = Rule.send_to_targets, BaseExecutionWorkerCommunication.terminated

    def send_to_all(rule: Inside, original_event: Inside, transform_input: bool = True) -> None:
        if rule.state != "ENABLED" or not rule.event_pattern.matches_event(original_event):
            return
        event = _as_sent(original_event)
        ours = [target for target in rule.targets if target["Arn"].split(":")[2] in _OURS]
        for target in ours:
            deliveries.deliver(target, event, rule_arn=rule.arn)
        rest: Inside = Rule.__new__(Rule)
        rest.__dict__.update(rule.__dict__, targets=[target for target in rule.targets if target not in ours])
        send(rest, original_event, transform_input)

    def terminated_and_told(told: Inside) -> None:
        # One that was stopped has ended then, and not when the function that it waited for comes back.
        if not getattr(told.execution, "is_stopped", False):
            terminated(told)
            put_end(told.execution)

    swaps.function(_RULE, send_to_all)
    swaps.function(_ENDED, terminated_and_told)


def _as_sent(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event as a target sees it: moto keeps its time as seconds since 1970."""
    return {key: _time(value) if key in {"time", "ingestion-time"} else value for key, value in event.items()}


def _time(value: object) -> object:
    if isinstance(value, int | float):
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return value


def _scheduled_event(source: str, arn: str, region: str, now: datetime) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": source,
        "account": ACCOUNT,
        "time": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "region": region,
        "resources": [arn],
        "detail": {},
    }


def put_end(execution: Inside) -> None:
    """The event of Step Functions on an execution's end (user guide, "Step Functions events in EventBridge")."""
    from moto.events.models import events_backends

    milliseconds = [int(date.timestamp() * 1000) for date in (execution.start_date, execution.stop_date)]
    detail = {
        "executionArn": execution.execution_arn,
        "stateMachineArn": execution.state_machine_arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": milliseconds[0],
        "stopDate": milliseconds[1],
        "input": execution.execution_input,
        "output": json.dumps(execution.output) if execution.status == "SUCCEEDED" else None,
        "error": execution.error,
        "cause": execution.cause,
    }
    event = {
        "Source": "aws.states",
        "DetailType": "Step Functions Execution Status Change",
        "Resources": [execution.execution_arn],
        "Detail": json.dumps(detail),
    }
    events_backends[ACCOUNT][execution.region_name].put_events([event])
