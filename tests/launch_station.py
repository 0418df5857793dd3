"""Servers of one run that wait for their launch, with all that a look at them takes: over any ports of DRS's."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from failback.clouds.aws.refusals import foreign, translate
from failback.launch import LaunchVerdict, advance_launches
from failback.model.request import ServerRequest
from failback.model.server import Parked
from tests.memory.launch_book import MemoryLaunchBook
from tests.memory.server_book import MemoryServerBook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from failback.recovery_ports import LaunchBook, RecoveryLaunches, ServerBook
    from tests.contracts.aws.launch_yard import LaunchYard

T = TypeVar("T")
RUN = "failback-azure-home"


def guard(call: Callable[[], T], /) -> T:
    """Make a call; boto3's errors come out as ours."""
    try:
        return call()
    except foreign() as error:
        raise translate(error) from error


class LaunchStation:
    """`count` servers of the yard that are fenced and parked since now; `parked` by id."""

    def __init__(self, yard: LaunchYard, count: int = 1, *, lag_minutes: float = 60, minutes: float = 180) -> None:
        self.yard, self.clock = yard, yard.clock
        self.book, self.launch_book = MemoryServerBook(), MemoryLaunchBook()
        self.lag_minutes, self.minutes = lag_minutes, minutes
        self.servers: list[str] = []
        self.parked: dict[str, Parked] = {}
        self.stopped = False
        for _ in range(count):
            self.add()

    def add(self, *, fenced: bool = True) -> str:
        """One more."""
        server = self.yard.add()
        self.servers.append(server)
        self.book.enlist(RUN, [ServerRequest(recovery_instance=server)])
        if fenced:
            self.book.reach(RUN, server, "fenced", self.clock.now())
        self.park(server)
        return server

    def park(self, server: str) -> None:
        """It waits from now on, for the first time or again."""
        now = self.clock.now()
        self.parked[server] = Parked(
            run=RUN,
            server=server,
            milestone="launch",
            token=f"token of {server}",
            since=now,
            deadline=now + timedelta(minutes=self.minutes),
            lag_until=now + timedelta(minutes=self.lag_minutes),
        )

    def look(self, **ports: Any) -> Mapping[str, LaunchVerdict]:  # noqa: ANN401
        """One look at all; `ports` take the place of the station's own (book, launch_book, launches)."""
        book: ServerBook = ports.get("book", self.book)
        launch_book: LaunchBook = ports.get("launch_book", self.launch_book)
        launches: RecoveryLaunches = ports.get("launches", self.yard.launches)
        found = self.yard.recovery.instances(list(self.parked))
        return advance_launches(
            [(parked, found.get(server)) for server, parked in self.parked.items()],
            run=RUN,
            records={record.id: record for record in self.book.of(RUN)},
            stopped=self.stopped,
            book=book,
            launch_book=launch_book,
            launches=launches,
            clock=self.clock,
            guard=guard,
        )

    def later(self, **ports: Any) -> Mapping[str, LaunchVerdict]:  # noqa: ANN401
        """The next sweep's look, a minute on."""
        self.clock.forward(minutes=1)
        return self.look(**ports)

    def finish(self, servers: Sequence[str] | None = None) -> None:
        """The clients of these servers, or of all, launch them."""
        for server in self.servers if servers is None else servers:
            self.yard.finish(server)

    def launched(self, server: str) -> bool:
        """Whether the milestone was noted."""
        record = self.book.find(RUN, server)
        assert record is not None
        return record.milestones.launched is not None


def notes(verdicts: Mapping[str, LaunchVerdict]) -> set[str]:
    """What all of them wait for; nobody's wait has ended."""
    assert all(each.result is None and each.refusal is None for each in verdicts.values()), verdicts
    return {each.note for each in verdicts.values()}
