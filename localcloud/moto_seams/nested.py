"""A seam for executions that an execution starts and waits for: moto asks its SDK by the names of the definition.

Source: Step Functions developer guide, "Start a new execution from a running one": startExecution.sync:2 gives what
DescribeExecution says, with capital letters and the output as JSON; one that didn't succeed is a States.TaskFailed.

Unlike in AWS, an execution that's stopped leaves those that it waits for running: AWS promises its best effort only.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localcloud.moto_seams.pins import Inside, Swaps

_SERVICE = (
    "moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn:StateTaskServiceSfn"
)
_TOLD = ("executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate", "error", "cause")


def seam_nested(swaps: Swaps) -> None:
    """Start by the SDK's own names, and wait for the end."""
    swaps.function(f"{_SERVICE}._eval_service_task", _start)
    swaps.function(f"{_SERVICE}._build_sync2_resolver", _end)


def _client(part: Inside, credentials: Inside) -> Inside:
    from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for

    return boto_client_for(service="stepfunctions", region=part.region, state_credentials=credentials)


def _start(
    _service: Inside,
    env: Inside,
    resource_runtime_part: Inside,
    normalised_parameters: Mapping[str, Any],
    state_credentials: Inside,
) -> None:
    given = {f"{name[0].lower()}{name[1:]}": value for name, value in normalised_parameters.items()}
    started = _client(resource_runtime_part, state_credentials).start_execution(**given)
    env.stack.append({"ExecutionArn": started["executionArn"], "StartDate": started["startDate"].isoformat()})


def _end(
    service: Inside,
    env: Inside,
    resource_runtime_part: Inside,
    normalised_parameters: Inside,
    state_credentials: Inside,
) -> Callable[[], Any]:
    states = _client(resource_runtime_part, state_credentials)
    execution = env.stack.pop()["ExecutionArn"]

    def look() -> Any:  # noqa: ANN401
        said = states.describe_execution(executionArn=execution)
        if said["status"] == "RUNNING":
            return None
        told = {f"{name[0].upper()}{name[1:]}": _text(said[name]) for name in _TOLD if name in said}
        if said["status"] != "SUCCEEDED":
            raise _failed(service, env, json.dumps(told))
        return {**told, "Output": json.loads(said["output"])}

    return look


def _text(value: object) -> object:
    return value if isinstance(value, str) else str(value)


def _failed(service: Inside, env: Inside, cause: str) -> Exception:
    from moto.stepfunctions.parser.api import HistoryEventType
    from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
        FailureEvent,
        FailureEventException,
    )
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType

    kind = StatesErrorNameType.StatesTaskFailed
    details: Inside = {
        "taskFailedEventDetails": {
            "error": kind.to_name(),
            "cause": cause,
            "resource": service._get_sfn_resource(),
            "resourceType": service._get_sfn_resource_type(),
        }
    }
    failure: Exception = FailureEventException(
        FailureEvent(
            env=env,
            error_name=StatesErrorName(typ=kind),
            event_type=HistoryEventType.TaskFailed,
            event_details=details,
        )
    )
    return failure
