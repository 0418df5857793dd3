"""The handler of quiesce, by its ports in memory: it stands aside once the run has been stopped."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from failback.doorway import stage_doorway
from failback.errors import Stopped
from failback.model.decision import Decision
from lambdas.stages.quiesce.handler import stop_workload
from tests.client_bench import SERVER
from tests.memory.clock import NOON
from tests.memory.decision_book import MemoryDecisionBook
from tests.memory.run_log import MemoryRunLog
from tests.states import event_of
from tests.test_quiesce import FENCE, Bench

if TYPE_CHECKING:
    from collections.abc import Callable

    from lambdas.connections import Connections


class Surroundings:
    """A bench's ports as connections."""

    def __init__(self, bench: Bench, deadline: timedelta) -> None:
        self.hosts, self.documents, self.hooks = bench.hosts, bench.documents, bench.hooks
        self.clock, self.servers, self.deadline = bench.clock, bench.book, deadline
        self.decisions = MemoryDecisionBook()
        self.run_log = MemoryRunLog(bench.book)

    def connect(self) -> Connections:
        """As a handler is given them."""
        return cast("Any", self)  # type: ignore[no-any-return]

    def guard(self, call: Callable[[], Any], /) -> Any:  # noqa: ANN401
        return call()


@pytest.fixture
def around() -> Surroundings:
    return Surroundings(Bench(), timedelta(hours=2))


def test_the_handler_raises_the_fence(around: Surroundings) -> None:
    result = stage_doorway("quiesce", stop_workload, around.connect, stoppable=True)(event_of("quiesce"), None)
    assert (result["status"], result["facts"]["kind"]) == ("done", "security-group")
    assert around.hosts.known[SERVER].groups == (FENCE,)


def test_nothing_is_fenced_in_a_run_that_was_stopped(around: Surroundings) -> None:
    run = event_of("quiesce")["run"]["id"]
    decision = Decision(subject="stop", scope="run", verdict="stop", at=NOON, actor="anna", known_by="iam")
    around.decisions.decide(run, decision)
    with pytest.raises(Stopped):
        stage_doorway("quiesce", stop_workload, around.connect, stoppable=True)(event_of("quiesce"), None)
    assert around.hosts.known[SERVER].groups != (FENCE,)
