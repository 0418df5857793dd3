"""Giving back: removes everything that a failed run has made, and says what it couldn't remove and how to.

Level-triggered: each call lists what carries the run's tag and begins or continues its removal, until nothing is left.
What a run has changed without having made it goes back to what it was (failback/server_return.py). With a state of one
server, that server is given back and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import JsonValue, TypeAdapter

from failback.errors import CloudBusy, FailbackError
from failback.model.run import Belonging, LeftBehind, Progress, Returned, StageResult, cursor_of
from failback.naming import RUN_TAG, SERVER_TAG
from failback.server_return import ServerReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.model.run import RunState
    from failback.ports import Belongings
    from failback.server_return import AwsSide

    # A cloud's name, and what gives access to what was made there: signing in may fail by itself.
    Cloud = tuple[str, Callable[[], Belongings]]
    Result = StageResult[Returned, dict[str, JsonValue]]

WAIT = 5
"""Seconds until the next look: Azure removes a machine in one to three minutes, a disk in seconds."""
T = TypeVar("T")
_LIST = TypeAdapter(list[Belonging])


class Guard(Protocol):
    """Makes a call; an SDK's error comes out as one of our own vocabulary."""

    def __call__(self, call: Callable[[], T], /) -> T: ...


def give_back(state: RunState, home: Cloud, aws: Cloud, *, side: AwsSide, guard: Guard) -> Result:
    """Remove what can be removed now; `pending` while a cloud is still at it, `done` with what had to be left.

    Failbacks are stopped before their machines go, and what was changed is put back when those are gone. A cloud
    that's busy ends the call with CloudBusy: the next one goes on. One that refuses stops no other.
    """
    clearing = _begin(state, guard)
    servers = ServerReturn.begin(state, side, clearing)
    servers.stop()
    whose = state.server.id if state.server else ""
    clearing.clear(home, server=whose)
    if not (whose and clearing.waiting):
        # A server's way to its recovery instance is closed when nothing goes by it any more.
        for server in servers.rules_of(whose):
            clearing.clear(aws, server=server)
    if not clearing.waiting:
        servers.restore()
    return clearing.result()


def _begin(state: RunState, guard: Guard) -> Clearing:
    """A call's clearing, with what earlier calls have removed."""
    cursor = cursor_of(state.give_back) or {}
    return Clearing(state.run.id, guard, removed=_LIST.validate_python(cursor.get("removed", [])))


@dataclass(slots=True)
class Clearing:
    """One call's way through the clouds."""

    run: str
    guard: Guard
    removed: list[Belonging]
    left: list[LeftBehind] = field(default_factory=list)
    waiting: list[Belonging] = field(default_factory=list)

    def clear(self, cloud: Cloud, *, server: str = "") -> None:
        """Go through the run's (or one server's) belongings in a cloud, in their order."""
        name, enter = cloud
        try:
            belongings = self.guard(enter)
            made = self.guard(lambda: belongings.made_by(self.run, server=server))
        except CloudBusy:
            raise
        except FailbackError as error:
            tags = f"{RUN_TAG}={self.run}" + (f" and {SERVER_TAG}={server}" if server else "")
            everything = Belonging(cloud=name, kind="everything", id=server or self.run)
            command = f"look there for whatever is tagged {tags}, and remove it"
            self.left.append(LeftBehind(belonging=everything, why=str(error), command=command))
            return
        for belonging in made:
            gone = self.undo(belonging, partial(belongings.remove, belonging), belongings.command(belonging))
            if gone is not None:
                (self.removed if gone else self.waiting).append(belonging)

    def undo(self, belonging: Belonging, call: Callable[[], T], command: str) -> T | None:
        """What undoing one thing gives; where that's refused it's left behind with a person's `command`, and None."""
        try:
            return self.guard(call)
        except CloudBusy:
            raise
        except FailbackError as error:
            self.left.append(LeftBehind(belonging=belonging, why=str(error), command=command))
            return None

    def result(self) -> Result:
        """What the call has come to."""
        count = len(self.removed) + len(self.waiting)
        if self.waiting:
            note = f"removing {', '.join(each.name or each.id for each in self.waiting[:3])}"
            progress = Progress(done=len(self.removed), total=count, unit="steps", note=note)
            cursor: dict[str, JsonValue] = {"removed": _LIST.dump_python(self.removed, mode="json")}
            return StageResult(status="pending", wait_seconds=WAIT, progress=progress, cursor=cursor)
        facts = Returned(removed=tuple(self.removed), left=tuple(self.left))
        return StageResult(status="done", progress=Progress(done=count, total=count, unit="steps"), facts=facts)
