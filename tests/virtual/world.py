"""Whole runs in virtual time: the deployed functions in this process, the definition by our own interpreter, the
embedded clouds as they are with scripted machines. An hour of waiting takes no time."""

from __future__ import annotations

import itertools
import json
import threading
import time as real_time
from collections import deque
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from failback.clouds.azure import place as azure_place
from localcloud.drs.settings import DrsSettings, utc_now
from localcloud.guests.scripted import ScriptedDriver
from tests.localcloud.runs.place import ROOT, open_place
from tests.virtual.functions import Engine, Functions
from tests.virtual.interpreter import Interpreter, StateFailed, filled_in
from tests.virtual.virtual_time import VirtualTime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from localcloud.guests.guest import Guest
    from tests.localcloud.runs.place import Place
    from tests.virtual.interpreter import History

Json = Any
MINUTE, LONG = 60.0, 3600.0
LONGEST = 7 * 86_400.0
"""Virtual seconds that a run may take."""
QUIET = 0.02
"""Real seconds without any change after which machines count as having nothing to do."""
POLL = 2.0
"""Virtual seconds between two looks at an operation, as Azure's SDK is told to."""
_DEFINITION = ROOT / "statemachine/failback.asl.json"
_sleep = real_time.sleep


@dataclass(frozen=True, slots=True)
class Slow:
    """Seconds that operations at home take, by their names, and a machine until it's up."""

    latency: Mapping[str, float] = field(default_factory=dict)
    boot_seconds: float = 0.0


@dataclass
class World:
    """A place, its time, its functions, and all executions."""

    place: Place
    time: VirtualTime
    functions: Functions
    interpreter: Interpreter
    executions: dict[str, History] = field(default_factory=dict)
    events: deque[str] = field(default_factory=deque)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def start(self, name: str, given: Json) -> str:
        """Start an execution; gives its ARN. One of that name that there is already is left alone."""
        arn = f"{self.machine.replace(':stateMachine:', ':execution:')}:{name}"
        self.began = self.time.now()
        if arn not in self.executions:
            began = f"{self.time.now():%Y-%m-%dT%H:%M:%S.%fZ}"
            context = {"Execution": {"Id": arn, "Name": name, "StartTime": began, "Input": given}}
            self.executions[arn] = self.interpreter.execute(given, context)
        return arn

    @property
    def machine(self) -> str:
        return str(self.place.deployed.outputs["StateMachineArn"])

    def finish(self, arn: str) -> History:
        """Let time go until it has ended, and whoever cleans up after it has, too."""
        self.until(lambda: self.executions[arn].ended)
        history = self.executions[arn]
        if history.failure is not None:
            self._tell_of_the_end(arn)
        return history

    def until(self, over: Any, at_most: float = LONGEST) -> None:  # noqa: ANN401
        self.time.run_until(over, at_most=at_most)

    def watch(self) -> None:
        """The schedule: the watcher looks once a minute; once an hour when nothing has been begun for three."""
        self._let_clients_report()
        with suppress(StateFailed):
            self.call("watch", {})
        idle = (self.time.now() - self.began).total_seconds()
        self.time.at(MINUTE if idle < LONG else LONG / 3, self.watch)

    def _let_clients_report(self) -> None:
        """Have clients tell DRS that they're there: their own clock didn't go on."""
        for each in self.place.clouds.drs.world.instances:
            if each.link and each.link.certificate and each.link.attained and not each.link.outcome:
                each.bell.set()

    def call(self, stage: str, payload: Json) -> Json:
        return self.functions.invoke(self.functions.name_of(stage), payload)

    def settle(self) -> None:
        """Before time goes on: machines do what they can, events reach the watcher."""
        last, since, end = self._signature(), real_time.monotonic(), real_time.monotonic() + 5
        while real_time.monotonic() - since < QUIET and real_time.monotonic() < end:
            _sleep(0.004)
            now = self._signature()
            if now != last:
                last, since = now, real_time.monotonic()
        if self.events:
            self.events.clear()
            with suppress(StateFailed):
                self.call("watch", {})

    @contextmanager
    def slowed(self, slow: Slow | None) -> Iterator[None]:
        """Azure's operations and the machines' boots take that long, for a `with` block."""
        assert isinstance(self.place.driver, SlowDriver)
        board, driver = self.place.clouds.azure._board, self.place.driver
        slow = slow or Slow()
        board.latency, driver.boot_seconds = slow.latency, slow.boot_seconds
        try:
            yield
        finally:
            board.latency, driver.boot_seconds = {}, 0.0

    def waits(self) -> list[tuple[datetime, datetime]]:
        """When the cloud at home was at work: its operations and its machines' boots, each from and to."""
        assert isinstance(self.place.driver, SlowDriver)
        operations = self.place.clouds.azure._board._operations.values()
        return [(each.started, each.due) for each in operations if each.due > each.started] + self.place.driver.boots

    def _signature(self) -> Json:
        """What changes while a machine or a client is at work."""
        guests = self.place.driver.guests
        links = [
            (each.link.attained, each.link.outcome, each.link.seen) if each.link else None
            for each in self.place.clouds.drs.world.instances
        ]
        running = [each for each in guests if each.is_running]
        written = [each.console_file.stat().st_size if each.console_file.exists() else 0 for each in running]
        return len(guests), len(running), written, links, sum(self.place.clouds.drs.replication._sent.values())

    def _tell_of_the_end(self, arn: str) -> None:
        detail = {
            "executionArn": arn,
            "stateMachineArn": self.machine,
            "name": arn.rpartition(":")[2],
            "status": "FAILED",
        }
        before = set(self.executions)
        # EventBridge tries again for a day.
        for _ in range(3):
            with suppress(StateFailed):
                self.call("clean_up_aborted", {"detail": detail})
                break
        for cleaning in set(self.executions) - before:
            self.until(lambda arn=cleaning: self.executions[arn].ended)


class _Tokens:
    """Task tokens of virtual executions."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time

    def succeed(self, token: str, output: str) -> bool:
        return self._time.answer(token, json.loads(output))

    def fail(self, token: str, *, error: str, cause: str) -> bool:
        return self._time.answer(token, StateFailed(error, cause))


@dataclass
class _Executions:
    """Of the interpreter."""

    world: list[World] = field(default_factory=list)

    def start(self, name: str, given: str) -> None:
        self.world[0].start(name, json.loads(given))

    def stop(self, execution: str, cause: str) -> None:
        message = f"{execution}: no run here has parts, so that none is stopped ({cause})"
        raise AssertionError(message)

    def goes_on(self, execution: str) -> bool:
        found = self.world[0].executions.get(execution)
        return found is not None and not found.ended


@dataclass
class _Watcher:
    events: deque[str]

    def wake(self) -> None:
        self.events.append("woken")


class SlowDriver(ScriptedDriver):
    """Machines that take so long to boot, in virtual seconds; `boots` are when each began to, and when it was up."""

    time: VirtualTime | None = None
    boot_seconds = 0.0

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401
        super().__init__(*given, **named)
        self.boots: list[tuple[datetime, datetime]] = []

    def live(self, guest: Guest, metadata_url: str) -> None:
        if self.time is not None and self.boot_seconds:
            up = self.time.now().timestamp() + self.boot_seconds
            self.boots.append((self.time.now(), self.time.now() + timedelta(seconds=self.boot_seconds)))
            # So that time doesn't go past it before the machine has done what it does then.
            self.time.at(self.boot_seconds, lambda: None)
            while self.time.now().timestamp() < up:
                if guest.stopping.wait(0.003):
                    return
        super().live(guest, metadata_url)


@contextmanager
def open_world(folder: Path, iso: Path) -> Iterator[World]:
    """The clouds with the product deployed, in virtual time."""
    time, events, executions = VirtualTime(), deque[str](), _Executions()
    with ExitStack() as stack:
        enter = stack.enter_context
        place = enter(open_place(folder, iso, drs=DrsSettings(clock=time.now), scripted=SlowDriver))
        assert isinstance(place.driver, SlowDriver)
        place.driver.time = time
        place.clouds.azure._state.clock = time
        # Sessions of STS run out by the real clock.
        place.clouds.drs.keys._clock = utc_now
        # What the clouds' own events call is the watcher; it's called here, and not as a process of its own.
        enter(patch.object(place.clouds.aws.runner, "enqueue", lambda *_given, **_named: events.append("event")))
        engine = Engine(time, _Tokens(time), executions, _Watcher(events))
        functions = Functions(place, engine)
        definition = filled_in(_DEFINITION.read_text(encoding="utf-8"), _Names(functions))
        world = World(place, time, functions, Interpreter(definition, time, functions.invoke), events=events)
        executions.world.append(world)
        time.before_moving = world.settle
        enter(functions.here())
        enter(_virtual_waits(time))
        world.watch()
        yield world


class _Names(dict[str, str]):
    def __init__(self, functions: Functions) -> None:
        super().__init__()
        self._functions = functions

    def __missing__(self, stage: str) -> str:
        return self._functions.name_of(stage)


@contextmanager
def _virtual_waits(time: VirtualTime) -> Iterator[None]:
    """Short waits inside of a call let virtual time go: for an operation of Azure's, before an SDK tries again."""
    main = threading.get_ident()

    def settled(poller: Any, seconds: float = azure_place.SETTLE_SECONDS) -> bool:  # noqa: ANN401
        left = seconds
        while not _done(poller) and left > 0:
            time.advance(POLL)
            left -= POLL
        if not poller.done():
            return False
        poller.result()
        return True

    def slept(seconds: float) -> None:
        if threading.get_ident() == main:
            time.advance(seconds)
            return
        _sleep(min(seconds, 0.002) if threading.current_thread().name.startswith("LROPoller") else seconds)

    import failback.clouds.azure as adapters

    names = [path.stem for path in Path(adapters.__file__).parent.glob("*.py")]
    with ExitStack() as stack:
        for name in names:
            with suppress(AttributeError):
                stack.enter_context(patch(f"failback.clouds.azure.{name}.settled", settled))
        stack.enter_context(patch("time.sleep", slept))
        yield


def _done(poller: Any) -> bool:  # noqa: ANN401
    """Whether the operation is over, given a moment to look once more."""
    poller.wait(0.01)
    return bool(poller.done())
