"""How an emulated operation is described: its least call, the members it acts on, and what's special about others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.localcloud.models.members import given

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.localcloud.models.place import Place

Call = dict[str, Any]


@dataclass(frozen=True)
class With:
    """A member's value that needs others around it."""

    value: Any
    around: Call


@dataclass(frozen=True)
class Emulated:
    """One operation.

    `accepted` has a value for each member that it acts on: plain, `With` others, or a function that makes either.
    `answered` are members that lead to an error of the service's own by their nature (`DryRun`).
    """

    client: str
    operation: str
    least: Callable[[Place], Call]
    accepted: Mapping[str, Any] = field(default_factory=dict)
    answered: Mapping[str, str] = field(default_factory=dict)

    @property
    def service(self) -> str:
        """As botocore calls it."""
        return self.client.partition("-")[0]

    def call_with(self, place: Place, path: str, shape: Any) -> Call:  # noqa: ANN401 - the operation's input
        """A fresh least call, and that accepted member."""
        value = self.accepted[path]
        call, made = self.least(place), value(place) if callable(value) else value
        if isinstance(made, With):
            call, made = {**call, **made.around}, made.value
        return given(call, path, shape, made)
