"""The customer's own functions, called by Lambda's Invoke and waited for (botocore's service model lambda 2015-03-31).

One that takes longer than boto3's client waits for an answer counts as one that can't be reached.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from failback.errors import CloudRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.clouds.aws.session import Client

LONGEST_SAID = 500
"""Characters of what a function failed with, or of an answer that can't be read."""


class LambdaHooks:
    """Hooks."""

    def __init__(self, functions: Client) -> None:
        self._functions = functions

    def call(self, function: str, event: Mapping[str, object]) -> Mapping[str, object]:
        payload = json.dumps(dict(event)).encode()
        answer = self._functions.invoke(FunctionName=function, InvocationType="RequestResponse", Payload=payload)
        body = answer["Payload"].read()
        if answer.get("FunctionError"):
            message = f"The function {function} failed: {_failure(body)}. Its log says more."
            raise CloudRefused(message)
        found = _object(body)
        if found is None:
            said = body.decode(errors="replace")[:LONGEST_SAID]
            message = f"The function {function} answered what isn't an object in JSON: {said}. It has to return one."
            raise CloudRefused(message)
        return found


def _failure(body: bytes) -> str:
    """What a failed function says: its error's type and text, or whatever came in their place."""
    found = _object(body) or {}
    said = ": ".join(str(found[name]) for name in ("errorType", "errorMessage") if found.get(name))
    return (said or body.decode(errors="replace") or "it said nothing")[:LONGEST_SAID].rstrip(".")


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
