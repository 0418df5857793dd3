"""What handlers that wait and watch are connected to, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from tests.memory.clock import FixedClock
from tests.memory.recovery import MemoryRecovery
from tests.memory.run_log import MemoryRunLog
from tests.memory.server_book import MemoryServerBook
from tests.memory.task_tokens import MemoryTokens
from tests.memory.waiting_room import MemoryWaitingRoom

if TYPE_CHECKING:
    from collections.abc import Callable

    from lambdas.connections import Connections

T = TypeVar("T")


class Surroundings:
    """Connections whose ports are in memory; `name` tells one test's from another's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.clock, self.servers = FixedClock(), MemoryServerBook()
        self.run_log = MemoryRunLog(self.servers)
        self.recovery, self.waiting_room, self.task_tokens = MemoryRecovery(), MemoryWaitingRoom(), MemoryTokens()

    def guard(self, call: Callable[[], T], /) -> T:
        return call()

    def connect(self) -> Connections:
        """As a handler is given them."""
        return cast("Any", self)  # type: ignore[no-any-return]
