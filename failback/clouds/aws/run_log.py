"""The run log in DynamoDB; the table's items are described in failback/clouds/aws/items.py."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from failback.clouds.aws.decision_book import read_decision
from failback.clouds.aws.items import DECISIONS, SERVERS, expiry, key, moment, partition, stage_key, stage_owner
from failback.clouds.aws.launch_book import LAUNCHES, read_batch
from failback.clouds.aws.server_book import read_server
from failback.errors import RunUnknown
from failback.model.call import Call
from failback.model.ending import Outcome
from failback.model.record import RunHistory, RunRecord, ServerHistory, StageEntry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from failback.clouds.aws.items import Item

INDEX = "recent"
RUN = "run"
_WHOLE = frozenset({"entry", "began", "calls"})
"""What a stage's item has, all at once."""


class DynamoRunLog:
    """A RunLog."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table

    def open(self, record: RunRecord) -> None:
        item: Item = {
            **key(partition(record.run), RUN),
            "kind": {"S": "run"},
            "started": {"S": moment(record.started)},
            "record": {"S": record.model_dump_json()},
            "expires": expiry(record.started),
        }
        try:
            self._dynamodb.put_item(TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(pk)")
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return

    def close(self, run: str, outcome: Outcome, ended: datetime) -> None:
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key=key(partition(run), RUN),
                UpdateExpression="SET outcome = :outcome, ended = :ended",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues={
                    ":outcome": {"S": outcome.model_dump_json()},
                    ":ended": {"S": moment(ended)},
                },
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            message = f"there is no run {run} to be closed: it was never begun"
            raise RunUnknown(message) from error

    def begin(self, run: str, stage: str, call: Call, *, server: str = "") -> None:
        self._dynamodb.update_item(
            TableName=self._table,
            Key=stage_key(run, stage, server),
            UpdateExpression="SET expires = :expires ADD at_work :call",
            ExpressionAttributeValues={":expires": expiry(call.until), ":call": _calls(call)},
        )

    def note(self, run: str, entry: StageEntry, *, server: str = "", call: Call | None = None) -> None:
        self._dynamodb.update_item(
            TableName=self._table,
            Key=stage_key(run, entry.stage, server),
            UpdateExpression="SET entry = :entry, began = if_not_exists(began, :began), expires = :expires "
            f"ADD calls :calls{' DELETE at_work :call' if call else ''}",
            ExpressionAttributeValues={
                ":entry": {"S": entry.model_dump_json()},
                ":began": {"S": moment(entry.began)},
                ":expires": expiry(entry.updated),
                ":calls": {"N": str(entry.calls)},
                **({":call": _calls(call)} if call else {}),
            },
        )

    def at_work(self, run: str) -> Sequence[Call]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            FilterExpression="attribute_exists(at_work)",
            ProjectionExpression="at_work",
            ExpressionAttributeValues={":pk": {"S": partition(run)}},
            ConsistentRead=True,
        )
        return [_call(text) for page in pages for item in page["Items"] for text in item["at_work"]["SS"]]

    def read(self, run: str) -> RunHistory | None:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": partition(run)}},
            ConsistentRead=True,
        )
        items = {item["sk"]["S"]: item for page in pages for item in page["Items"]}
        record = items.pop(RUN, None)
        if record is None:
            return None
        history = _history(record, items)
        parts = (self.read(part) for part in history.record.parts)
        return history.model_copy(update={"parts": tuple(part for part in parts if part is not None)})

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
            "expires": expiry(until),
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


def _calls(call: Call) -> AttributeValueTypeDef:
    """A set, so that calls at the same time keep and remove their own."""
    return {"SS": [f"{moment(call.until)} {call.id}"]}


def _call(text: str) -> Call:
    until, _, identity = text.partition(" ")
    return Call(id=identity, until=datetime.fromisoformat(until))


def _lease_key(name: str) -> Item:
    return key(f"lease#{name}", "lease")


def _history(record: Mapping[str, AttributeValueTypeDef], items: Mapping[str, Item]) -> RunHistory:
    """A run's history of its record and its other items, by `sk`."""
    stages: defaultdict[str, list[StageEntry]] = defaultdict(list)
    for sk, item in items.items():
        owner = stage_owner(sk)
        # An item that's only half there is one that's being noted for the first time (not in DynamoDB itself).
        if owner is not None and item.keys() >= _WHOLE:
            stages[owner].append(_entry(item))
    in_order = {owner: tuple(sorted(entries, key=lambda entry: entry.began)) for owner, entries in stages.items()}
    records = (read_server(item) for item in _kind(items, SERVERS))
    servers = [ServerHistory(record=each, stages=in_order.get(each.id, ())) for each in records]
    return RunHistory(
        record=_record(record),
        stages=in_order.get("", ()),
        servers=tuple(sorted(servers, key=lambda each: each.record.id)),
        decisions=tuple(sorted(map(read_decision, _kind(items, DECISIONS)), key=lambda each: each.at)),
        batches=tuple(sorted(map(read_batch, _kind(items, LAUNCHES)), key=lambda each: (each.at, each.id))),
    )


def _kind(items: Mapping[str, Item], prefix: str) -> list[Item]:
    """Items of one kind; a server's stages lie beside its own."""
    return [item for sk, item in items.items() if sk.startswith(prefix) and stage_owner(sk) is None]


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
