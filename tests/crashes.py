"""Calls that are lost: ports that fail with CloudBusy once, before or after one of their calls took effect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from failback.errors import CloudBusy

if TYPE_CHECKING:
    from collections.abc import Callable

P = TypeVar("P")


@dataclass
class Crashes:
    """Ports that share one count of calls: call number `at` (from 0 on) fails, after its effect or before it."""

    at: int = -1
    after: bool = False
    calls: list[str] = field(default_factory=list)

    def over(self, name: str, port: P) -> P:
        """The port, whose calls are counted and may fail."""
        return cast("P", _Crashing(self, name, port))

    def call(self, name: str, call: Callable[..., Any], *given: Any, **named: Any) -> Any:  # noqa: ANN401
        self.calls.append(name)
        fails = len(self.calls) - 1 == self.at
        if fails and not self.after:
            raise CloudBusy(f"{name} came to nothing")
        result = call(*given, **named)
        if fails:
            raise CloudBusy(f"{name} was done, but nobody heard of it")
        return result


class _Crashing:
    def __init__(self, crashes: Crashes, name: str, port: object) -> None:
        self._crashes, self._name, self._port = crashes, name, port

    def __getattr__(self, name: str) -> Callable[..., Any]:
        found = getattr(self._port, name)
        return lambda *given, **named: self._crashes.call(f"{self._name}.{name}", found, *given, **named)
