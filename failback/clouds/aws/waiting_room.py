"""Who waits for a milestone, in the run log's table: failback/clouds/aws/items.py describes its items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from failback.clouds.aws.items import WAITING, expiry, key
from failback.model.server import Parked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from failback.clouds.aws.items import Item


class DynamoWaitingRoom:
    """A WaitingRoom. All lie in one partition, so that a look at everyone is one query of a few pages."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table

    def park(self, parked: Parked) -> None:
        self._dynamodb.put_item(TableName=self._table, Item=_item(parked))

    def everyone(self, unreadable: Callable[[str], object] | None = None) -> Iterator[Parked]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": WAITING}},
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                try:
                    yield Parked.model_validate_json(item.get("parked", {}).get("S", ""))
                except ValidationError as error:
                    told = _told(item["sk"]["S"], error)
                    if unreadable is None:
                        raise ValueError(told) from None
                    unreadable(told)

    def keep(self, parked: Parked) -> None:
        try:
            self._dynamodb.put_item(TableName=self._table, Item=_item(parked), **_while_it_counts(parked))
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return

    def leave(self, parked: Parked) -> None:
        try:
            self._dynamodb.delete_item(TableName=self._table, Key=_place(parked), **_while_it_counts(parked))
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return


def _told(place: str, error: ValidationError) -> str:
    """What's wrong, without any value: one of them is a task token."""
    faults = ", ".join(f"{'.'.join(map(str, each['loc'])) or 'parked'}: {each['msg']}" for each in error.errors())
    return (
        f"who waits as {place} can't be read ({faults}). Usually another version of this program has written it. Stop "
        f"its execution, and delete the item pk={WAITING}, sk={place} from the run log's table"
    )


def _place(parked: Parked) -> Item:
    return key(WAITING, f"{parked.milestone}#{parked.run}#{parked.server}")


def _item(parked: Parked) -> Item:
    return {
        **_place(parked),
        "parked": {"S": parked.model_dump_json()},
        "token": {"S": parked.token},
        "expires": expiry(parked.deadline),
    }


def _while_it_counts(parked: Parked) -> dict[str, Any]:
    return {
        "ConditionExpression": "#token = :token",
        "ExpressionAttributeNames": {"#token": "token"},
        "ExpressionAttributeValues": {":token": {"S": parked.token}},
    }
