"""Executions that wait with task tokens, in memory, as strict as Step Functions about what they're told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_OUTPUT, LONGEST_ERROR, LONGEST_CAUSE = 262_144, 256, 32_768


class MemoryTokens:
    """TaskTokens; `waiting` holds the tokens that somebody waits with, the others what was answered, by token."""

    def __init__(self, waiting: Iterable[str] = ()) -> None:
        self.waiting = set(waiting)
        self.succeeded: dict[str, str] = {}
        self.failed: dict[str, tuple[str, str]] = {}

    def succeed(self, token: str, output: str) -> bool:
        assert len(output.encode()) <= LONGEST_OUTPUT
        json.loads(output)
        if answered := self._answer(token):
            self.succeeded[token] = output
        return answered

    def fail(self, token: str, *, error: str, cause: str) -> bool:
        assert len(error) <= LONGEST_ERROR
        assert len(cause) <= LONGEST_CAUSE
        if answered := self._answer(token):
            self.failed[token] = (error, cause)
        return answered

    def _answer(self, token: str) -> bool:
        there = token in self.waiting
        self.waiting.discard(token)
        return there
