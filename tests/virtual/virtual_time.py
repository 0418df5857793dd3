"""Virtual time: processes that wait for moments, for answers or for each other, and a clock that goes from one to the
next of those moments at once."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

Json = Any
Process: TypeAlias = "Generator[Any, Any, Any]"
"""What waits: it yields a Pause, an Answer or an All, and is sent what came of it."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Go on so many seconds later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Go on when the token is answered, or with None after so many seconds."""

    token: str
    seconds: float


@dataclass(frozen=True, slots=True)
class All:
    """Go on when all of them have ended, `most` of which go on at the same time."""

    processes: Sequence[Any]
    most: int


@dataclass
class VirtualTime:
    """The clock, and all that waits. Nothing here runs at the same time as something else."""

    moment: datetime = field(default_factory=lambda: datetime.now(UTC))
    before_moving: Callable[[], None] = lambda: None
    _due: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _ready: deque[Callable[[], None]] = field(default_factory=deque)
    _tokens: dict[str, Callable[[Json], None]] = field(default_factory=dict)
    _number: Any = field(default_factory=itertools.count)

    def now(self) -> datetime:
        return self.moment

    def advance(self, seconds: float) -> None:
        """Let time go by while something is being done."""
        self.moment += timedelta(seconds=seconds)

    def at(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something so many seconds from now."""
        heapq.heappush(self._due, (self.moment + timedelta(seconds=seconds), next(self._number), do))

    def answer(self, token: str, value: Json) -> bool:
        """Answer whoever waits for the token; False where nobody does (any more)."""
        waiting = self._tokens.pop(token, None)
        if waiting is not None:
            waiting(value)
        return waiting is not None

    def expect(self, token: str, heard: Callable[[Json], None]) -> None:
        """Have a token be answered before anybody waits for it."""
        self._tokens[token] = heard

    def forget(self, token: str) -> None:
        """Nobody waits for it any more."""
        self._tokens.pop(token, None)

    def spawn(self, process: Process, ended: Callable[[Any], None] = lambda _result: None) -> None:
        """Begin a process; `ended` is told its result, or the exception that it ended with."""
        self._ready.append(lambda: self._step(process, ended, None))

    def run_until(self, over: Callable[[], bool], *, at_most: float) -> None:
        """Let time go until it's over; raises TimeoutError after so many seconds."""
        end = self.moment + timedelta(seconds=at_most)
        while not over():
            if self._ready:
                self._ready.popleft()()
                continue
            self.before_moving()
            if self._ready:
                continue
            if not self._due or self._due[0][0] > end:
                message = f"it isn't over after {at_most:.0f} s"
                raise TimeoutError(message)
            when, _, do = heapq.heappop(self._due)
            self.moment = max(when, self.moment)
            do()

    def _step(self, process: Process, ended: Callable[[Any], None], value: Json) -> None:
        try:
            wanted = process.send(value)
        except StopIteration as stop:
            ended(stop.value)
            return
        except Exception as error:
            ended(error)
            return
        self._wait(wanted, lambda answer: self._step(process, ended, answer))

    def _wait(self, wanted: Pause | Answer | All, go_on: Callable[[Any], None]) -> None:
        match wanted:
            case Pause(seconds):
                self.at(seconds, lambda: go_on(None))
            case Answer(token, seconds):
                self._tokens[token] = lambda value: self._ready.append(lambda: go_on(value))
                self.at(seconds, lambda: self._give_up(token))
            case All(processes, most):
                self._all(deque(enumerate(processes)), most, go_on)

    def _give_up(self, token: str) -> None:
        waiting = self._tokens.pop(token, None)
        if waiting is not None:
            waiting(None)

    def _all(self, left: deque[Any], most: int, go_on: Callable[[Any], None]) -> None:
        results: dict[int, Any] = {}
        count = len(left)

        def begin() -> None:
            if left:
                number, process = left.popleft()
                self.spawn(process, lambda result: note(number, result))

        def note(number: int, result: Any) -> None:  # noqa: ANN401
            results[number] = result
            begin()
            if len(results) == count:
                self._ready.append(lambda: go_on([results[each] for each in range(count)]))

        if not count:
            self._ready.append(lambda: go_on([]))
        for _ in range(min(most or count, count)):
            begin()
