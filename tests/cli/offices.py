"""A deployment whose door for decisions is the product's own gate, in memory, behind the Lambda call to it."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner, Result

from cli.deployment import Deployment
from cli.main import app
from failback.errors import FailbackError
from tests.memory.clock import NOON

if TYPE_CHECKING:
    from datetime import datetime

    from tests.test_decisions import Office

ARN = "arn:aws:states:eu-west-1:1:stateMachine:failback"
CALLER = "arn:aws:iam::1:user/kim"


class _Missing(Exception):
    """There's no such execution."""


class _Known(Exception):
    """There is one of that name."""


class _Errors:
    ExecutionDoesNotExist, ExecutionAlreadyExists = _Missing, _Known


@dataclass
class MemoryStates:
    """Step Functions, as far as the command asks it: executions go on until `ended` names them."""

    requests: dict[str, str] = field(default_factory=dict)
    ended: dict[str, datetime] = field(default_factory=dict)
    exceptions = _Errors

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> dict[str, str]:
        arn = f"{stateMachineArn.replace(':stateMachine:', ':execution:')}:{name}"
        if arn in self.requests:
            raise _Known
        self.requests[arn] = input
        return {"executionArn": arn}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:
        if executionArn not in self.requests:
            raise _Missing
        told = {"executionArn": executionArn, "input": self.requests[executionArn], "startDate": NOON}
        stopped = self.ended.get(executionArn)
        return {**told, **({"status": "FAILED", "stopDate": stopped} if stopped else {"status": "RUNNING"})}


@dataclass
class Door:
    """A session whose Lambda hands every call to the office, as the function for decisions does."""

    office: Office
    broken: dict[str, str] = field(default_factory=dict)
    payloads: list[dict[str, Any]] = field(default_factory=list)

    def client(self, service: str, **_settings: object) -> Door:
        assert service in {"lambda", "sts"}
        return self

    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": CALLER}

    def invoke(self, *, FunctionName: str, Payload: str) -> dict[str, Any]:
        assert FunctionName == "decide"
        self.payloads.append(json.loads(Payload))
        if self.broken:
            return _answer(self.broken, "Unhandled")
        try:
            return _answer(self.office.decide(**self.payloads[-1]).model_dump(mode="json"))
        except FailbackError as error:
            return _answer({"errorType": type(error).__name__, "errorMessage": str(error)}, "Unhandled")


def _answer(said: object, error: str = "") -> dict[str, Any]:
    return {"Payload": io.BytesIO(json.dumps(said).encode()), **({"FunctionError": error} if error else {})}


@dataclass
class Counter:
    """The command at an office's deployment; `run` is a line typed at it."""

    office: Office
    decider: str = "decide"

    def __post_init__(self) -> None:
        self.states, self.door = MemoryStates(), Door(self.office)
        run_log: Any = self.office.run_log
        session: Any = self.door
        states: Any = self.states
        self.deployment = Deployment(
            "the office", ARN, states, run_log, interval=0.01, session=session, decider=self.decider
        )

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(app, words, obj=self.deployment)
