"""Batches of launches, in the run log's table: item `launch#BATCHID` of the run's partition holds one as `batch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.clouds.aws.items import expiry, key, partition
from failback.model.decision import LaunchBatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

LAUNCHES = "launch#"


class DynamoLaunchBook:
    """A LaunchBook."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table

    def keep(self, batch: LaunchBatch) -> None:
        self._dynamodb.put_item(
            TableName=self._table,
            Item={
                **key(partition(batch.run), f"{LAUNCHES}{batch.id}"),
                "batch": {"S": batch.model_dump_json()},
                "expires": expiry(batch.at),
            },
        )

    def of(self, run: str) -> Sequence[LaunchBatch]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :launches)",
            ExpressionAttributeValues={":pk": {"S": partition(run)}, ":launches": {"S": LAUNCHES}},
            ConsistentRead=True,
        )
        found = (read_batch(item) for page in pages for item in page["Items"])
        return sorted(found, key=lambda batch: (batch.at, batch.id))


def read_batch(item: Mapping[str, AttributeValueTypeDef]) -> LaunchBatch:
    """A batch from its item."""
    return LaunchBatch.model_validate_json(item["batch"]["S"])
