"""Functions of the customer's in memory."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.errors import CloudRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

_ARN = re.compile(r"arn:aws:lambda:[a-z0-9-]+:\d{12}:function:[\w-]+")


@dataclass
class MemoryHooks:
    """Hooks; each call is noted, and answered by the next of `answers`, the last of them for ever.

    An answer that's text is what the function fails with, one that's an error is raised by the call itself.
    """

    answers: list[Mapping[str, object] | str | Exception] = field(default_factory=lambda: [{"status": "done"}])
    calls: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)

    def call(self, function: str, event: Mapping[str, object]) -> Mapping[str, object]:
        assert _ARN.fullmatch(function), function
        self.calls.append((function, json.loads(json.dumps(event))))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            raise CloudRefused(answer)
        found: Mapping[str, object] = json.loads(json.dumps(answer))
        return found
