"""Servers whose giving back came to nothing are told as a whole; no other is."""

from __future__ import annotations

from typing import Any

import pytest

from failback.model.record import RunRecord, ServerHistory, StageEntry
from failback.model.recovery import FailbackConfiguration
from failback.model.request import ServerRequest
from failback.model.server import BeforeImage, ServerOutcome, ServerRecord
from failback.unreturned import as_a_whole, is_unreturned
from tests.client_bench import SERVER, plan_of
from tests.memory.clock import NOON

BEFORE = BeforeImage(configuration=FailbackConfiguration(bandwidth_mbps=0, name="web", private_ip=True))


ENDED = RunRecord(
    run="run-1", execution="arn", goal="failback", target="t", home="azure", started=NOON, status="failed"
)


def entry(**changed: Any) -> StageEntry:  # noqa: ANN401
    fields = {"stage": "give_back", "status": "failed", "began": NOON, "updated": NOON}
    return StageEntry.model_validate({**fields, **changed})


def server(*stages: StageEntry, outcome: str | None = "failed", before: BeforeImage | None = BEFORE) -> ServerHistory:
    end = ServerOutcome.model_validate({"outcome": outcome, "at": NOON}) if outcome else None
    made = ServerRecord(
        id=SERVER, request=ServerRequest(recovery_instance=SERVER), plan=plan_of(), before=before, outcome=end
    )
    return ServerHistory(record=made, stages=stages)


def test_one_whose_giving_back_failed_says_why_and_how_it_is_tried_again() -> None:
    (left,) = as_a_whole(server(entry(error="CloudRefused", advice="give it the right")), ENDED)
    assert (left.belonging.kind, left.belonging.id) == ("server", SERVER)
    assert left.why == "giving it back failed: CloudRefused: give it the right"
    assert left.command == "failback clean-up run-1"


@pytest.mark.parametrize("outcome", ["failed", None])
def test_one_that_it_never_came_to_is_told_too(outcome: str | None) -> None:
    (left,) = as_a_whole(server(outcome=outcome), ENDED)
    assert "before it was given back" in left.why


@pytest.mark.parametrize(
    "other",
    [
        server(entry(status="done", facts={"removed": [], "more": 0, "left": []})),
        server(outcome="home"),
        server(outcome="skipped"),
        server(before=None),
    ],
    ids=["given-back", "home", "skipped", "nothing-changed"],
)
def test_no_other_is(other: ServerHistory) -> None:
    assert not is_unreturned(other)
    assert as_a_whole(other, ENDED) == ()


def test_while_a_run_goes_on_nobody_is_told() -> None:
    going_on = ENDED.model_copy(update={"status": "running"})
    assert as_a_whole(server(outcome=None), going_on) == ()
