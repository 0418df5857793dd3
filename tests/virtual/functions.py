"""The deployed functions run in this process, one call after the other: the handlers as they are, their adapters and
SDKs, with the environment that the template gives them; only what belongs to the engine itself is ours.
"""

from __future__ import annotations

import json
import os
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import lambdas.connections as composition
from lambdas.connections import Connections
from localcloud.lambda_runner.function import RUNTIME
from tests.localcloud.runs.place import ROOT
from tests.virtual.interpreter import StateFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from failback.clean_up import Executions
    from failback.ports import Clock, Watcher
    from failback.recovery_ports import TaskTokens
    from failback.settings import FunctionSettings
    from tests.localcloud.runs.place import Place

Json = Any
LARGEST_ANSWER = 6 << 20
"""Bytes of a function's answer (Lambda, quotas)."""


class Killed(BaseException):
    """The function's process ends here and now: nothing of its own code catches that."""


@dataclass(frozen=True)
class Engine:
    """What functions ask of Step Functions and of Lambda themselves."""

    clock: Clock
    tokens: TaskTokens
    executions: Executions
    watcher: Watcher


class _Connected(Connections):
    """A function's connections, but for the engine's."""

    def __init__(self, settings: FunctionSettings, engine: Engine) -> None:
        super().__init__(settings)
        self.clock = engine.clock
        self.__dict__.update(task_tokens=engine.tokens, executions=engine.executions, watcher=engine.watcher)


@dataclass
class Invocation:
    """One call of a function: which one, how it ended, how long it took."""

    function: str
    stage: str
    seconds: float = 0.0
    error: str = ""


@dataclass
class _Function:
    name: str
    stage: str
    handler: Callable[[Json, object], Json]
    variables: Mapping[str, str]
    session: Any
    connections: _Connected | None = None


class _Context:
    """What Lambda hands to a handler besides the event."""

    def __init__(self, name: str, number: int) -> None:
        self.function_name, self.aws_request_id = name, f"request-{number}"
        self.memory_limit_in_mb, self.invoked_function_arn = (
            1024,
            f"arn:aws:lambda:us-east-1:123456789012:function:{name}",
        )

    def get_remaining_time_in_millis(self) -> int:
        return 300_000


@dataclass
class Functions:
    """All functions of a deployment. `now` is the stage that's being called, if there's one; `about` is its server."""

    place: Place
    engine: Engine
    invocations: list[Invocation] = field(default_factory=list)
    now: str = ""
    about: str = ""
    _made: dict[str, _Function] = field(default_factory=dict)

    @contextmanager
    def here(self) -> Iterator[None]:
        """Have handlers that connect get the connections of the function that's being called."""

        def connected(settings: FunctionSettings) -> _Connected:
            function = self._made[os.environ["AWS_LAMBDA_FUNCTION_NAME"]]
            if function.connections is None:
                function.connections = _Connected(settings, self.engine)
            return function.connections

        with patch.object(composition, "Connections", connected):
            try:
                yield
            finally:
                composition.connect.cache_clear()

    def invoke(self, name: str, payload: Json) -> Json:
        """Call it; raises StateFailed as Step Functions tells a function's error."""
        function = self._function(name)
        invocation = Invocation(name, function.stage)
        self.invocations.append(invocation)
        began, before = perf_counter(), (self.now, self.about)
        self.now, self.about = function.stage, _server(payload)
        try:
            return self._call(function, payload)
        except StateFailed as failed:
            invocation.error = failed.error
            raise
        finally:
            invocation.seconds = perf_counter() - began
            self.now, self.about = before

    def name_of(self, stage: str) -> str:
        """The name of a stage's or a door's function."""
        return self.place.function(stage)

    def _call(self, function: _Function, payload: Json) -> Json:
        import boto3

        composition.connect.cache_clear()
        event = json.loads(json.dumps(payload))
        with patch.dict(os.environ, function.variables), patch.object(boto3, "DEFAULT_SESSION", function.session):
            try:
                answer = json.dumps(function.handler(event, _Context(function.name, len(self.invocations))))
            except Killed:
                function.connections = None
                raise StateFailed("Runtime.ExitError", '{"errorMessage": "exit status 137"}') from None
            except Exception as error:
                raise StateFailed(type(error).__name__, _cause(error)) from error
        assert len(answer) <= LARGEST_ANSWER
        return json.loads(answer)

    def _function(self, name: str) -> _Function:
        if name not in self._made:
            self._made[name] = self._find(name)
        return self._made[name]

    def _find(self, name: str) -> _Function:
        told = self.place.clouds.client("lambda").get_function_configuration(FunctionName=name)
        own: Mapping[str, str] = told["Environment"]["Variables"]
        variables = {
            **self.place.clouds.aws.runner._surroundings.given(role=told["Role"], function=told["FunctionArn"]),
            **own,
            "AWS_REGION": self.place.clouds.region,
            "AWS_DEFAULT_REGION": self.place.clouds.region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{RUNTIME}",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            # In a package it lies beside the code.
            "FAILBACK_GRUB": str(ROOT / "build/grub"),
        }
        module, _, attribute = str(told["Handler"]).replace("/", ".").rpartition(".")
        return _Function(name, own["FAILBACK_STAGE"], getattr(import_module(module), attribute), variables, _session())


def _server(payload: Json) -> str:
    """The server that a call is about, if it's one only."""
    state = payload.get("state", payload)
    return str((state.get("server") or {}).get("id", "")) if isinstance(state, dict) else ""


def _session() -> Any:  # noqa: ANN401 - boto3's sessions make clients of no type
    """One of a function's own, with the service models that have been read already."""
    import boto3
    import botocore.session

    inner = botocore.session.get_session()
    inner.register_component("data_loader", _loader())
    return boto3.session.Session(botocore_session=inner)


def _loader(kept: list[Any] = []) -> Any:  # noqa: ANN401, B006 - one for all
    import botocore.session

    if not kept:
        kept.append(botocore.session.get_session().get_component("data_loader"))
    return kept[0]


def _cause(error: Exception) -> str:
    told = {"errorMessage": str(error), "errorType": type(error).__name__, "requestId": "",
            "stackTrace": traceback.format_tb(error.__traceback__)}  # fmt: skip
    return json.dumps(told)
