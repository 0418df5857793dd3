"""Executions of Step Functions that wait with a task token (botocore's service model stepfunctions 2016-11-23)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.clouds.aws.answers import code_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_stepfunctions import SFNClient

# Ended, stopped or timed out, or started anew under another token.
_NOBODY = frozenset({"TaskDoesNotExist", "TaskTimedOut", "InvalidToken"})


class StepTokens:
    """TaskTokens."""

    def __init__(self, stepfunctions: SFNClient) -> None:
        self._stepfunctions = stepfunctions

    def succeed(self, token: str, output: str) -> bool:
        return self._answer(lambda: self._stepfunctions.send_task_success(taskToken=token, output=output))

    def fail(self, token: str, *, error: str, cause: str) -> bool:
        return self._answer(lambda: self._stepfunctions.send_task_failure(taskToken=token, error=error, cause=cause))

    def _answer(self, send: Callable[[], object]) -> bool:
        try:
            send()
        except self._stepfunctions.exceptions.ClientError as error:
            if code_of(error) in _NOBODY:
                return False
            raise
        return True
