"""What people have decided, in the run log's table: failback/clouds/aws/items.py describes its items. Only added to."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from failback.clouds.aws.items import DECISIONS, expiry, key, moment, partition
from failback.model.decision import Decision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from failback.clouds.aws.items import Item
    from failback.model.decision import Subject

_NEXT = timedelta(microseconds=1)


class DynamoDecisionBook:
    """A DecisionBook. Of two that are made in the same microsecond the later one is noted as the next one's."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table

    def decide(self, run: str, decision: Decision) -> None:
        while self._add(run, decision) not in (None, decision):
            decision = decision.model_copy(update={"at": decision.at + _NEXT})

    def of(self, run: str, *, subject: Subject | None = None) -> Sequence[Decision]:
        begins = f"{DECISIONS}{subject}#" if subject else DECISIONS
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :decisions)",
            ExpressionAttributeValues={":pk": {"S": partition(run)}, ":decisions": {"S": begins}},
            ConsistentRead=True,
        )
        return sorted((read_decision(item) for page in pages for item in page["Items"]), key=lambda each: each.at)

    def _add(self, run: str, decision: Decision) -> Decision | None:
        """Note it where nothing is; the one that's there already."""
        item: Item = {
            **key(partition(run), f"{DECISIONS}{decision.subject}#{decision.scope}#{moment(decision.at)}"),
            "decision": {"S": decision.model_dump_json()},
            "expires": expiry(decision.at),
        }
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            return read_decision(error.response["Item"])  # type: ignore[typeddict-item]
        return None


def read_decision(item: Mapping[str, AttributeValueTypeDef]) -> Decision:
    """A decision from its item."""
    return Decision.model_validate_json(item["decision"]["S"])
