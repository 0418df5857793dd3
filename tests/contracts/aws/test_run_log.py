"""The contract of RunLog."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from failback.errors import RunUnknown
from failback.model.call import Call
from failback.model.ending import Outcome
from failback.model.record import RunRecord, StageEntry
from failback.model.request import ServerRequest
from failback.model.stage import Progress
from tests.memory.clock import NOON

if TYPE_CHECKING:
    from failback.ports import RunLog
    from tests.contracts.aws.conftest import Logged

MINUTE = timedelta(minutes=1)


def record(run: str, minutes: int = 0) -> RunRecord:
    return RunRecord(
        run=run, execution=f"arn:{run}", goal="prepare", target="home", home="azure", started=NOON + minutes * MINUTE
    )


def entry(stage: str, minutes: int, **more: object) -> StageEntry:
    began = NOON + minutes * MINUTE
    return StageEntry.model_validate({"stage": stage, "status": "more", "began": began, "updated": began, **more})


def test_a_run_is_opened_once_and_closed(run_log: RunLog) -> None:
    assert run_log.read("r") is None
    run_log.open(record("r"))
    run_log.open(record("r", 5))
    history = run_log.read("r")
    assert history is not None
    assert history.record == record("r")
    outcome = Outcome(outcome="failed", stage="build_image", error="NoLiveImage", cause="there's none")
    run_log.close("r", outcome, NOON + MINUTE)
    history = run_log.read("r")
    assert history is not None
    update = {"status": "failed", "ended": NOON + MINUTE, "outcome": outcome}
    assert history.record == record("r").model_copy(update=update)
    with pytest.raises(RunUnknown):
        run_log.close("another", outcome, NOON)


def test_an_entry_keeps_its_beginning_and_counts_its_calls(run_log: RunLog) -> None:
    run_log.note("r", entry("fetch_iso", 2, progress=Progress(done=1, total=2), error="CloudBusy", advice="wait"))
    run_log.note("r", entry("check_request", 1, status="done"))
    assert run_log.read("r") is None
    run_log.open(record("r"))
    run_log.note("r", entry("fetch_iso", 3, status="done", facts={"key": "k", "size": 5}))
    history = run_log.read("r")
    assert history is not None
    first, second = history.stages
    assert (first.stage, first.calls) == ("check_request", 1)
    changed = {"began": NOON + 2 * MINUTE, "calls": 2}
    assert second == entry("fetch_iso", 3, status="done", facts={"key": "k", "size": 5}).model_copy(update=changed)


def test_a_history_tells_of_the_parts_that_have_begun(logged: Logged) -> None:
    run_log = logged.run_log
    run_log.open(record("r").model_copy(update={"parts": ("r.a", "r.b")}))
    run_log.open(record("r.b", 1))
    logged.book.enlist("r.b", [ServerRequest(recovery_instance="i-0000000a")])
    history = run_log.read("r")
    assert history is not None
    assert [part.record for part in history.parts] == [record("r.b", 1)]
    assert [each.record.id for each in history.all_servers] == ["i-0000000a"]
    assert history.servers == ()


def test_a_history_tells_of_each_server(logged: Logged) -> None:
    run_log, book = logged.run_log, logged.book
    run_log.open(record("r"))
    servers = ("i-0000000a", "i-0000000b")
    book.enlist("r", [ServerRequest(recovery_instance=each) for each in reversed(servers)])
    run_log.note("r", entry("boot_client", 1), server=servers[1])
    run_log.note("r", entry("register_client", 3), server=servers[1])
    run_log.note("r", entry("boot_client", 2, status="done"), server=servers[1])
    run_log.note("r", entry("boot_client", 2))
    history = run_log.read("r")
    assert history is not None
    assert [each.record for each in history.servers] == list(book.of("r"))
    assert [each.record.id for each in history.servers] == list(servers)
    assert history.servers[0].stages == ()
    assert [(each.stage, each.calls) for each in history.servers[1].stages] == [
        ("boot_client", 2),
        ("register_client", 1),
    ]
    assert [(each.stage, each.calls) for each in history.stages] == [("boot_client", 1)]


def test_the_newest_runs_come_first(run_log: RunLog) -> None:
    for number in (3, 1, 2):
        run_log.open(record(f"r{number}", number))
    assert [each.run for each in run_log.recent(2)] == ["r3", "r2"]
    assert [each.run for each in run_log.recent(9)] == ["r3", "r2", "r1"]


def test_a_lease_is_one_holders_until_it_ends(run_log: RunLog) -> None:
    def lease(holder: str, minutes: float) -> str:
        now = NOON + minutes * MINUTE
        return run_log.lease("client-image", holder, now=now, until=now + 10 * MINUTE)

    assert lease("a", 0) == "a"
    assert lease("b", 9) == "a"
    assert lease("a", 9) == "a"
    assert lease("b", 18) == "a"
    assert lease("b", 19) == "b"
    run_log.release("client-image", "a")
    assert lease("a", 20) == "b"
    run_log.release("client-image", "b")
    run_log.release("client-image", "b")
    assert lease("a", 20) == "a"


def test_a_call_is_at_work_until_its_end_is_noted(run_log: RunLog) -> None:
    calls = [Call(id=name, until=NOON + number * MINUTE) for number, name in enumerate(("a", "b", "c"), 1)]
    run_log.begin("r", "fetch_iso", calls[0])
    run_log.begin("r", "fetch_iso", calls[1])
    run_log.begin("r", "boot_client", calls[2], server="i-0000000a")
    run_log.begin("r", "boot_client", calls[2], server="i-0000000a")
    run_log.begin("other", "fetch_iso", calls[0])
    assert sorted(run_log.at_work("r"), key=lambda each: each.id) == calls
    run_log.open(record("r"))
    history = run_log.read("r")
    assert history is not None
    assert (history.stages, history.servers) == ((), ())
    run_log.note("r", entry("fetch_iso", 1), call=calls[0])
    run_log.note("r", entry("fetch_iso", 2))
    run_log.note("r", entry("boot_client", 2, status="done"), server="i-0000000a", call=calls[2])
    assert list(run_log.at_work("r")) == [calls[1]]
    run_log.note("r", entry("fetch_iso", 3), call=calls[1])
    assert list(run_log.at_work("r")) == []
    history = run_log.read("r")
    assert history is not None
    assert [(each.stage, each.calls) for each in history.stages] == [("fetch_iso", 3)]
