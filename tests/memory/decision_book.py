"""What people have decided, in memory."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.model.decision import Decision, Subject


class MemoryDecisionBook:
    """A DecisionBook; `kept` by run, in the order they came, `read` counts how often they were asked for."""

    def __init__(self) -> None:
        self.kept: dict[str, list[Decision]] = {}
        self.read = 0

    def decide(self, run: str, decision: Decision) -> None:
        kept = self.kept.setdefault(run, [])
        while decision not in kept:
            if not any(_place(each) == _place(decision) for each in kept):
                kept.append(decision)
                return
            decision = decision.model_copy(update={"at": decision.at + timedelta(microseconds=1)})

    def of(self, run: str, *, subject: Subject | None = None) -> Sequence[Decision]:
        self.read += 1
        fitting = (each for each in self.kept.get(run, ()) if subject in (None, each.subject))
        return sorted(fitting, key=lambda each: each.at)


def _place(decision: Decision) -> tuple[object, ...]:
    return decision.subject, decision.scope, decision.at
