"""The run log in DynamoDB: one table with the string keys `pk` and `sk`, and the index `recent` (`kind`, `started`).

| pk | sk | holds |
|---|---|---|
| run#ID | run | `record`, and `outcome` and `ended` once it's closed; `kind` and `started` for the index |
| run#ID | stage#NAME | `entry`, and beside it `began` (from the first call) and `calls` (counted) |
| lease#NAME | lease | `holder`, and `until` in seconds since 1970 |

Models are JSON text. `expires` (seconds since 1970) is the table's time to live.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from failback.errors import RunUnknown
from failback.model.record import RunHistory, RunRecord, StageEntry
from failback.model.run import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

INDEX = "recent"
# A little more than a year, so that an audit of the last one finds all of it.
KEPT = timedelta(days=400)

Item = dict[str, "AttributeValueTypeDef"]


class DynamoRunLog:
    """A RunLog."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table

    def open(self, record: RunRecord) -> None:
        item: Item = {
            **_run_key(record.run),
            "kind": {"S": "run"},
            "started": {"S": _moment(record.started)},
            "record": {"S": record.model_dump_json()},
            "expires": _expiry(record.started),
        }
        try:
            self._dynamodb.put_item(TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(pk)")
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return

    def close(self, run: str, outcome: Outcome, ended: datetime) -> None:
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key=_run_key(run),
                UpdateExpression="SET outcome = :outcome, ended = :ended",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues={
                    ":outcome": {"S": outcome.model_dump_json()},
                    ":ended": {"S": _moment(ended)},
                },
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            message = f"there is no run {run} to be closed: it was never begun"
            raise RunUnknown(message) from error

    def note(self, run: str, entry: StageEntry) -> None:
        self._dynamodb.update_item(
            TableName=self._table,
            Key={"pk": {"S": f"run#{run}"}, "sk": {"S": f"stage#{entry.stage}"}},
            UpdateExpression="SET entry = :entry, began = if_not_exists(began, :began), expires = :expires "
            "ADD calls :calls",
            ExpressionAttributeValues={
                ":entry": {"S": entry.model_dump_json()},
                ":began": {"S": _moment(entry.began)},
                ":expires": _expiry(entry.updated),
                ":calls": {"N": str(entry.calls)},
            },
        )

    def read(self, run: str) -> RunHistory | None:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"run#{run}"}},
            ConsistentRead=True,
        )
        items = {item["sk"]["S"]: item for page in pages for item in page["Items"]}
        record = items.pop("run", None)
        if record is None:
            return None
        stages = sorted((_entry(item) for item in items.values()), key=lambda entry: entry.began)
        return RunHistory(record=_record(record), stages=tuple(stages))

    def recent(self, limit: int) -> Sequence[RunRecord]:
        found = self._dynamodb.query(
            TableName=self._table,
            IndexName=INDEX,
            KeyConditionExpression="kind = :kind",
            ExpressionAttributeValues={":kind": {"S": "run"}},
            ScanIndexForward=False,
            Limit=limit,
        )
        return [_record(item) for item in found["Items"]]

    def lease(self, name: str, holder: str, *, now: datetime, until: datetime) -> str:
        item: Item = {
            **_lease_key(name),
            "holder": {"S": holder},
            "until": {"N": str(until.timestamp())},
            "expires": _expiry(until),
        }
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(pk) OR holder = :me OR #until <= :now",
                ExpressionAttributeNames={"#until": "until"},
                ExpressionAttributeValues={":me": {"S": holder}, ":now": {"N": str(now.timestamp())}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            # As it stood when it was refused: asked for again, it could be gone.
            return str(error.response["Item"]["holder"]["S"])  # type: ignore[typeddict-item]
        return holder

    def release(self, name: str, holder: str) -> None:
        try:
            self._dynamodb.delete_item(
                TableName=self._table,
                Key=_lease_key(name),
                ConditionExpression="holder = :me",
                ExpressionAttributeValues={":me": {"S": holder}},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return


def _run_key(run: str) -> Item:
    return {"pk": {"S": f"run#{run}"}, "sk": {"S": "run"}}


def _lease_key(name: str) -> Item:
    return {"pk": {"S": f"lease#{name}"}, "sk": {"S": "lease"}}


def _moment(time: datetime) -> str:
    """ISO 8601 in UTC, always with microseconds: its order as text is that of the times."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def _expiry(since: datetime) -> AttributeValueTypeDef:
    return {"N": str(int((since + KEPT).timestamp()))}


def _record(item: Mapping[str, AttributeValueTypeDef]) -> RunRecord:
    record = RunRecord.model_validate_json(item["record"]["S"])
    if "outcome" not in item:
        return record
    outcome = Outcome.model_validate_json(item["outcome"]["S"])
    ended = datetime.fromisoformat(item["ended"]["S"])
    return record.model_copy(update={"status": outcome.outcome, "ended": ended, "outcome": outcome})


def _entry(item: Mapping[str, AttributeValueTypeDef]) -> StageEntry:
    entry = StageEntry.model_validate_json(item["entry"]["S"])
    began = datetime.fromisoformat(item["began"]["S"])
    return entry.model_copy(update={"began": began, "calls": int(item["calls"]["N"])})
