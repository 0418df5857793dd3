"""What items of the run log's table look like in DynamoDB: keys, an end for each of them, what's read page by page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from moto import mock_aws

from failback.clouds.aws.items import KEPT
from failback.clouds.aws.run_log import DynamoRunLog
from failback.clouds.aws.server_book import DynamoServerBook
from failback.clouds.aws.waiting_room import DynamoWaitingRoom
from failback.model.record import RunRecord, StageEntry
from failback.model.request import ServerRequest
from failback.model.server import Parked, ServerOutcome
from tests.clouds.aws.tables import make_run_table
from tests.memory.clock import NOON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clouds.aws.embedded import Sdk


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sdk]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with mock_aws():
        yield make_run_table("runs")


def test_items_have_keys_and_an_end(dynamodb: Sdk) -> None:
    log = DynamoRunLog(dynamodb, "runs")
    entry = StageEntry(stage="fetch_iso", status="more", began=NOON, updated=NOON)
    log.open(RunRecord(run="r", execution="e", goal="prepare", target="t", home="azure", started=NOON))
    log.note("r", entry)
    log.note("r", entry, server="i-0000000a")
    log.lease("client-image", "r", now=NOON, until=NOON)
    DynamoWaitingRoom(dynamodb, "runs").park(parked("i-0000000a"))
    DynamoServerBook(dynamodb, "runs").enlist("r", [ServerRequest(recovery_instance="i-0000000a")])
    items = {(item["pk"]["S"], item["sk"]["S"]): item for item in dynamodb.scan(TableName="runs")["Items"]}
    book = items.pop(("run#r", "server#i-0000000a"))
    assert float(book["expires"]["N"]) == pytest.approx((datetime.now(UTC) + KEPT).timestamp(), abs=600)
    assert set(items) == {
        ("run#r", "run"),
        ("run#r", "stage#fetch_iso"),
        ("run#r", "server#i-0000000a#stage#fetch_iso"),
        ("lease#client-image", "lease"),
        ("waiting", "replication#r#i-0000000a"),
    }
    end = str(int((NOON + timedelta(days=400)).timestamp()))
    assert {item["expires"]["N"] for item in items.values()} == {end}
    record = items["run#r", "run"]
    assert (record["kind"]["S"], record["started"]["S"]) == ("run", "2026-11-22T12:00:00.000000+00:00")


def test_a_long_history_is_read_to_its_end(dynamodb: Sdk) -> None:
    log = DynamoRunLog(dynamodb, "runs")
    log.open(RunRecord(run="r", execution="e", goal="prepare", target="t", home="azure", started=NOON))
    # DynamoDB answers 1 MiB at a time.
    for number in range(6):
        began = NOON + timedelta(seconds=number)
        entry = StageEntry(stage=f"stage-{number}", status="done", began=began, updated=began, facts="x" * 300_000)
        log.note("r", entry)
    history = log.read("r")
    assert history is not None
    assert [entry.stage for entry in history.stages] == [f"stage-{number}" for number in range(6)]


def test_many_servers_and_many_who_wait_are_read_to_their_end(dynamodb: Sdk) -> None:
    log, book = DynamoRunLog(dynamodb, "runs"), DynamoServerBook(dynamodb, "runs")
    room = DynamoWaitingRoom(dynamodb, "runs")
    log.open(RunRecord(run="r", execution="e", goal="failback", target="t", home="azure", started=NOON))
    ids = [f"i-{number:08x}" for number in range(6)]
    book.enlist("r", [ServerRequest(recovery_instance=name) for name in ids])
    for name in ids:
        book.settle("r", name, ServerOutcome(outcome="failed", at=NOON, cause="x" * 300_000))
        log.note("r", StageEntry(stage="boot_client", status="failed", began=NOON, updated=NOON), server=name)
        room.park(parked(name, token="x" * 100_000))
    assert [record.id for record in book.of("r")] == ids
    assert [each.server for each in room.everyone()] == ids
    history = log.read("r")
    assert history is not None
    assert [(each.record.id, len(each.stages)) for each in history.servers] == [(name, 1) for name in ids]


def parked(server: str, token: str = "t") -> Parked:
    return Parked(
        run="r",
        server=server,
        milestone="replication",
        token=token,
        since=NOON,
        deadline=NOON,
        stuck_minutes=60,
        on_stuck="fail",
    )
