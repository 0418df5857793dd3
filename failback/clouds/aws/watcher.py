"""The watcher as a Lambda function, called without waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from failback.clouds.aws.session import Client


class LambdaWatcher:
    """A Watcher: `function` is its name."""

    def __init__(self, functions: Client, function: str) -> None:
        self._functions, self._function = functions, function

    def wake(self) -> None:
        self._functions.invoke(FunctionName=self._function, InvocationType="Event", Payload=b"{}")
