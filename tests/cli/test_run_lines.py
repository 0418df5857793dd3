"""A run as text and as a table: pure renderers, on histories of every kind."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from cli.ending import outcome_of
from cli.report import account, report_lines
from cli.run_lines import changes, run_rows, stage_line
from cli.run_table import run_table
from cli.units import aligned, clock, mib, rate
from cli.watching import Look, ending_lines
from failback.model.record import RunHistory
from failback.model.run import FoundArtefacts
from failback.progress import StageProgress, paces, run_progress
from tests.cli import histories
from tests.cli.histories import MIB, at, noted, record

if TYPE_CHECKING:
    from failback.model.ending import Outcome
    from failback.progress import RunProgress


def look(history: RunHistory, seconds: float = 30) -> Look:
    known = paces({}, history.stages)
    return Look(history, run_progress(history, known=known, now=at(seconds), outcome=outcome_now(history)))


def outcome_now(history: RunHistory) -> Outcome | None:
    return outcome_of(None, history) if history.record.outcome else None


def drawn(progress: RunProgress, width: int = 140) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(run_table(progress))
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03"), (-1, "0:00")]
)
def test_a_duration(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_sizes_and_rates() -> None:
    assert [mib(size) for size in (0, MIB // 2, 5 * MIB, 1536 * MIB)] == ["0 MiB", "0.50 MiB", "5.00 MiB", "1,536 MiB"]
    assert [rate(1.25 * MIB), rate(45.6 * MIB)] == ["1.2 MiB/s", "46 MiB/s"]


def test_aligned_columns() -> None:
    assert aligned([("a", "1", "x"), ("bcd", "22", "")], right=(1,)) == ["a     1  x", "bcd  22"]


def test_a_running_run_as_a_table() -> None:
    lines = drawn(look(histories.running()).progress)
    assert lines[0] == "r1 for azure-home, running, 0:30"
    found = {line.split()[0]: line for line in lines[2:]}
    assert found["fetch_iso"].split()[-6:] == ["300", "MiB", "30", "MiB/s", "2", "0:10"]
    build = found["build_image"]
    for text in ("running", "100 of 300 MiB", "10 MiB/s", "0:18", "0:20 left"):
        assert text in build
    # A third of the bar.
    assert build.count("━") in {20, 6, 7}
    assert found["boot_test"].split() == ["boot_test", "to", "come"]


def test_square_brackets_are_no_markup() -> None:
    row = StageProgress("build_image", "failed", note="[red]odd[/] [/x]")
    progress = replace(look(histories.running()).progress, stages=(row,), target="[bold]")
    text = "\n".join(drawn(progress))
    assert "[red]odd[/] [/x]" in text
    assert "[bold]" in text


def test_lines_tell_only_what_has_changed() -> None:
    first = look(histories.running(), 30).progress
    assert changes(None, first) == [
        "   0:30  find_client_image  done          1 call, 0:02",
        "   0:30  fetch_iso          done          300 MiB, 30 MiB/s, 2 calls, 0:10",
        "   0:30  build_image        running       100 of 300 MiB, 10 MiB/s, 3 calls, 0:18, 0:20 left",
    ]
    assert changes(first, look(histories.running(), 45).progress) == []
    history = histories.running()
    built = noted("build_image", began=12, updated=42, calls=5, progress=histories.copied(300))
    after = look(history.model_copy(update={"stages": (*history.stages[:2], built)}), 50).progress
    assert changes(first, after) == [
        "   0:50  build_image        done          300 MiB, 10 MiB/s, 5 calls, 0:30",
        "   0:50  export_image       running",
    ]


def test_steps_and_notes_in_a_line() -> None:
    row = StageProgress("give_back", "waiting", seconds=5, calls=2, done=1, total=3, unit="steps", note="removing vm")
    assert stage_line(row) == "give_back          waiting       1 of 3 steps, 2 calls, 0:05, removing vm"


def test_the_end_of_a_run_that_is_done() -> None:
    assert ending_lines(look(histories.done()), "lines") == ["Run r1 is done after 1:40."]


def test_the_end_of_a_failed_run_says_what_to_do() -> None:
    assert ending_lines(look(histories.failed()), "table") == [
        "Run r1 has failed after 0:45.",
        "  stage         build_image",
        "  error         CloudRefused",
        "  cause         no right to write",
        "  advice        Allow ebs:PutSnapshotBlock.",
        "  given back    snapshot snap-1 (aws)",
        "  left behind   disk test-disk /disks/osdisk (azure): a lock is on it",
        "  remove it by  az disk delete --ids /disks/osdisk",
    ]


def test_advice_is_not_said_twice() -> None:
    history = histories.failed()
    same = noted("build_image", "failed", error="CloudRefused", advice="no right to write")
    text = ending_lines(look(history.model_copy(update={"stages": (same, history.stages[-1])})), "lines")
    assert sum("no right to write" in line for line in text) == 1


def test_giving_back_that_failed_says_what_to_look_for() -> None:
    history = histories.failed()
    gave = noted("give_back", "failed", error="NotGivenBack", advice="Azure is away")
    text = "\n".join(ending_lines(look(history.model_copy(update={"stages": (*history.stages[:3], gave)})), "lines"))
    assert "giving back failed (NotGivenBack: Azure is away)" in text
    assert "drs-failback:run=r1" in text


def test_the_end_as_json_has_everything() -> None:
    (line,) = ending_lines(look(histories.failed()), "json")
    told = json.loads(line)
    assert (told["status"], told["outcome"]["error"], told["seconds"]) == ("failed", "CloudRefused", 45)
    assert told["given_back"]["left"][0]["command"] == "az disk delete --ids /disks/osdisk"
    assert told["stages"][1]["done"] == 300 * MIB


def test_an_execution_that_is_forgotten_has_ended() -> None:
    outcome = outcome_of(None, histories.running())
    assert outcome is not None
    assert outcome.outcome == "failed"
    assert "isn't known any more" in outcome.cause


def test_the_report_of_a_run_that_is_done() -> None:
    text = "\n".join(report_lines(look(histories.done())))
    for part in (
        "goal       prepare azure-home (azure)",
        "started    2026-03-01 12:00:00 UTC",
        "export_image       12:00:30     0:10      1  300 MiB  30 MiB/s  done",
        f"ISO, SHA-512   {histories.SHA512}",
        "published as   s3://aws-drs/latest/client.iso",
        "kept as        iso/client.iso, 300 MiB",
        f"image key      {histories.KEY}",
        "AMI            ami-0123456789abcdef0 of snapshot snap-1, 1 GiB",
        "exported as    images/client.vhd, 1,024 MiB",
        f"image at home  {histories.DISK}",
        f"boot test      {histories.MARK}",
        "Run r1 is done after 1:40.",
    ):
        assert part in text


def test_the_report_of_a_run_under_way() -> None:
    lines = report_lines(look(histories.running()))
    assert lines[-1] == "Run r1 is under way for 0:30."
    assert not any("to come" in line or "AMI" in line for line in lines)


def test_the_report_of_a_failed_run_ends_as_watching_does() -> None:
    seen = look(histories.failed())
    assert report_lines(seen)[-8:] == ending_lines(seen, "lines")


def test_the_report_of_a_run_that_found_everything_takes_it_from_the_plan() -> None:
    image = histories.IMAGE.model_copy(update={"tested": True})
    plan = histories.FACTS["find_client_image"].model_copy(
        update={"next": "nothing", "found": FoundArtefacts(image=image)}
    )
    stage = noted("find_client_image", facts=plan.model_dump(mode="json"))
    seen = look(RunHistory(record=record(), stages=(stage,)))
    found = account(seen).provenance
    assert found is not None
    assert found.image == image
    assert any("passed by an earlier run" in line for line in report_lines(seen))


def test_facts_of_another_version_are_left_out_of_provenance_and_kept_in_json() -> None:
    stages = (*histories.done().stages[:2], noted("build_image", facts={"image": "new shape"}))
    seen = look(RunHistory(record=record(), stages=stages))
    found = account(seen)
    assert found.provenance is not None
    assert found.provenance.ami is None
    assert "new shape" in found.model_dump_json()


def test_a_list_of_runs() -> None:
    records = [record("r2"), histories.failed().record, histories.done().record]
    assert aligned(run_rows(records, now=at(65))) == [
        "run  target      started (UTC)        time  status",
        "r2   azure-home  2026-03-01 12:00:00  1:05  running",
        "r1   azure-home  2026-03-01 12:00:00  0:45  failed   build_image: CloudRefused",
        "r1   azure-home  2026-03-01 12:00:00  1:40  done",
    ]
