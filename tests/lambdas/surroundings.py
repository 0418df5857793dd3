"""What handlers that wait and watch are connected to, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from tests.memory.clock import FixedClock
from tests.memory.decision_book import MemoryDecisionBook
from tests.memory.launch_book import MemoryLaunchBook
from tests.memory.launches import MemoryLaunches
from tests.memory.recovery import MemoryRecovery
from tests.memory.run_log import MemoryRunLog
from tests.memory.server_book import MemoryServerBook
from tests.memory.task_tokens import MemoryTokens
from tests.memory.waiting_room import MemoryWaitingRoom
from tests.memory.watcher import MemoryWatcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from lambdas.connections import Connections

T = TypeVar("T")


class Surroundings:
    """Connections whose ports are in memory; `name` tells one test's from another's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.clock, self.servers = FixedClock(), MemoryServerBook()
        self.decisions, self.launch_book, self.watcher = MemoryDecisionBook(), MemoryLaunchBook(), MemoryWatcher()
        self.run_log = MemoryRunLog(self.servers, decisions=self.decisions, batches=self.launch_book)
        self.recovery, self.waiting_room, self.task_tokens = MemoryRecovery(), MemoryWaitingRoom(), MemoryTokens()
        self.launches = MemoryLaunches(self.recovery, self.clock)

    def guard(self, call: Callable[[], T], /) -> T:
        return call()

    def connect(self) -> Connections:
        """As a handler is given them."""
        return cast("Any", self)  # type: ignore[no-any-return]
