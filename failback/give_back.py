"""Giving back: removes everything that a failed run has made, and says what it couldn't remove and how to.

Level-triggered: each call lists what carries the run's tag and begins or continues its removal, until nothing is left.
What a run has changed without having made it goes back to what it was (failback/server_return.py). With a state of one
server, that server is given back and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import JsonValue, TypeAdapter

from failback.errors import CloudBusy, FailbackError
from failback.model.run import Belonging, LeftBehind, Progress, Returned, StageResult, cursor_of
from failback.naming import RUN_TAG, SERVER_TAG
from failback.server_return import ServerReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from failback.model.run import RunState
    from failback.ports import Belongings, Clock
    from failback.server_return import AwsSide

    # A cloud's name, and what gives access to what was made there: signing in may fail by itself.
    Cloud = tuple[str, Callable[[], Belongings]]
    Result = StageResult[Returned, dict[str, JsonValue]]

WAIT = 5
"""Seconds until the next look: Azure removes a machine in one to three minutes, a disk in seconds."""
CALL_TIME = timedelta(seconds=150)
"""Half of what the function has: one removal and the rest of the call take seconds, a busy cloud a minute more."""
MOST_REMOVED, MOST_LEFT, LONGEST_WHY = 200, 60, 600
"""Named in a result, and characters of each reason: some 160 of the 256 KiB that a state may have."""
NOTHING: Mapping[str, str] = MappingProxyType({})
T = TypeVar("T")
_LIST, _COUNT = TypeAdapter(list[Belonging]), TypeAdapter(int)


class Guard(Protocol):
    """Makes a call; an SDK's error comes out as one of our own vocabulary."""

    def __call__(self, call: Callable[[], T], /) -> T: ...


def give_back(state: RunState, home: Cloud, aws: Cloud, *, side: AwsSide, guard: Guard) -> Result:
    """Remove what can be removed now; `pending` while a cloud is still at it, `done` with what had to be left.

    Failbacks are stopped before their machines go, and what was changed is put back when those are gone. A cloud
    that's busy ends the call with CloudBusy: the next one goes on. One that refuses stops no other.
    """
    clearing = _begin(state, guard, side.clock)
    servers = ServerReturn.begin(state, side, clearing)
    servers.stop()
    whose = state.server.id if state.server else ""
    clearing.clear(home, server=whose, keeping=servers.kept)
    if not (whose and clearing.waiting):
        # A server's way to its recovery instance is closed when nothing goes by it any more.
        for server in servers.rules_of(whose):
            clearing.clear(aws, server=server)
    if not clearing.waiting:
        servers.restore()
    return clearing.result()


def _begin(state: RunState, guard: Guard, clock: Clock) -> Clearing:
    """A call's clearing, with what earlier calls have removed."""
    cursor = cursor_of(state.give_back) or {}
    removed, more = _LIST.validate_python(cursor.get("removed", [])), _COUNT.validate_python(cursor.get("more", 0))
    return Clearing(state.run.id, guard, removed=removed, more=more, clock=clock, end=clock.now() + CALL_TIME)


@dataclass(slots=True)
class Clearing:
    """One call's way through the clouds, which begins nothing after `end`; `more` were removed, and aren't named."""

    run: str
    guard: Guard
    removed: list[Belonging]
    clock: Clock
    end: datetime
    more: int = 0
    left: list[LeftBehind] = field(default_factory=list)
    waiting: list[Belonging] = field(default_factory=list)

    def clear(self, cloud: Cloud, *, server: str = "", keeping: Mapping[str, str] = NOTHING) -> None:
        """Go through the run's (or one server's) belongings in a cloud, in their order; those of `keeping` stay."""
        name, enter = cloud
        try:
            belongings = self.guard(enter)
            made = self.guard(lambda: belongings.made_by(self.run, server=server))
            kept = {
                each: why
                for one, why in keeping.items()
                for each in self.guard(partial(belongings.made_by, self.run, server=one))
            }
        except CloudBusy:
            raise
        except FailbackError as error:
            tags = f"{RUN_TAG}={self.run}" + (f" and {SERVER_TAG}={server}" if server else "")
            everything = Belonging(cloud=name, kind="everything", id=server or self.run)
            command = f"look there for whatever is tagged {tags}, and remove it"
            self.left.append(LeftBehind(belonging=everything, why=str(error), command=command))
            return
        for belonging in made:
            command = belongings.command(belonging)
            if belonging in kept:
                self.left.append(LeftBehind(belonging=belonging, why=kept[belonging], command=command))
            elif self.clock.now() >= self.end:
                self.waiting.append(belonging)
            else:
                gone = self.undo(belonging, partial(belongings.remove, belonging), command)
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
        more = self.more + max(len(self.removed) - MOST_REMOVED, 0)
        removed, done = self.removed[:MOST_REMOVED], self.more + len(self.removed)
        count = done + len(self.waiting)
        if self.waiting:
            note = f"removing {', '.join(each.name or each.id for each in self.waiting[:3])}"
            progress = Progress(done=done, total=count, unit="steps", note=note)
            cursor: dict[str, JsonValue] = {"removed": _LIST.dump_python(removed, mode="json"), "more": more}
            return StageResult(status="pending", wait_seconds=WAIT, progress=progress, cursor=cursor)
        facts = Returned(removed=tuple(removed), more=more, left=tuple(self._told()))
        return StageResult(status="done", progress=Progress(done=count, total=count, unit="steps"), facts=facts)

    def _told(self) -> Iterator[LeftBehind]:
        """What was left behind, as much of it as a state holds."""
        for each in self.left[:MOST_LEFT]:
            yield each.model_copy(update={"why": each.why[:LONGEST_WHY]})
        if len(self.left) > MOST_LEFT:
            rest = Belonging(cloud="each cloud", kind="everything", id=self.run)
            why = f"{len(self.left) - MOST_LEFT} more things couldn't be removed"
            command = f"look in both clouds for whatever is tagged {RUN_TAG}={self.run}, and remove it"
            yield LeftBehind(belonging=rest, why=why, command=command)
