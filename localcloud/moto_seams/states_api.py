"""Seams in the API of Step Functions: names, causes, outputs, history, task tokens."""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from localcloud.moto_seams.deliveries import put_end

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localcloud.moto_seams.pins import Inside, Swaps

_HTTP = "moto.stepfunctions.responses:StepFunctionResponse"
_BACKEND = "moto.stepfunctions.parser.models:StepFunctionsParserBackend"
_ADD_EVENT = "moto.stepfunctions.parser.asl.eval.event.event_manager:EventManager.add_event"
DEFAULT_PAGE = 100
"""Events in a page of a history when nothing is asked for (Step Functions API, GetExecutionHistory)."""

START_SECONDS = 5.0
"""The interpreter's thread makes its environment within milliseconds of the start."""


def seam_states_api(swaps: Swaps) -> None:
    """Answer as the service does where moto drops or forgets something."""
    swaps.function(f"{_HTTP}.describe_execution", _describe_execution)
    swaps.function(f"{_HTTP}.stop_execution", _stop_execution)
    swaps.function(f"{_HTTP}.send_task_failure", _send_task_failure)
    swaps.function(f"{_HTTP}.get_execution_history", _get_execution_history)
    _seam_start(swaps)
    _seam_answers(swaps)
    _seam_history(swaps)


def _describe_execution(request: Inside) -> Inside:
    from moto.core.responses import ActionResult

    execution = request.stepfunction_backend.describe_execution(request._get_param("executionArn"))
    told: dict[str, Any] = {
        "executionArn": execution.execution_arn,
        "stateMachineArn": execution.state_machine_arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": execution.start_date,
        "input": execution.execution_input,
        "inputDetails": {"included": True},
        "redriveCount": 0,
        "redriveStatus": "NOT_REDRIVABLE",
    }
    if execution.status != "RUNNING":
        told["stopDate"] = execution.stop_date
    if execution.status == "SUCCEEDED":
        # The engine keeps the value; the service gives JSON, also of a string.
        told |= {"output": json.dumps(execution.output, separators=(",", ":")), "outputDetails": {"included": True}}
    told |= {name: value for name in ("error", "cause") if (value := getattr(execution, name)) is not None}
    return ActionResult(told)


def _stop_execution(request: Inside) -> Inside:
    from moto.core.responses import ActionResult

    execution = request.stepfunction_backend.describe_execution(request._get_param("executionArn"))
    if execution.status == "RUNNING":
        stop_execution(execution, error=request._get_param("error"), cause=request._get_param("cause"))
        put_end(execution)
    return ActionResult({"stopDate": execution.stop_date})


def stop_execution(execution: Inside, *, error: str | None, cause: str | None) -> None:
    """End an execution at once: also one that waits for a token or a function, which moto would let go on waiting."""
    from moto.stepfunctions.parser.api import ExecutionStatus

    deadline = time.monotonic() + START_SECONDS
    while execution.exec_worker.env is None and time.monotonic() < deadline:
        time.sleep(0.01)
    execution.error, execution.cause, execution.stop_date = error, cause, datetime.now(UTC)
    _end_history(execution.exec_worker.env)
    execution.stop(stop_date=execution.stop_date, error=error, cause=cause)
    execution.exec_status, execution.is_stopped = ExecutionStatus.ABORTED, True
    pool = execution.exec_worker.env.callback_pool_manager
    for token in list(pool._pool):
        pool.get(token).interrupt_all()


def _end_history(environment: Inside) -> None:
    """Nothing that still runs writes or changes anything but the end: a stop isn't a failure of the task it meets."""
    from moto.stepfunctions.parser.api import HistoryEventType

    manager, add = environment.event_manager, environment.event_manager.add_event

    def add_end(*given: Inside, **named: Inside) -> Inside:
        ends = named.get("event_type") == HistoryEventType.ExecutionAborted
        return add(*given, **named) if ends else 0

    manager.add_event = add_end
    environment.set_error = lambda error: None


def _send_task_failure(request: Inside) -> Inside:
    from moto.core.responses import EmptyResult

    error, cause = request._get_param("error"), request._get_param("cause")
    request.stepfunction_backend.send_task_failure(request._get_param("taskToken"), error=error, cause=cause)
    return EmptyResult()


def _get_execution_history(request: Inside) -> Inside:
    from moto.core.responses import ActionResult

    whole = request.stepfunction_backend.get_execution_history(request._get_param("executionArn"))
    events = list(whole["events"])
    if request._get_param("reverseOrder"):
        events.reverse()
    size = int(request._get_param("maxResults") or DEFAULT_PAGE)
    start = int(request._get_param("nextToken") or 0)
    page: dict[str, Any] = {"events": events[start : start + size]}
    if start + size < len(events):
        page["nextToken"] = str(start + size)
    return ActionResult(page)


def _seam_history(swaps: Swaps) -> None:
    """Nothing follows an execution's end: a task that was given up goes on in moto, and would tell when it's done."""
    from moto.stepfunctions.parser.api import HistoryEventType
    from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager

    kinds = HistoryEventType
    ends = {kinds.ExecutionSucceeded, kinds.ExecutionFailed, kinds.ExecutionAborted, kinds.ExecutionTimedOut}
    add = EventManager.add_event
    over: WeakSet[Inside] = WeakSet()

    def add_until_end(manager: Inside, context: Inside, event_type: Inside, *given: Inside, **named: Inside) -> int:
        if manager in over:
            return 0
        if event_type in ends:
            over.add(manager)
        return add(manager, context, event_type, *given, **named)

    swaps.function(_ADD_EVENT, add_until_end)


def _seam_start(swaps: Swaps) -> None:
    from moto.stepfunctions.parser import models
    from moto.stepfunctions.parser.utils import TMP_THREADS

    start = models.StepFunctionsParserBackend.start_execution

    def start_named(
        backend: Inside, state_machine_arn: str, name: str | None = None, execution_input: Inside = None, **more: Inside
    ) -> Inside:
        # The engine remembers every thread it ever started.
        TMP_THREADS[:] = [thread for thread in TMP_THREADS if thread.is_alive()]
        return start(backend, state_machine_arn, name or str(uuid.uuid4()), execution_input, **more)

    swaps.function(f"{_BACKEND}.start_execution", start_named)


def _seam_answers(swaps: Swaps) -> None:
    from moto.core.exceptions import AWSError
    from moto.stepfunctions.parser.asl.eval.callback import callback

    one_at_a_time = Lock()

    def tell(backend: Inside, token: str, say: Callable[[Any], object]) -> None:
        for execution in backend._get_executions():
            environment = execution.exec_worker.env if execution.exec_worker else None
            task = environment.callback_pool_manager.get(token) if environment else None
            if task is None:
                continue
            with one_at_a_time:
                # moto lets a second answer take the place of one that the task hasn't read yet.
                if execution.status != "RUNNING" or task.consumer_error or task.get_outcome():
                    message = "Task Timed Out: 'Provided task does not exist anymore'"
                    raise AWSError(message, "TaskTimedOut", 400)
                say(task)
            return
        message = "Invalid Token: 'Invalid token'"
        raise AWSError(message, "InvalidToken", 400)

    def success(backend: Inside, task_token: str, outcome: str) -> None:
        answer = callback.CallbackOutcomeSuccess(callback_id=task_token, output=outcome)
        tell(backend, task_token, lambda task: task.notify(answer))

    def failure(backend: Inside, task_token: str, error: str | None = None, cause: str | None = None) -> None:
        answer = callback.CallbackOutcomeFailure(callback_id=task_token, error=error, cause=cause)
        tell(backend, task_token, lambda task: task.notify(answer))

    def heartbeat(backend: Inside, task_token: str) -> None:
        tell(backend, task_token, lambda task: task.notify_heartbeat())

    replacements: Mapping[str, object] = {"success": success, "failure": failure, "heartbeat": heartbeat}
    for name, replacement in replacements.items():
        swaps.function(f"{_BACKEND}.send_task_{name}", replacement)
