"""Executions that an execution starts and waits for: both ends, and the names that they're told by."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.localcloud.gateway.conftest import Fixture

ROLE = "arn:aws:iam::123456789012:role/test"
MACHINE = {
    "StartAt": "which",
    "States": {
        "which": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.part", "IsPresent": True, "Next": "part"},
                {"Variable": "$.fails", "IsPresent": True, "Next": "fails"},
            ],
            "Default": "done",
        },
        "part": {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Parameters": {
                "StateMachineArn.$": "$$.StateMachine.Id",
                "Name.$": "$.part.name",
                "Input.$": "$.part.request",
            },
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failed", "Next": "done"}],
            "Next": "done",
        },
        "fails": {"Type": "Fail", "Error": "NotReady", "Cause": "no disk"},
        "done": {"Type": "Succeed"},
    },
}


def ended(cloud: Fixture, name: str, request: dict[str, Any]) -> tuple[str, Any]:
    """The status and the output of an execution that runs another one."""
    states = cloud.client("stepfunctions")
    machine = states.create_state_machine(name="nested", definition=json.dumps(MACHINE), roleArn=ROLE)
    given = json.dumps({"part": {"name": f"{name}.part", "request": request}})
    execution = states.start_execution(stateMachineArn=machine["stateMachineArn"], name=name, input=given)
    end = time.monotonic() + 60
    while (told := states.describe_execution(executionArn=execution["executionArn"]))["status"] == "RUNNING":
        assert time.monotonic() < end
        time.sleep(0.05)
    return told["status"], json.loads(told["output"])


@pytest.mark.parametrize("fails", [False, True], ids=["well", "failed"])
def test_the_end_of_the_other_one_is_told(cloud: Fixture, *, fails: bool) -> None:
    request: dict[str, Any] = {"fails": True} if fails else {"x": 1}
    status, output = ended(cloud, f"outer-{fails}", request)
    assert status == "SUCCEEDED"
    told = json.loads(output["failed"]["Cause"]) if fails else output
    assert told["ExecutionArn"].endswith(f":nested:outer-{fails}.part")
    assert told["Name"] == f"outer-{fails}.part"
    if fails:
        assert output["failed"]["Error"] == "States.TaskFailed"
        assert (told["Status"], told["Error"], told["Cause"]) == ("FAILED", "NotReady", "no disk")
    else:
        assert (told["Status"], told["Output"]) == ("SUCCEEDED", {"x": 1})
