"""What the run log's items look like in DynamoDB: keys for the index, and an end for each of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from moto import mock_aws

from failback.clouds.aws.run_log import DynamoRunLog
from failback.model.record import RunRecord, StageEntry
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
    log.open(RunRecord(run="r", execution="e", goal="prepare", target="t", home="azure", started=NOON))
    log.note("r", StageEntry(stage="fetch_iso", status="more", began=NOON, updated=NOON))
    log.lease("client-image", "r", now=NOON, until=NOON)
    items = {(item["pk"]["S"], item["sk"]["S"]): item for item in dynamodb.scan(TableName="runs")["Items"]}
    assert set(items) == {("run#r", "run"), ("run#r", "stage#fetch_iso"), ("lease#client-image", "lease")}
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
