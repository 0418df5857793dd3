"""Executions of the state machine in memory."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class MemoryExecutions:
    """Executions; `started` holds the inputs by name, `going_on` the ARNs of those that haven't ended, `stopped` why
    others were stopped."""

    started: dict[str, str] = field(default_factory=dict)
    going_on: set[str] = field(default_factory=set)
    stopped: dict[str, str] = field(default_factory=dict)

    def start(self, name: str, given: str) -> None:
        assert 1 <= len(name) <= 80
        self.started.setdefault(name, given)

    def stop(self, execution: str, cause: str) -> None:
        self.going_on.discard(execution)
        self.stopped[execution] = cause

    def goes_on(self, execution: str) -> bool:
        return execution in self.going_on
