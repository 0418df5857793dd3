"""One call's way through what a run has made: what was removed, what's being removed, what had to be left and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import JsonValue, TypeAdapter

from failback.errors import CloudBusy, FailbackError
from failback.model.ending import Belonging, LeftBehind, Returned
from failback.model.stage import Progress, StageResult
from failback.naming import RUN_TAG, SERVER_TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from failback.ports import Belongings, Clock

    # A cloud's name, and what gives access to what was made there: signing in may fail by itself.
    Cloud = tuple[str, Callable[[], Belongings]]
    Result = StageResult[Returned, dict[str, JsonValue]]

WAIT = 5
"""Seconds until the next look: Azure removes a machine in one to three minutes, a disk in seconds."""
CALL_TIME = timedelta(seconds=150)
"""Half of what the function has: one removal and the rest of the call take seconds, a busy cloud a minute more."""
MOST_REMOVED, MOST_LEFT, LONGEST_WHY = 200, 60, 600
"""Named in a result, and characters of each reason: some 160 of the 256 KiB that a state may have."""
T = TypeVar("T")
_LIST, _LEFT = TypeAdapter(list[Belonging]), TypeAdapter(list[LeftBehind])
_COUNT, _NAMES = TypeAdapter(int), TypeAdapter(list[str] | None)
NOTHING: Mapping[str, str] = MappingProxyType({})


class Guard(Protocol):
    """Makes a call; an SDK's error comes out as one of our own vocabulary."""

    def __call__(self, call: Callable[[], T], /) -> T: ...


@dataclass(slots=True)
class Clearing:
    """One call's way through the clouds, which begins nothing after `end`.

    `more` were removed and aren't named, `more_left` left and not named. `queue` are servers that aren't through yet;
    None before that's known.
    """

    run: str
    guard: Guard
    removed: list[Belonging]
    clock: Clock
    end: datetime
    more: int = 0
    left: list[LeftBehind] = field(default_factory=list)
    waiting: list[Belonging] = field(default_factory=list)
    more_left: int = 0
    queue: list[str] | None = None

    @classmethod
    def resumed(cls, run: str, cursor: Mapping[str, JsonValue] | None, *, guard: Guard, clock: Clock) -> Clearing:
        """A call's clearing, with what earlier calls have come to."""
        held = cursor or {}
        return cls(
            run,
            guard,
            removed=_LIST.validate_python(held.get("removed", [])),
            clock=clock,
            end=clock.now() + CALL_TIME,
            more=_COUNT.validate_python(held.get("more", 0)),
            left=_LEFT.validate_python(held.get("left", [])),
            more_left=_COUNT.validate_python(held.get("more_left", 0)),
            queue=_NAMES.validate_python(held.get("queue")),
        )

    @property
    def in_time(self) -> bool:
        """Whether anything may still be begun."""
        return self.clock.now() < self.end

    def clear(self, cloud: Cloud, *, server: str = "", keep: str = "", spare: Mapping[str, str] = NOTHING) -> None:
        """Go through one server's belongings in a cloud, in their order; with `keep` they stay, and that's why.

        So do those of a kind in `spare`, for its reason. Without a server it's about what the run made for itself.
        """
        name, enter = cloud
        try:
            belongings = self.guard(enter)
            made = self.guard(
                lambda: belongings.made_by(self.run, server=server) if server else belongings.of_run(self.run)
            )
        except CloudBusy:
            raise
        except FailbackError as error:
            tags = f"{RUN_TAG}={self.run}" + (f" and {SERVER_TAG}={server}" if server else "")
            everything = Belonging(cloud=name, kind="everything", id=server or self.run)
            command = f"look there for whatever is tagged {tags}, and remove it"
            self.leave(everything, str(error), command)
            return
        for belonging in made:
            command = belongings.command(belonging)
            if stays := keep or spare.get(belonging.kind, ""):
                self.leave(belonging, stays, command)
            elif not self.in_time:
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
            self.leave(belonging, str(error), command)
            return None

    def leave(self, belonging: Belonging, why: str, command: str) -> None:
        """Say that a thing stays, why, and by which command a person undoes it."""
        self.left.append(LeftBehind(belonging=belonging, why=why[:LONGEST_WHY], command=command))

    def result(self) -> Result:
        """What the call has come to."""
        more = self.more + max(len(self.removed) - MOST_REMOVED, 0)
        removed, done = self.removed[:MOST_REMOVED], self.more + len(self.removed)
        count = done + len(self.waiting)
        if not self.waiting and not self.queue:
            facts = Returned(removed=tuple(removed), more=more, left=tuple(self._told()))
            return StageResult(status="done", progress=Progress(done=count, total=count, unit="steps"), facts=facts)
        cursor: dict[str, JsonValue] = {"removed": _LIST.dump_python(removed, mode="json"), "more": more}
        if self.queue is not None:
            more_left = self.more_left + max(len(self.left) - MOST_LEFT, 0)
            left = _LEFT.dump_python(self.left[:MOST_LEFT], mode="json")
            cursor |= {"queue": [*self.queue], "left": left, "more_left": more_left}
        if not self.waiting:
            progress = Progress(done=done, total=count, unit="steps", note=f"{len(self.queue or ())} servers to go")
            return StageResult(status="more", progress=progress, cursor=cursor)
        note = f"removing {', '.join(each.name or each.id for each in self.waiting[:3])}"
        progress = Progress(done=done, total=count, unit="steps", note=note)
        return StageResult(status="pending", wait_seconds=WAIT, progress=progress, cursor=cursor)

    def _told(self) -> Iterator[LeftBehind]:
        """What was left behind, as much of it as a state holds."""
        yield from self.left[:MOST_LEFT]
        rest = self.more_left + max(len(self.left) - MOST_LEFT, 0)
        if rest:
            everything = Belonging(cloud="each cloud", kind="everything", id=self.run)
            why = f"{rest} more things couldn't be removed"
            command = f"look in both clouds for whatever is tagged {RUN_TAG}={self.run}, and remove it"
            yield LeftBehind(belonging=everything, why=why, command=command)
