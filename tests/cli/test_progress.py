"""How far and how quick a run is: rates from look to look, which stage is at work, which are to come."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from failback.model.ending import Outcome
from failback.model.record import RunHistory, StageEntry
from failback.model.run import ImageWork
from failback.model.stage import Progress
from failback.progress import RETRIED, STAGES, StageProgress, paces, run_progress
from tests.cli import histories
from tests.cli.histories import FACTS, MIB, at, copied, noted, record

MACHINE = json.loads((Path(__file__).parents[2] / "statemachine/failback.asl.json").read_text())


def rows(*stages: StageEntry, seconds: float = 30, outcome: Outcome | None = None) -> dict[str, StageProgress]:
    history = RunHistory(record=record(), stages=stages)
    known = paces({}, stages)
    return {row.stage: row for row in run_progress(history, known=known, now=at(seconds), outcome=outcome).stages}


def test_stages_and_retried_errors_are_the_state_machines_own() -> None:
    assert {*STAGES, "give_back", "write_report"} <= set(MACHINE["States"])
    following = [MACHINE["States"][f"{stage}_judged"]["Choices"][0]["Next"] for stage in STAGES[1:-1]]
    assert following == list(STAGES[2:])
    again = MACHINE["States"]["build_image"]["Retry"][0]["ErrorEquals"]
    assert {error for error in again if not error.startswith("Lambda.")} == RETRIED
    assert set(ImageWork.__args__) <= {*STAGES, "nothing"}  # type: ignore[attr-defined]


def test_the_first_look_takes_the_average() -> None:
    known = paces({}, [noted("build_image", "more", updated=20, progress=copied(100))])
    assert known["build_image"].rate == 5 * MIB


def test_later_looks_are_smoothed_towards_the_latest_rate() -> None:
    first = paces({}, [noted("build_image", "more", updated=10, progress=copied(100))])
    again = paces(first, [noted("build_image", "more", updated=10, progress=copied(100))])
    assert again == first
    second = paces(again, [noted("build_image", "more", updated=20, progress=copied(300))])
    rate = second["build_image"].rate
    assert rate is not None
    assert 13.5 * MIB < rate < 14.5 * MIB  # 10 MiB/s, and 20 since: a weight of 1 - exp(-10/20)


def test_a_long_slice_leaves_hardly_anything_of_the_old_rate() -> None:
    first = paces({}, [noted("build_image", "more", updated=10, progress=copied(100))])
    late = paces(first, [noted("build_image", "more", updated=210, progress=copied(100))])
    rate = late["build_image"].rate
    assert rate is not None
    assert rate < 0.001 * MIB


def test_a_stage_that_is_done_shows_its_average() -> None:
    first = paces({}, [noted("build_image", "more", updated=1, progress=copied(100))])
    assert paces(first, [noted("build_image", updated=10, progress=copied(300))])["build_image"].rate == 30 * MIB


def test_a_stage_that_goes_back_begins_anew() -> None:
    first = paces({}, [noted("build_image", "more", updated=10, progress=copied(100))])
    assert paces(first, [noted("build_image", "more", updated=20, progress=copied(40))])["build_image"].rate == 2 * MIB


def test_a_rate_is_unknown_at_first() -> None:
    first = paces({}, [noted("build_image", "more", updated=0, progress=copied(0))])
    assert first["build_image"].rate is None
    assert paces(first, [noted("build_image", "more", updated=10, progress=copied(50))])["build_image"].rate == 5 * MIB


def test_steps_have_no_rate() -> None:
    assert paces({}, [noted("give_back", "more", progress=Progress(done=1, total=2, unit="steps"))]) == {}


def test_a_running_stage_counts_on_and_says_what_is_left() -> None:
    shown = rows(*histories.running().stages)
    assert shown["fetch_iso"].seconds == 10
    build = shown["build_image"]
    assert (build.status, build.seconds, build.rate, build.left) == ("running", 18, 10 * MIB, 20)
    assert [row.stage for row in shown.values() if row.status == "to come"] == [
        "export_image", "import_image", "boot_test", "write_report",
    ]  # fmt: skip


def test_before_anything_is_noted_the_search_is_at_work() -> None:
    assert rows(seconds=3) == {"find_client_image": StageProgress("find_client_image", "running", seconds=3)}


@pytest.mark.parametrize("step", [*STAGES[1:], "nothing"])
def test_the_plan_says_what_comes(step: str) -> None:
    plan = FACTS["find_client_image"].model_copy(update={"next": step}).model_dump(mode="json")
    shown = rows(noted("find_client_image", facts=plan, updated=5))
    expected = [*(STAGES[STAGES.index(step) :] if step in STAGES else []), "write_report"]
    assert list(shown) == ["find_client_image", *expected]
    assert shown[expected[0]].status == "running"
    assert shown[expected[0]].seconds == 25
    assert all(shown[stage].status == "to come" for stage in expected[1:])


def test_a_waiting_stage_shows_its_note_and_hides_what_is_not_known_yet() -> None:
    progress = Progress(done=0, total=1, unit="steps", note="run other is at work on the client image")
    shown = rows(noted("find_client_image", "pending", progress=progress))
    assert [(row.status, row.note) for row in shown.values()] == [("waiting", progress.note)]


def test_a_busy_cloud_is_tried_again_until_the_run_goes_on_to_give_back() -> None:
    busy = noted("build_image", "failed", error="CloudBusy", advice="wait")
    assert rows(busy)["build_image"].status == "trying again"
    assert rows(busy, noted("give_back", "pending", began=20))["build_image"].status == "failed"
    assert rows(busy, outcome=Outcome(outcome="failed"))["build_image"].status == "failed"


def test_a_failure_is_followed_by_giving_back() -> None:
    shown = rows(noted("build_image", "failed", error="CloudRefused"))
    assert [(row.stage, row.status) for row in shown.values()] == [
        ("build_image", "failed"), ("give_back", "running"), ("write_report", "to come"),
    ]  # fmt: skip
    given = rows(noted("build_image", "failed", error="CloudRefused"), noted("give_back", began=20))
    assert given["write_report"].status == "running"


def test_an_ended_run_stands_still() -> None:
    history = histories.failed()
    shown = run_progress(history, known={}, now=at(9999), outcome=histories.FAILURE)
    assert (shown.status, shown.seconds, [row.seconds for row in shown.stages]) == ("failed", 45, [2, 10, 8, 20])


def test_a_run_that_was_cut_off_ended_with_its_last_note() -> None:
    history = histories.running()
    assert run_progress(history, known={}, now=at(9999), outcome=histories.FAILURE).seconds == 22


def test_the_report_is_the_last_stage() -> None:
    assert list(rows(noted("write_report"))) == ["write_report"]
