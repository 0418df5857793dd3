"""The contract of TaskTokens."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from failback.clouds.aws.task_tokens import StepTokens
from localcloud.moto_seams.pins import Swaps
from localcloud.moto_seams.states_api import seam_states_api
from tests.clouds.aws.tables import REGION
from tests.contracts.aws.conftest import KINDS
from tests.memory.task_tokens import MemoryTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from failback.recovery_ports import TaskTokens

Sdk: TypeAlias = Any
ROLE = "arn:aws:iam::123456789012:role/machine"
# Executions here last milliseconds.
LONGEST_WAIT = 20


@dataclass(frozen=True)
class Waiting:
    """Tokens, how an execution comes to wait with one, and how it ended: its output, or its error and cause."""

    tokens: TaskTokens
    wait: Callable[[], str]
    ended: Callable[[str], str | tuple[str, str]]


class Machine:
    """A state machine whose executions send their token to a queue and wait."""

    def __init__(self) -> None:
        import boto3

        make: Sdk = boto3.client
        self.states, self._queues = make("stepfunctions", REGION), make("sqs", REGION)
        self._queue = self._queues.create_queue(QueueName=f"tokens-{uuid.uuid4()}")["QueueUrl"]
        task = {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"QueueUrl": self._queue, "MessageBody.$": "$$.Task.Token"},
            "TimeoutSeconds": 60,
            "End": True,
        }
        definition = json.dumps({"StartAt": "wait", "States": {"wait": task}})
        made = self.states.create_state_machine(name=f"waits-{uuid.uuid4()}", definition=definition, roleArn=ROLE)
        self._machine, self._executions = made["stateMachineArn"], dict[str, str]()

    def wait(self) -> str:
        execution = self.states.start_execution(stateMachineArn=self._machine, input="{}")["executionArn"]
        (message,) = _until(lambda: self._queues.receive_message(QueueUrl=self._queue).get("Messages"))
        self._executions[message["Body"]] = execution
        return str(message["Body"])

    def ended(self, token: str) -> str | tuple[str, str]:
        found = _until(lambda: self._ended(self._executions[token]))
        return str(found["output"]) if "output" in found else (found["error"], found["cause"])

    def _ended(self, execution: str) -> dict[str, str] | None:
        found: dict[str, str] = self.states.describe_execution(executionArn=execution)
        return None if found["status"] == "RUNNING" else found


def _until(look: Callable[[], Sdk]) -> Sdk:
    end = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    pytest.fail("nothing came")


@pytest.fixture(params=KINDS)
def waiting(request: pytest.FixtureRequest) -> Iterator[Waiting]:
    if request.param == "memory":
        tokens = MemoryTokens()

        def wait() -> str:
            tokens.waiting.add(f"token-{len(tokens.succeeded) + len(tokens.failed)}")
            (token,) = tokens.waiting
            return token

        yield Waiting(tokens, wait, lambda token: tokens.succeeded.get(token) or tokens.failed[token])
        return
    request.getfixturevalue("moto")
    with Swaps() as swaps:
        # As it is, moto forgets causes.
        seam_states_api(swaps)
        machine = Machine()
        yield Waiting(StepTokens(machine.states), machine.wait, machine.ended)


def test_an_execution_goes_on(waiting: Waiting) -> None:
    token = waiting.wait()
    assert waiting.tokens.succeed(token, '{"status":"done"}')
    assert json.loads(str(waiting.ended(token))) == {"status": "done"}


def test_an_execution_fails_with_error_and_cause(waiting: Waiting) -> None:
    token = waiting.wait()
    cause = json.dumps({"errorType": "ReplicationStuck", "errorMessage": "stalled"})
    assert waiting.tokens.fail(token, error="ReplicationStuck", cause=cause)
    assert waiting.ended(token) == ("ReplicationStuck", cause)


def test_nobody_waits_with_a_token_of_no_execution(waiting: Waiting) -> None:
    assert not waiting.tokens.succeed("nobody's", "{}")
    assert not waiting.tokens.fail("nobody's", error="e", cause="c")
