"""How a run's end is judged, recorded and reported."""

from __future__ import annotations

import json

from failback.model.record import RunRecord
from failback.model.report import RunReport
from failback.model.run import Failure
from failback.report import explain, judge, provenance, write_report
from tests.memory.clock import FixedClock
from tests.memory.objects import MemoryObjects
from tests.memory.run_log import MemoryRunLog
from tests.states import state_of


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
    outcome = write_report(state, objects=objects, run_log=run_log, now=clock.now())
    stored = objects.find(outcome.report)
    assert stored is not None
    report = RunReport.model_validate_json(objects.read(stored.key, 0, stored.size))
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


def test_a_run_that_never_looked_for_an_image_has_no_provenance() -> None:
    assert provenance(state_of("find_client_image")) is None
