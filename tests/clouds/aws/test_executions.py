"""What Step Functions says of executions that are there already, and of those that it has forgotten."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from failback.clouds.aws.executions import StepExecutions
from tests.clouds.aws.embedded import client_at

MACHINE = "arn:aws:states:eu-west-1:111122223333:stateMachine:drs-failback"
EXECUTION = "arn:aws:states:eu-west-1:111122223333:execution:drs-failback:run-1"
START = {"stateMachineArn": MACHINE, "name": "clean-up-run-1", "input": "{}"}


@pytest.mark.parametrize("code", ["", "ExecutionAlreadyExists", "AccessDeniedException"])
def test_an_execution_is_started_once(code: str) -> None:
    states = client_at("stepfunctions", "http://127.0.0.1:9", attempts=1)
    with Stubber(states) as stubber:
        if code:
            stubber.add_client_error("start_execution", code, expected_params=START)
        else:
            began = {"executionArn": EXECUTION, "startDate": datetime(2026, 11, 22, tzinfo=UTC)}
            stubber.add_response("start_execution", began, START)
        if code == "AccessDeniedException":
            with pytest.raises(ClientError, match=code):
                StepExecutions(states, MACHINE).start("clean-up-run-1", "{}")
        else:
            StepExecutions(states, MACHINE).start("clean-up-run-1", "{}")
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize("code", ["", "ExecutionDoesNotExist", "AccessDeniedException"])
def test_an_execution_that_was_never_started_needs_no_stop(code: str) -> None:
    states = client_at("stepfunctions", "http://127.0.0.1:9", attempts=1)
    wish = {"executionArn": EXECUTION, "cause": "it's over"}
    with Stubber(states) as stubber:
        if code:
            stubber.add_client_error("stop_execution", code, expected_params=wish)
        else:
            stubber.add_response("stop_execution", {"stopDate": datetime(2026, 11, 22, tzinfo=UTC)}, wish)
        if code == "AccessDeniedException":
            with pytest.raises(ClientError, match=code):
                StepExecutions(states, MACHINE).stop(EXECUTION, "it's over")
        else:
            StepExecutions(states, MACHINE).stop(EXECUTION, "it's over")
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("status", "goes_on"),
    [("RUNNING", True), ("PENDING_REDRIVE", True), ("SUCCEEDED", False), ("FAILED", False), ("ABORTED", False),
     ("TIMED_OUT", False)],
)  # fmt: skip
def test_an_execution_goes_on_until_it_has_ended(status: str, *, goes_on: bool) -> None:
    states = client_at("stepfunctions", "http://127.0.0.1:9", attempts=1)
    with Stubber(states) as stubber:
        seen = {"executionArn": EXECUTION, "stateMachineArn": MACHINE, "status": status,
                "startDate": datetime(2026, 11, 22, tzinfo=UTC)}  # fmt: skip
        stubber.add_response("describe_execution", seen, {"executionArn": EXECUTION})
        assert StepExecutions(states, MACHINE).goes_on(EXECUTION) is goes_on


@pytest.mark.parametrize("code", ["ExecutionDoesNotExist", "AccessDeniedException"])
def test_one_that_is_forgotten_has_ended(code: str) -> None:
    states = client_at("stepfunctions", "http://127.0.0.1:9", attempts=1)
    with Stubber(states) as stubber:
        stubber.add_client_error("describe_execution", code)
        if code == "ExecutionDoesNotExist":
            assert not StepExecutions(states, MACHINE).goes_on(EXECUTION)
        else:
            with pytest.raises(ClientError, match=code):
                StepExecutions(states, MACHINE).goes_on(EXECUTION)
