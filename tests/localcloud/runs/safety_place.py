"""Checks all that was done in a place, when everything there is over."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from failback.clouds.aws.run_log import DynamoRunLog
from tests.localcloud.runs.place import open_place
from tests.localcloud.runs.safety_aws import RULES
from tests.localcloud.runs.safety_home import home_is_respected
from tests.localcloud.runs.safety_secrets import minted_in, readable_in, secrets_in
from tests.localcloud.runs.safety_trace import Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from failback.model.record import RunHistory
    from localcloud.recording import RecordedCall
    from tests.localcloud.runs.place import Place

MOST_TOLD = 20
"""Faults that are named: one cause may break a rule a hundred times."""


class Looked(NamedTuple):
    """How much was judged."""

    calls: int
    runs: int
    servers: int


@contextmanager
def checked_place(folder: Path, iso: Path, **settings: Any) -> Iterator[Place]:  # noqa: ANN401
    """A place whose calls are judged in the end, all of them."""
    with open_place(folder, iso, **settings) as place:
        yield place
        looked = check_place(place)
        print(f"\nsafety: {looked.calls} calls of {looked.runs} runs with {looked.servers} servers keep every rule")


def check_place(place: Place) -> Looked:
    """Every call, every run and every text of a place; raises AssertionError that names what broke a rule."""
    calls, histories = place.clouds.faults.calls, list(histories_of(place))
    looked = check_recording(calls, histories)
    _assert_none(secrets_in(readable_in(place), list(minted_in(place))))
    return looked


def check_recording(calls: Sequence[RecordedCall], histories: Iterable[RunHistory]) -> Looked:
    """The same for calls and runs by themselves."""
    trace = Trace.of(calls, histories)
    _assert_none(fault for rule in (*RULES, home_is_respected) for fault in rule(trace))
    return Looked(len(calls), len(trace.runs), len(trace.servers))


def histories_of(place: Place) -> Iterator[RunHistory]:
    """All runs that the run log knows."""
    dynamodb, table = place.clouds.client("dynamodb"), place.deployed.outputs["RunLogTable"]
    log = DynamoRunLog(dynamodb, table)
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    keys = [(item["pk"]["S"], item["sk"]["S"]) for page in pages for item in page["Items"]]
    for pk, sk in keys:
        history = log.read(pk.removeprefix("run#")) if sk == "run" else None
        if history is not None:
            yield history


def _assert_none(faults: Iterable[str]) -> None:
    found = list(faults)
    told = "\n".join(found[:MOST_TOLD])
    assert not found, f"{len(found)} times a safety rule was broken:\n{told}"
