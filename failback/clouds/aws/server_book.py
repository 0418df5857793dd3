"""What is known of a run's servers, in the run log's table: failback/clouds/aws/items.py describes its items."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from failback.clouds.aws.items import SERVERS, expiry, moment, partition, server_key
from failback.errors import RunUnknown
from failback.model.request import ServerRequest
from failback.model.server import (
    BeforeImage,
    Milestones,
    ReplicationProgress,
    ServerOutcome,
    ServerPlan,
    ServerRecord,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from failback.clouds.aws.items import Item
    from failback.model.facts import Facts
    from failback.model.server import Milestone

_PARTS: dict[str, type[Facts]] = {
    "request": ServerRequest,
    "plan": ServerPlan,
    "before": BeforeImage,
    "progress": ReplicationProgress,
    "outcome": ServerOutcome,
}


class DynamoServerBook:
    """A ServerBook. What's kept of a server that was never enlisted raises RunUnknown."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table

    def enlist(self, run: str, requests: Sequence[ServerRequest]) -> None:
        # By the real time: DynamoDB's own clock lets an item end.
        expires = expiry(datetime.now(UTC))
        for request in requests:
            item: Item = {
                **server_key(run, request.recovery_instance),
                "request": {"S": request.model_dump_json()},
                "expires": expires,
            }
            self._add(item)

    def find(self, run: str, server: str) -> ServerRecord | None:
        found = self._dynamodb.get_item(TableName=self._table, Key=server_key(run, server), ConsistentRead=True)
        return read_server(found["Item"]) if "Item" in found else None

    def of(self, run: str) -> Sequence[ServerRecord]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :servers)",
            # A server's stages lie beside it.
            FilterExpression="attribute_exists(#request)",
            ExpressionAttributeNames={"#request": "request"},
            ExpressionAttributeValues={":pk": {"S": partition(run)}, ":servers": {"S": SERVERS}},
            ConsistentRead=True,
        )
        return sorted((read_server(item) for page in pages for item in page["Items"]), key=lambda record: record.id)

    def plan(self, run: str, plan: ServerPlan) -> None:
        # A call that was lost may have found faults that there aren't any more.
        self._keep(run, plan.id, "plan", plan, value=":value REMOVE outcome")

    def remember(self, run: str, server: str, before: BeforeImage) -> BeforeImage:
        kept = self._keep(run, server, "before", before, value="if_not_exists(#part, :value)")
        return BeforeImage.model_validate_json(kept["before"]["S"])

    def reach(self, run: str, server: str, milestone: Milestone, at: datetime) -> Milestones:
        # An attribute each, so that whoever notes one never writes another one over.
        return _milestones(self._set(run, server, milestone, moment(at), value="if_not_exists(#part, :value)"))

    def progress(self, run: str, server: str, progress: ReplicationProgress) -> None:
        self._keep(run, server, "progress", progress)

    def settle(self, run: str, server: str, outcome: ServerOutcome) -> None:
        self._keep(run, server, "outcome", outcome)

    def _add(self, item: Item) -> None:
        try:
            self._dynamodb.put_item(TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(pk)")
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return

    def _keep(
        self, run: str, server: str, part: str, facts: Facts, *, value: str = ":value"
    ) -> Mapping[str, AttributeValueTypeDef]:
        return self._set(run, server, part, facts.model_dump_json(), value=value)

    def _set(self, run: str, server: str, part: str, text: str, *, value: str) -> Mapping[str, AttributeValueTypeDef]:
        """Set one attribute; the item as it is afterwards."""
        try:
            return self._dynamodb.update_item(
                TableName=self._table,
                Key=server_key(run, server),
                UpdateExpression=f"SET #part = {value}",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeNames={"#part": part},
                ExpressionAttributeValues={":value": {"S": text}},
                ReturnValues="ALL_NEW",
            )["Attributes"]
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            message = f"run {run} has no server {server}: it was never enlisted"
            raise RunUnknown(message) from error


def read_server(item: Mapping[str, AttributeValueTypeDef]) -> ServerRecord:
    """A server's record from its item."""
    parts = {name: model.model_validate_json(item[name]["S"]) for name, model in _PARTS.items() if name in item}
    known = {"id": item["sk"]["S"].removeprefix(SERVERS), "milestones": _milestones(item), **parts}
    return ServerRecord.model_validate(known)


def _milestones(item: Mapping[str, AttributeValueTypeDef]) -> Milestones:
    return Milestones.model_validate({name: item[name]["S"] for name in Milestones.model_fields if name in item})
