"""How far one server is, in a word: from its stages, its replication and its end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from failback.model.record import ServerHistory, StageEntry
from failback.model.request import ServerRequest
from failback.model.server import ReplicationProgress, ServerOutcome, ServerRecord
from failback.server_progress import server_progress
from tests.client_bench import SERVER
from tests.memory.clock import NOON

PROGRESS = ReplicationProgress(
    at=NOON, verdict="waiting", state="INITIAL_SYNC", failback="FAILBACK_IN_PROGRESS", total=100, replicated=40
)


def history(*stages: tuple[str, str], began: int = 0, **record: Any) -> ServerHistory:  # noqa: ANN401
    entries = [
        StageEntry.model_validate({"stage": stage, "status": status, "began": NOON + timedelta(minutes=began + nth),
                                   "updated": NOON + timedelta(minutes=began + nth)})
        for nth, (stage, status) in enumerate(stages)
    ]  # fmt: skip
    request = ServerRequest(recovery_instance=SERVER)
    return ServerHistory(record=ServerRecord(id=SERVER, request=request, **record), stages=tuple(entries))


@pytest.mark.parametrize(
    ("stages", "record", "status"),
    [
        ((), {}, "planned"),
        ((("boot_client", "pending"),), {}, "running"),
        ((("await_replication", "pending"),), {"progress": PROGRESS}, "replicating"),
        ((("await_replication", "pending"),), {"progress": PROGRESS.model_copy(update={"verdict": "stuck"})}, "stuck"),
        ((("await_replication", "done"), ("await_approval", "pending")), {"progress": PROGRESS}, "waiting"),
        ((("await_approval", "done"), ("quiesce", "pending")), {"progress": PROGRESS}, "running"),
        ((("verify_server", "done"), ("await_commit", "pending")), {"progress": PROGRESS}, "waiting"),
        ((("quiesce", "failed"), ("hold_server", "pending")), {"progress": PROGRESS}, "held"),
        ((("hold_server", "done"),), {}, "running"),
    ],
)
def test_where_it_stands(stages: tuple[tuple[str, str], ...], record: dict[str, Any], status: str) -> None:
    assert server_progress(history(*stages, **record), now=NOON).status == status


def test_a_stage_that_is_tried_again_is_the_one_that_counts() -> None:
    told = history(("boot_client", "more"), ("hold_server", "done"))
    again = told.stages[0].model_copy(update={"updated": NOON + timedelta(minutes=9)})
    assert server_progress(told.model_copy(update={"stages": (again, told.stages[1])}), now=NOON).stage == "boot_client"


@pytest.mark.parametrize("end", ["home", "launched", "rehearsed", "skipped", "failed"])
def test_how_it_ended(end: str) -> None:
    fields = {"outcome": end, "at": NOON, "stage": "begin_wave", "error": "Stopped", "cause": "the line is cut"}
    ended = server_progress(history(outcome=ServerOutcome.model_validate(fields)), now=NOON)
    assert ended.status == end
    assert ended.note == ("begin_wave: Stopped" if end == "failed" else "the line is cut")
    assert ended.left is None
