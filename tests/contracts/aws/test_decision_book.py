"""The contract of DecisionBook, and what a run's history shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from failback.clouds.aws.decision_book import DynamoDecisionBook
from failback.clouds.aws.launch_book import DynamoLaunchBook
from failback.clouds.aws.run_log import DynamoRunLog
from failback.clouds.aws.server_book import DynamoServerBook
from failback.model.decision import Decision, LaunchBatch
from failback.model.record import RunRecord, StageEntry
from failback.model.request import ServerRequest
from tests.contracts.aws.conftest import KINDS
from tests.memory.clock import NOON
from tests.memory.run_log import MemoryRunLog

if TYPE_CHECKING:
    from failback.ports import RunLog
    from failback.recovery_ports import DecisionBook, LaunchBook, ServerBook

SERVER = "i-0000000a"
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Books:
    """All that a history is read from."""

    decisions: DecisionBook
    batches: LaunchBook
    servers: ServerBook
    run_log: RunLog


@pytest.fixture(params=KINDS)
def books(request: pytest.FixtureRequest) -> Books:
    if request.param == "memory":
        log = MemoryRunLog()
        return Books(log.decisions, log.batches, log.servers, log)
    table = request.getfixturevalue("run_table")
    servers, run_log = DynamoServerBook(table, "runs"), DynamoRunLog(table, "runs")
    return Books(DynamoDecisionBook(table, "runs"), DynamoLaunchBook(table, "runs"), servers, run_log)


def decision(scope: str, seconds: float = 0, **more: object) -> Decision:
    own = {"subject": "hold", "verdict": "retry", "actor": "kim", "known_by": "a test", "at": NOON + seconds * SECOND}
    return Decision.model_validate({**own, "scope": scope, **more})


def test_decisions_come_in_the_order_they_were_made(books: Books) -> None:
    assert list(books.decisions.of("r")) == []
    first = decision(SERVER, 1, why="the line is up again", discard=True)
    second = decision("run", 2, subject="stop", verdict="stop")
    third = decision("wave:a", 2.5, subject="approval", verdict="approve")
    for each in (third, first, second):
        books.decisions.decide("r", each)
    books.decisions.decide("another", decision(SERVER))
    assert list(books.decisions.of("r")) == [first, second, third]


def test_the_same_one_again_changes_nothing(books: Books) -> None:
    for _ in range(2):
        books.decisions.decide("r", decision(SERVER))
    assert list(books.decisions.of("r")) == [decision(SERVER)]


def test_of_two_in_the_same_moment_none_is_lost(books: Books) -> None:
    both = [decision(SERVER), decision(SERVER, verdict="give_back")]
    for each in (*both, *both):
        books.decisions.decide("r", each)
    found = books.decisions.of("r")
    assert [each.verdict for each in found] == ["retry", "give_back"]
    assert found[1].at - found[0].at < SECOND


def test_a_history_shows_decisions_and_batches_and_takes_them_for_nothing_else(books: Books) -> None:
    books.run_log.open(
        RunRecord(run="r", execution="arn:r", goal="failback", target="home", home="azure", started=NOON)
    )
    books.servers.enlist("r", [ServerRequest(recovery_instance=SERVER)])
    entry = StageEntry(stage="hold_server", status="pending", began=NOON, updated=NOON)
    books.run_log.note("r", entry, server=SERVER)
    # A wave may be called like anything: its decisions are no stage's entries all the same.
    decisions = (decision("wave:first-stage"), decision("wave:server", 1), decision(SERVER, 2))
    batches = tuple(LaunchBatch(id=f"b{n}", run="r", servers=(SERVER,), at=NOON + n * SECOND) for n in (1, 2))
    for each in reversed(decisions):
        books.decisions.decide("r", each)
    for batch in reversed(batches):
        books.batches.keep(batch)
    history = books.run_log.read("r")
    assert history is not None
    assert (history.decisions, history.batches, history.stages) == (decisions, batches, ())
    (server,) = history.servers
    assert (server.record.id, server.stages) == (SERVER, (entry,))
    assert [each.id for each in books.servers.of("r")] == [SERVER]


def test_those_on_one_subject_can_be_asked_for(books: Books) -> None:
    stop = decision("run", 2, subject="stop", verdict="stop")
    for each in (decision(SERVER, 1), stop, decision("run", 3, subject="approval", verdict="approve")):
        books.decisions.decide("r", each)
    assert list(books.decisions.of("r", subject="stop")) == [stop]
    assert list(books.decisions.of("r", subject="commit")) == []
