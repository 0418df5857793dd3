"""The contract of LaunchBook."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from failback.clouds.aws.launch_book import DynamoLaunchBook
from failback.model.decision import LaunchBatch
from tests.memory.clock import NOON
from tests.memory.launch_book import MemoryLaunchBook

if TYPE_CHECKING:
    from failback.recovery_ports import LaunchBook

SERVERS = tuple(f"i-{number:017x}" for number in range(100))
FIRST = LaunchBatch(id="b-2", run="r", servers=SERVERS, at=NOON)
SECOND = LaunchBatch(id="b-1", run="r", servers=SERVERS[:1], at=NOON + timedelta(seconds=1))


@pytest.fixture(params=["aws", "memory"])
def book(request: pytest.FixtureRequest) -> LaunchBook:
    if request.param == "memory":
        return MemoryLaunchBook()
    return DynamoLaunchBook(request.getfixturevalue("run_table"), "runs")


def test_batches_of_a_run_are_read_oldest_first(book: LaunchBook) -> None:
    assert list(book.of("r")) == []
    book.keep(SECOND)
    book.keep(FIRST)
    book.keep(FIRST.model_copy(update={"run": "another"}))
    assert list(book.of("r")) == [FIRST, SECOND]


@pytest.mark.parametrize(
    "update",
    [{"job": "drsjob-0123456789abcdef0"}, {"split": True}, {"refused": "ConflictException: “not” ready"}],
    ids=["job", "split", "refused"],
)
def test_what_is_noted_last_counts(book: LaunchBook, update: dict[str, object]) -> None:
    book.keep(FIRST)
    changed = FIRST.model_copy(update=update)
    for _ in range(2):
        book.keep(changed)
        assert list(book.of("r")) == [changed]


def test_many_are_read_to_the_last(book: LaunchBook) -> None:
    many = [
        FIRST.model_copy(update={"id": f"{number:04}", "at": NOON + timedelta(seconds=number)}) for number in range(500)
    ]
    for batch in reversed(many):
        book.keep(batch)
    # More than a page of DynamoDB's, which is 1 MiB.
    assert sum(len(batch.model_dump_json()) for batch in many) > 1 << 20
    assert list(book.of("r")) == many
