"""Deployed functions as moto keeps them, unpacked for the runner; and the runner for what calls them inside moto."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localcloud.lambda_runner.function import FunctionSpec
from localcloud.lambda_runner.outcome import Throttled

if TYPE_CHECKING:
    from localcloud.lambda_runner.code_store import CodeStore
    from localcloud.lambda_runner.runner import LambdaRunner
    from localcloud.moto_seams.pins import Inside, Swaps

ACCOUNT = "123456789012"
"""moto's only account."""


class MotoFunctions:
    """The functions that CloudFormation or CreateFunction stored."""

    def __init__(self, store: CodeStore) -> None:
        self._store = store

    def find(self, name: str, *, region: str, qualifier: str | None) -> FunctionSpec | None:
        """The function of that name or ARN; None if there is none. Raises LocalCloudError for broken code."""
        from moto.awslambda.exceptions import UnknownAliasException, UnknownFunctionException
        from moto.awslambda.models import lambda_backends

        name, region, qualifier = _split(name, region, qualifier)
        try:
            return self.spec(lambda_backends[ACCOUNT][region].get_function(name, qualifier))
        except (UnknownFunctionException, UnknownAliasException):
            return None

    def spec(self, function: Inside) -> FunctionSpec:
        """A function of moto's as the runner takes it."""
        code, digest = self._store.unpack(function.code_bytes)
        reserved = function.reserved_concurrency
        return FunctionSpec(
            name=function.function_name,
            arn=function.function_arn,
            handler=function.handler or "",
            runtime=function.run_time or "",
            timeout_seconds=int(function.timeout),
            memory_mib=int(function.memory_size),
            code=code,
            code_hash=digest,
            variables=tuple(sorted((str(key), str(value)) for key, value in function.environment_vars.items())),
            version=str(function.version) if str(function.version) != "1" else "$LATEST",
            reserved_concurrency=None if reserved is None else int(reserved),
            role=str(function.role or ""),
        )


def seam_functions(swaps: Swaps, *, functions: MotoFunctions, runner: LambdaRunner) -> None:
    """Run functions that something inside moto calls (a queue, a topic, a custom resource), without Docker."""

    def invoke(function: Inside, event: Inside = None) -> tuple[str, bool, str]:
        payload = event if isinstance(event, str) else json.dumps(event or {})
        try:
            outcome = runner.invoke(functions.spec(function), payload.encode())
        except Throttled as error:
            return json.dumps({"errorType": "TooManyRequestsException", "errorMessage": str(error)}), True, ""
        return outcome.payload.decode(), outcome.failed, outcome.log_tail

    swaps.function("moto.awslambda.models:LambdaFunction._invoke_lambda", invoke)


def _split(name: str, region: str, qualifier: str | None) -> tuple[str, str, str | None]:
    """Name, region and qualifier of any form of a function's name (Lambda API, FunctionName)."""
    parts = name.split(":")
    if name.startswith("arn:"):
        region, parts = parts[3], parts[6:]
    elif "function" in parts:
        parts = parts[parts.index("function") + 1 :]
    if len(parts) > 1:
        qualifier = qualifier or parts[1]
    return parts[0], region, None if qualifier == "$LATEST" else qualifier
