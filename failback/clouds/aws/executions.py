"""Executions of the product's own state machine (botocore's service model stepfunctions 2016-11-23)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_GOING_ON = frozenset({"RUNNING", "PENDING_REDRIVE"})


class StepExecutions:
    """Executions."""

    def __init__(self, stepfunctions: SFNClient, machine: str) -> None:
        self._stepfunctions, self._machine = stepfunctions, machine

    def start(self, name: str, given: str) -> None:
        try:
            self._stepfunctions.start_execution(stateMachineArn=self._machine, name=name, input=given)
        except self._stepfunctions.exceptions.ExecutionAlreadyExists:
            return

    def stop(self, execution: str, cause: str) -> None:
        with suppress(self._stepfunctions.exceptions.ExecutionDoesNotExist):
            self._stepfunctions.stop_execution(executionArn=execution, cause=cause)

    def goes_on(self, execution: str) -> bool:
        try:
            status = self._stepfunctions.describe_execution(executionArn=execution)["status"]
        except self._stepfunctions.exceptions.ExecutionDoesNotExist:
            # Step Functions forgets what ended 90 days ago.
            return False
        return status in _GOING_ON
