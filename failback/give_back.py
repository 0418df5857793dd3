"""Giving back: removes everything that a failed run has made, and says what it couldn't remove and how to.

Level-triggered: each call lists what carries the run's tag and begins or continues its removal, until nothing is left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import JsonValue, TypeAdapter

from failback.errors import CloudBusy, FailbackError
from failback.model.run import Belonging, LeftBehind, Progress, Returned, StageResult, cursor_of
from failback.naming import RUN_TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from failback.model.run import RunState
    from failback.ports import Belongings

    # A cloud's name, and what gives access to what was made there: signing in may fail by itself.
    Cloud = tuple[str, Callable[[], Belongings]]

WAIT = 5
"""Seconds until the next look: Azure removes a machine in one to three minutes, a disk in seconds."""
T = TypeVar("T")
_LIST = TypeAdapter(list[Belonging])


class Guard(Protocol):
    """Makes a call; an SDK's error comes out as one of our own vocabulary."""

    def __call__(self, call: Callable[[], T], /) -> T: ...


def give_back(state: RunState, clouds: Sequence[Cloud], *, guard: Guard) -> StageResult[Returned, dict[str, JsonValue]]:
    """Remove what can be removed now; `pending` while a cloud is still at it, `done` with what had to be left.

    A cloud that's busy ends the call with CloudBusy: the next one goes on. One that refuses stops no other.
    """
    clearing = _Clearing(state.run.id, guard, removed=_before(state))
    for name, cloud in clouds:
        clearing.clear(name, cloud)
    removed, waiting = clearing.removed, clearing.waiting
    count = len(removed) + len(waiting)
    if waiting:
        note = f"removing {', '.join(each.name or each.id for each in waiting[:3])}"
        progress = Progress(done=len(removed), total=count, unit="steps", note=note)
        cursor: dict[str, JsonValue] = {"removed": _LIST.dump_python(removed, mode="json")}
        return StageResult(status="pending", wait_seconds=WAIT, progress=progress, cursor=cursor)
    facts = Returned(removed=tuple(removed), left=tuple(clearing.left))
    return StageResult(status="done", progress=Progress(done=count, total=count, unit="steps"), facts=facts)


def _before(state: RunState) -> list[Belonging]:
    """What earlier calls have removed."""
    cursor = cursor_of(state.give_back) or {}
    return _LIST.validate_python(cursor.get("removed", []))


@dataclass(slots=True)
class _Clearing:
    """One call's way through the clouds."""

    run: str
    guard: Guard
    removed: list[Belonging]
    left: list[LeftBehind] = field(default_factory=list)
    waiting: list[Belonging] = field(default_factory=list)

    def clear(self, name: str, cloud: Callable[[], Belongings]) -> None:
        """Go through one cloud's belongings, in their order."""
        try:
            belongings = self.guard(cloud)
            made = self.guard(lambda: belongings.made_by(self.run))
        except CloudBusy:
            raise
        except FailbackError as error:
            everything = Belonging(cloud=name, kind="everything", id=self.run)
            command = f"look there for whatever is tagged {RUN_TAG}={self.run}, and remove it"
            self.left.append(LeftBehind(belonging=everything, why=str(error), command=command))
            return
        for belonging in made:
            self._remove(belongings, belonging)

    def _remove(self, belongings: Belongings, belonging: Belonging) -> None:
        try:
            gone = self.guard(lambda: belongings.remove(belonging))
        except CloudBusy:
            raise
        except FailbackError as error:
            command = belongings.command(belonging)
            self.left.append(LeftBehind(belonging=belonging, why=str(error), command=command))
        else:
            (self.removed if gone else self.waiting).append(belonging)
