"""What opens a door is nowhere that a person reads: not in states, the run log, reports, logs, nor in recordings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from localcloud.moto_seams.map_runs import child_histories

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.localcloud.runs.place import Place

Json = Any
SHAPES = {
    "a token": re.compile(r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
    "a signature": re.compile(r"[?&](?:sig|X-Amz-Signature)=[\w%+/=-]{16,}"),
    "a bearer's token": re.compile(r"Bearer [\w.-]{16,}"),
    "a token of Google's": re.compile(r"ya29\.[\w.-]{16,}"),
}
"""Tokens, signed URLs and headers that these clouds take, by how they look."""
SHORTEST = 16
"""Characters: less than that isn't a key."""


def secrets_in(places: Iterable[tuple[str, str]], minted: Iterable[str]) -> Iterator[str]:
    """Where a known key, or something of a token's shape, stands in a text; the secret itself isn't said."""
    keys = [each for each in dict.fromkeys(minted) if len(each) >= SHORTEST]
    for name, text in places:
        for kind, shape in SHAPES.items():
            if found := shape.search(text):
                yield f"{name} holds {kind}, after {text[max(0, found.start() - 80) : found.start()]!r}"
        if any(each in text for each in keys):
            yield f"{name} holds a key that was given out"


def minted_in(place: Place) -> Iterator[str]:
    """The keys that the clouds have given to clients, and clients' certificates."""
    for each in place.clouds.network.sessions.all:
        yield from (each.secret_key, each.session_token)
    for instance in place.clouds.drs.world.instances:
        if instance.link is not None and instance.link.certificate:
            yield instance.link.certificate


def readable_in(place: Place) -> Iterator[tuple[str, str]]:
    """Every text that a person may read, by where it is."""
    for call in place.clouds.faults.calls:
        yield f"the recording of call {call.number}", " ".join((call.path, call.query, call.body, call.answer))
    for name in place.deployed.functions:
        yield f"the log of {name}", place.clouds.aws.runner.logs(name)
    table = place.clouds.client("dynamodb").get_paginator("scan")
    for page in table.paginate(TableName=place.deployed.outputs["RunLogTable"], ConsistentRead=True):
        yield from ((f"the run log's {item['pk']} {item['sk']}", str(item)) for item in page["Items"])
    yield from _states(place)
    yield from _reports(place)


def _states(place: Place) -> Iterator[tuple[str, str]]:
    states = place.clouds.client("stepfunctions")
    machine = place.deployed.outputs["StateMachineArn"]
    for page in states.get_paginator("list_executions").paginate(stateMachineArn=machine):
        for each in page["executions"]:
            arn = each["executionArn"]
            told = states.describe_execution(executionArn=arn)
            yield f"the execution {each['name']}", f"{told['input']} {told.get('output', '')} {told.get('cause', '')}"
            yield f"the children of {each['name']}", str(child_histories(arn))


def _reports(place: Place) -> Iterator[tuple[str, str]]:
    s3 = place.clouds.client("s3", s3={"addressing_style": "path"})
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix="reports/"):
        for each in page.get("Contents", ()):
            body: Json = s3.get_object(Bucket=place.bucket, Key=each["Key"])["Body"]
            yield each["Key"], body.read().decode("utf-8", "replace")
