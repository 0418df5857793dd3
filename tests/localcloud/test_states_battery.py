"""A contract of the state machines' engine: features of the Amazon States Language, each as a small machine.

Every machine runs by the SDK against the gateway, its tasks being real Lambda functions. A file in `states` holds the
machine, its input and what AWS would make of it. Those that this engine can't run say so by `limit`; they fail
strictly, so that a limit which has gone is noticed.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import boto3
import pytest
from botocore.exceptions import ClientError

from localcloud.gateway.run import AwsSettings, run_aws
from localcloud.lambda_runner.function import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = {path.stem: json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "states").glob("*.json"))}
Sdk: TypeAlias = Any
"""Something made at run time (an SDK's client, JSON) that has no type."""
ROLE = "arn:aws:iam::123456789012:role/test"
LONGEST_SECONDS = 25

HANDLERS = """
import os, pathlib, time
import boto3


def echo(event, context):
    return event


def fail(event, context):
    raise type(event["error"], (Exception,), {})("made to fail")


def flaky(event, context):
    file = pathlib.Path(os.environ["NOTES"], event["name"])
    with file.open("a") as out:
        out.write("x")
    tries = file.stat().st_size
    if tries <= event.get("failures", 0):
        raise type("NotReady", (Exception,), {})(f"try {tries}")
    return {"state": "pending" if tries <= event["pending"] else "done"} if "pending" in event else {"tries": tries}


def slow(event, context):
    time.sleep(event["seconds"])


def big(event, context):
    return "x" * event["size"]


def answer(event, context):
    states = boto3.client("stepfunctions")
    if "error" in event:
        states.send_task_failure(taskToken=event["token"], error=event["error"], cause=event["cause"])
    else:
        import json
        states.send_task_success(taskToken=event["token"], output=json.dumps(event["output"]))
"""
FUNCTIONS: dict[str, dict[str, Any]] = {
    "echo": {},
    "fail": {},
    "flaky": {},
    "slow": {},
    "big": {},
    "answer": {"MemorySize": 512, "Timeout": 15},
    "short": {"Handler": "app.slow", "Timeout": 1},
    "never": {"Handler": "app.echo"},
}


@dataclass(frozen=True, slots=True)
class Cloud:
    """Clients of a cloud that runs every machine already."""

    states: Any
    started: dict[str, str | ClientError]

    def wait(self, execution: str) -> dict[str, Any]:
        end = time.monotonic() + LONGEST_SECONDS
        while (told := self.states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < end, "still running"
            time.sleep(0.03)
        return dict(told)

    def history(self, execution: str) -> list[dict[str, Any]]:
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"]]

    def machine(self, name: str, **states: Sdk) -> str:
        definition = json.dumps({"StartAt": next(iter(states)), "States": states})
        return str(self.states.create_state_machine(name=name, definition=definition, roleArn=ROLE)["stateMachineArn"])


def deploy(functions: Sdk, notes: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr("app.py", HANDLERS)
    for name, more in FUNCTIONS.items():
        settings = {"Handler": f"app.{name}", "Timeout": 10, "MemorySize": 256, **more}
        environment = {"Variables": {"NOTES": str(notes)}}
        code = {"ZipFile": buffer.getvalue()}
        functions.create_function(
            FunctionName=name, Runtime=RUNTIME, Role=ROLE, Code=code, Environment=environment, **settings
        )
    functions.put_function_concurrency(FunctionName="never", ReservedConcurrentExecutions=0)


def start(states: Sdk, name: str) -> str | ClientError:
    case = CASES[name]
    try:
        machine = states.create_state_machine(name=name, definition=json.dumps(case["machine"]), roleArn=ROLE)
        arn = machine["stateMachineArn"]
        return str(states.start_execution(stateMachineArn=arn, input=json.dumps(case["input"]))["executionArn"])
    except ClientError as error:
        return error


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("aws")
    (folder / "notes").mkdir()
    with run_aws(AwsSettings(folder, wait_scale=0.01)) as aws:
        session = boto3.session.Session("local", "local", region_name="eu-west-1")
        session.client("iam", endpoint_url=aws.url).create_role(RoleName="test", AssumeRolePolicyDocument="{}")
        deploy(session.client("lambda", endpoint_url=aws.url), folder / "notes")
        states = session.client("stepfunctions", endpoint_url=aws.url)
        yield Cloud(states, {name: start(states, name) for name in sorted(CASES)})


def parameter(name: str) -> Sdk:
    limit = CASES[name].get("limit")
    return pytest.param(name, marks=pytest.mark.xfail(strict=True, reason=limit) if limit else ())


@pytest.mark.parametrize("name", [parameter(name) for name in CASES])
def test_a_machine_does_what_it_does_in_aws(cloud: Cloud, name: str) -> None:
    case, execution = CASES[name], cloud.started[name]
    assert isinstance(execution, str), execution
    told = cloud.wait(execution)
    assert told["status"] == case["status"], told
    if "output" in case:
        assert json.loads(told["output"]) == case["output"]
    if "output_holds" in case:
        assert json.loads(told["output"]).items() >= case["output_holds"].items()
    assert case.get("output_text", "") in told.get("output", "")
    assert told.get("error") == case.get("error")
    assert case.get("cause_holds", "") in told.get("cause", "")
    if "events" in case:
        assert [event["type"] for event in cloud.history(execution)] == case["events"]
    if "final" in case:
        assert cloud.history(execution)[-1]["type"] == case["final"]
    assert told["stopDate"] >= told["startDate"]


PARK = {
    "Type": "Task",
    "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
    "Parameters": {"FunctionName": "echo", "Payload": {"token.$": "$$.Task.Token"}},
    "TimeoutSeconds": 30,
    "End": True,
}


def parked(cloud: Cloud, machine: str) -> tuple[str, str]:
    """A started execution that waits, and its task's token."""
    execution = str(cloud.states.start_execution(stateMachineArn=machine)["executionArn"])
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for event in cloud.history(execution):
            if event["type"] == "TaskSubmitted":
                return execution, json.loads(event["taskSubmittedEventDetails"]["output"])["Payload"]["token"]
        time.sleep(0.03)
    pytest.fail("it didn't come to wait")


def refusal(call: Sdk, **arguments: Sdk) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_a_token_takes_one_answer(cloud: Cloud) -> None:
    waiting = {key: value for key, value in PARK.items() if key != "End"} | {"Next": "Rest"}
    rest = {"Type": "Wait", "Seconds": 100, "End": True}
    execution, token = parked(cloud, cloud.machine("answered_twice", Park=waiting, Rest=rest))
    cloud.states.send_task_success(taskToken=token, output='{"by": "first"}')
    assert refusal(cloud.states.send_task_success, taskToken=token, output="{}") == "TaskTimedOut"
    assert refusal(cloud.states.send_task_failure, taskToken=token, error="Late") == "TaskTimedOut"
    assert refusal(cloud.states.send_task_heartbeat, taskToken=token) == "TaskTimedOut"
    assert json.loads(cloud.wait(execution)["output"]) == {"by": "first"}
    assert refusal(cloud.states.send_task_success, taskToken=token, output="{}") == "TaskTimedOut"


def test_a_token_of_an_execution_that_has_ended_takes_none(cloud: Cloud) -> None:
    waiting = {"StartAt": "Park", "States": {"Park": PARK}}
    failing = {
        "StartAt": "Rest",
        "States": {"Rest": {"Type": "Wait", "Seconds": 100, "Next": "Broken"}, "Broken": {"Type": "Fail"}},
    }
    both = {"Type": "Parallel", "Branches": [waiting, failing], "End": True}
    execution, token = parked(cloud, cloud.machine("left_waiting", Both=both))
    assert cloud.wait(execution)["status"] == "FAILED"
    assert refusal(cloud.states.send_task_success, taskToken=token, output="{}") == "TaskTimedOut"
    assert refusal(cloud.states.send_task_heartbeat, taskToken=token) == "TaskTimedOut"


def test_a_token_that_nobody_gave_is_invalid(cloud: Cloud) -> None:
    assert refusal(cloud.states.send_task_success, taskToken="made up", output="{}") == "InvalidToken"


def test_heartbeats_keep_a_task_waiting(cloud: Cloud) -> None:
    execution, token = parked(cloud, cloud.machine("heartbeats", Park={**PARK, "HeartbeatSeconds": 1}))
    for _ in range(4):
        time.sleep(0.5)
        cloud.states.send_task_heartbeat(taskToken=token)
    cloud.states.send_task_success(taskToken=token, output="1")
    assert cloud.wait(execution)["status"] == "SUCCEEDED"


def test_a_stop_runs_no_catch_and_keeps_its_cause(cloud: Cloud) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Undo"}]
    machine = cloud.machine("stopped", Park={**PARK, "Catch": catch}, Undo={"Type": "Pass", "End": True})
    execution, token = parked(cloud, machine)
    cloud.states.stop_execution(executionArn=execution, error="Operator", cause="wrong server")
    told = cloud.wait(execution)
    assert (told["status"], told["error"], told["cause"]) == ("ABORTED", "Operator", "wrong server")
    types = [event["type"] for event in cloud.history(execution)]
    assert types[-1] == "ExecutionAborted"
    assert "PassStateEntered" not in types
    assert refusal(cloud.states.send_task_success, taskToken=token, output="{}") == "TaskTimedOut"


def test_a_stop_ends_a_wait_and_a_pause_before_a_retry(cloud: Cloud) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 90000, "MaxAttempts": 1}]
    failing = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Retry": retry, "End": True}
    failing["Parameters"] = {"FunctionName": "fail", "Payload": {"error": "NotReady"}}
    machines = [
        cloud.machine("stopped_in_wait", Rest={"Type": "Wait", "Seconds": 90000, "End": True}),
        cloud.machine("stopped_in_retry", Call=failing),
    ]
    executions = [cloud.states.start_execution(stateMachineArn=machine)["executionArn"] for machine in machines]
    time.sleep(0.5)
    for execution in executions:
        cloud.states.stop_execution(executionArn=execution)
    begun = time.monotonic()
    assert [cloud.wait(execution)["status"] for execution in executions] == ["ABORTED"] * 2
    assert time.monotonic() - begun < 2


def test_a_name_is_used_once(cloud: Cloud) -> None:
    machine = cloud.machine("named", Rest={"Type": "Wait", "Seconds": 50, "End": True})
    start = cloud.states.start_execution
    first = start(stateMachineArn=machine, name="run-1", input='{"a":1}')
    again = start(stateMachineArn=machine, name="run-1", input='{"a":1}')
    assert first["executionArn"] == again["executionArn"]
    assert refusal(start, stateMachineArn=machine, name="run-1", input="{}") == "ExecutionAlreadyExists"
    cloud.wait(first["executionArn"])
    assert refusal(start, stateMachineArn=machine, name="run-1", input='{"a":1}') == "ExecutionAlreadyExists"
    unnamed = {start(stateMachineArn=machine)["executionArn"] for _ in range(2)}
    assert len(unnamed) == 2


def test_a_history_has_pages_and_a_reverse(cloud: Cloud) -> None:
    execution = cloud.started["retry_then_success"]
    assert isinstance(execution, str)
    cloud.wait(execution)
    whole = [event["id"] for event in cloud.history(execution)]
    page = cloud.states.get_execution_history(executionArn=execution, maxResults=3, reverseOrder=True)
    assert [event["id"] for event in page["events"]] == whole[::-1][:3]
    rest = cloud.states.get_execution_history(
        executionArn=execution, maxResults=100, reverseOrder=True, nextToken=page["nextToken"]
    )
    assert [event["id"] for event in rest["events"]] == whole[::-1][3:]
