"""How a run's end is judged, recorded and reported."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from failback.clean_up import ABORTED
from failback.model.ending import Failure
from failback.model.record import RunRecord, StageEntry
from failback.model.report import RunReport
from failback.model.request import ServerRequest
from failback.model.server import ServerOutcome, ServerRef
from failback.naming import server_lock
from failback.provenance import provenance
from failback.report import LONGEST_CAUSE, execution_outcome, explain, judge, write_report
from tests.client_bench import plan_of
from tests.memory.clock import NOON, FixedClock
from tests.memory.objects import MemoryObjects
from tests.memory.run_log import MemoryRunLog
from tests.memory.server_book import MemoryServerBook
from tests.states import state_of

if TYPE_CHECKING:
    from failback.model.run import RunState


def failed(stage: str, error: str, cause: str) -> dict[str, dict[str, str]]:
    return {stage: {"Error": error, "Cause": cause}}


def test_a_run_without_failures_is_done() -> None:
    assert judge(state_of("write_report")).outcome == "done"


def test_the_first_failure_is_the_runs() -> None:
    causes = failed(
        "import_image", "CloudRefused", json.dumps({"errorMessage": "no rights", "errorType": "CloudRefused"})
    )
    causes |= failed("give_back", "CloudBusy", "later")
    outcome = judge(state_of("give_back", failed=causes))
    assert (outcome.outcome, outcome.stage, outcome.error) == ("failed", "import_image", "CloudRefused")
    assert outcome.cause == "import_image: no rights"


def test_a_cause_that_is_no_json_stands_as_it_is() -> None:
    assert explain(Failure(Error="States.Timeout", Cause="")) == ("States.Timeout", "")
    assert explain(Failure(Error="X", Cause="[1]")) == ("X", "[1]")


def test_a_long_cause_is_cut() -> None:
    outcome = judge(state_of("give_back", failed=failed("fetch_iso", "X", "y" * 100_000)))
    assert len(outcome.cause) <= 4000


def test_the_report_holds_the_way_from_the_iso_to_the_machine() -> None:
    state, objects, run_log, clock = state_of("write_report"), MemoryObjects(), MemoryRunLog(), FixedClock()
    run_log.open(
        RunRecord(
            run=state.run.id,
            execution=state.run.execution,
            goal="prepare",
            target="azure-home",
            home="azure",
            started=state.run.started,
        )
    )
    for number, stage in enumerate(("find_client_image", "fetch_iso", "build_image", "import_image", "boot_test")):
        at, result = NOON + timedelta(minutes=number), getattr(state, stage)
        facts = result.facts.model_dump(mode="json")
        entry = StageEntry(stage=stage, status="done", began=at, updated=at, progress=result.progress, facts=facts)
        run_log.note(state.run.id, entry)
    outcome = write_report(state, objects=objects, run_log=run_log, now=clock.now())
    report = stored_report(objects, outcome.report)
    assert [(each.stage, each.server) for each in report.timeline][:2] == [("find_client_image", ""), ("fetch_iso", "")]
    assert (report.timeline[1].bytes, report.timeline[1].total) == (953081856, 953081856)
    assert report.timeline[0].bytes is None
    assert report.provenance is not None
    assert report.provenance.iso is not None
    assert report.provenance.published is not None
    assert report.provenance.iso.sha512 == report.provenance.published.sha512
    assert report.provenance.image is not None
    assert report.provenance.image.tested
    assert "ready" in report.provenance.mark
    assert report.history is not None
    assert report.history.record.status == "done"
    assert write_report(state, objects=objects, run_log=run_log, now=clock.now()) == outcome


def stored_report(objects: MemoryObjects, key: str) -> RunReport:
    stored = objects.find(key)
    assert stored is not None
    return RunReport.model_validate_json(objects.read(stored.key, 0, stored.size))


def test_a_run_that_never_looked_for_an_image_has_no_provenance() -> None:
    assert provenance([]) is None
    entry = StageEntry(stage="find_client_image", status="done", began=NOON, updated=NOON, facts={"tomorrow's": 1})
    assert provenance([entry]) is None


def test_what_led_to_giving_back_is_the_runs_failure_in_whatever_order_it_comes() -> None:
    failures = {"give_back": {"Error": "StageTimedOut"}, "import_image": {"Error": "ImportFailed"}}
    assert judge(state_of("write_report", failed=failures)).stage == "import_image"
    assert judge(state_of("write_report", failed={"give_back": {"Error": "StageTimedOut"}})).stage == "give_back"


def servers_of(run: str, *outcomes: str) -> MemoryServerBook:
    """The book of a run whose servers ended so; `nothing` is no end."""
    book = MemoryServerBook()
    for number, word in enumerate(outcomes):
        server = f"i-0000000000000000{number}"
        book.enlist(run, [ServerRequest(recovery_instance=server)])
        book.plan(run, plan_of(server, hostname=f"web-{number}"))
        if word != "nothing":
            outcome = {"outcome": word, "at": NOON, "stage": "boot_client", "cause": "no\n quota " + "x" * 900}
            book.settle(run, server, ServerOutcome.model_validate(outcome))
    return book


def failback_of(book: MemoryServerBook) -> tuple[RunState, MemoryRunLog]:
    """The state and log of a run of those servers."""
    servers = [{"id": server} for _, server in book.records]
    state, run_log = state_of("write_report", goal="failback", servers=servers), MemoryRunLog(book)
    record = RunRecord(
        run=state.run.id,
        execution=state.run.execution,
        goal="failback",
        target="azure-home",
        home="azure",
        started=state.run.started,
    )
    run_log.open(record)
    return state, run_log


RUN = state_of("write_report").run.id


@pytest.mark.parametrize("goal", ["failback", "rehearse"])
def test_a_run_whose_servers_are_where_they_were_to_be_is_done(goal: str) -> None:
    state, run_log = failback_of(servers_of(RUN, "home", "rehearsed"))
    state = state.model_copy(update={"goal": goal})
    assert write_report(state, objects=MemoryObjects(), run_log=run_log, now=NOON).outcome == "done"


@pytest.mark.parametrize(
    ("end", "part"),
    [
        ("launched", "web-1 is at home, and nobody has accepted it: no quota"),
        ("skipped", "web-1 wasn't begun: no quota"),
        ("failed", "web-1 failed at boot_client: no quota"),
        ("nothing", "nothing is known of its end"),
    ],
)
def test_a_server_that_is_not_home_fails_its_run(end: str, part: str) -> None:
    state, run_log = failback_of(servers_of(RUN, "home", end))
    outcome = judge(state.model_copy(update={"goal": "rehearse"}), run_log.servers.of(RUN))
    assert (outcome.outcome, outcome.error) == ("failed", "ServersFailed")
    assert part in outcome.cause


def test_cleaning_up_fails_its_run_and_succeeds_itself() -> None:
    state, run_log = failback_of(servers_of(RUN, "home", "failed"))
    state = state.model_copy(update={"goal": "clean_up"})
    outcome = write_report(state, objects=MemoryObjects(), run_log=run_log, now=NOON)
    assert (outcome.outcome, outcome.error) == ("failed", ABORTED)
    assert run_log.records[RUN].status == "failed"
    assert execution_outcome(state, outcome).outcome == "done"
    broken = state.model_copy(update={"failed": {"give_back": Failure(Error="StageTimedOut", Cause="too slow")}})
    assert execution_outcome(broken, judge(broken)).error == "StageTimedOut"
    assert execution_outcome(state_of("write_report"), outcome) == outcome


def test_servers_that_failed_are_named_with_stage_and_cause() -> None:
    state, run_log = failback_of(servers_of(RUN, "home", "failed", "nothing"))
    outcome = write_report(state, objects=MemoryObjects(), run_log=run_log, now=NOON)
    assert (outcome.outcome, outcome.stage, outcome.error) == ("failed", "servers", "ServersFailed")
    assert outcome.cause.startswith("2 of 3 servers aren't home. i-00000000000000001: web-1 failed at ")
    assert "boot_client: no quota x" in outcome.cause
    assert "i-00000000000000002: nothing is known" in outcome.cause
    assert "i-00000000000000000" not in outcome.cause


def test_many_failures_are_told_as_far_as_there_is_room() -> None:
    state, run_log = failback_of(servers_of(RUN, *["failed"] * 10))
    many = [server for server in state.servers for _ in range(50)]
    records = {each.id: each for each in run_log.servers.of(RUN)}
    outcome = judge(state, list(records.values()))
    assert len(outcome.cause) <= LONGEST_CAUSE
    names = [f"i-{number:017x}" for number in range(len(many))]
    crowd = state.model_copy(update={"servers": tuple(ServerRef(id=name) for name in names)})
    cause = judge(crowd, []).cause
    assert len(cause) <= LONGEST_CAUSE
    told = sum(name in cause for name in names)
    assert cause.endswith(f"; and {500 - told} more: the report names all of them")


def test_a_failure_of_the_run_itself_comes_first() -> None:
    state, run_log = failback_of(servers_of(RUN, "failed"))
    state = state.model_copy(update={"failed": {"servers": Failure(Error="X", Cause="the map failed")}})
    assert judge(state, run_log.servers.of(RUN)).cause == "servers: the map failed"


def test_checking_says_nothing_of_its_servers_end() -> None:
    state, run_log = failback_of(servers_of(RUN, "nothing"))
    state = state.model_copy(update={"goal": "check"})
    assert judge(state, run_log.servers.of(RUN)).outcome == "done"


def test_the_report_holds_every_server_and_its_locks_are_released() -> None:
    state, run_log = failback_of(servers_of(RUN, "home", "failed"))
    first, second = (each.id for each in state.servers)
    for server in (first, second, "i-another"):
        run_log.lease(server_lock(server), RUN, now=NOON, until=NOON + timedelta(days=31))
    for stage, began, ended in (("boot_client", 0, 4), ("register_client", 4, 9)):
        times = {"began": NOON + timedelta(minutes=began), "updated": NOON + timedelta(minutes=ended)}
        run_log.note(RUN, StageEntry.model_validate({"stage": stage, "status": "done", **times}), server=first)
    objects = MemoryObjects()
    for _ in range(2):
        outcome = write_report(state, objects=objects, run_log=run_log, now=NOON)
    report = stored_report(objects, outcome.report)
    home, failed = report.servers
    assert [each.stage for each in home.stages] == ["boot_client", "register_client"]
    assert (home.began, home.seconds) == (NOON, 540)
    assert home.record.plan is not None
    assert [(each.server, each.stage, each.seconds) for each in report.timeline] == [
        (first, "boot_client", 240),
        (first, "register_client", 300),
    ]
    assert report.findings == ("1 of 2 servers: home", "1 of 2 servers: failed")
    (advice,) = report.advice
    assert advice.startswith("1 servers aren't home")
    assert json.dumps({"resume": RUN}) in advice
    assert failed.record.outcome is not None
    assert failed.record.outcome.outcome == "failed"
    assert (failed.began, failed.ended, failed.seconds) == (None, None, 0)
    assert report.history is not None
    assert report.history.servers == ()
    assert list(run_log.leases) == [server_lock("i-another")]
