"""A run's report, made of what its stages have noted: also of a run that's under way, or that never came to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.ending import advice_of, given_back
from cli.run_lines import amount, outcome_lines, pace
from cli.server_lines import waiting_lines
from cli.server_report import server_details, server_report
from cli.units import aligned, clock, mib
from failback.report import history_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.watching import Look
    from failback.model.record import RunRecord
    from failback.model.report import Provenance, RunReport
    from failback.progress import StageProgress

TIMELINE = ("stage", "began (UTC)", "time", "calls", "copied", "rate", "how it stands")
FLUSH_RIGHT = (2, 3, 4, 5)


def account(seen: Look) -> RunReport:
    """Everything that's known of the run, as its last stage keeps it; of a run under way, without an outcome."""
    return history_report(seen.history, outcome=seen.progress.outcome, returned=given_back(seen.history))


def report_lines(seen: Look) -> list[str]:
    """The report as text: the run, its timeline, provenance, outcome."""
    record, told = seen.history.record, account(seen)
    made_of = told.provenance
    lines = [
        f"Run {record.run}",
        *_pairs(
            [
                ("goal", _goal(record)),
                ("started", f"{record.started:%Y-%m-%d %H:%M:%S} UTC"),
                ("execution", record.execution),
            ]
        ),
    ]
    if seen.history.stages:
        lines += ["", "Timeline", *(f"  {line}" for line in _timeline(seen))]
    if seen.history.all_servers:
        lines += ["", "Servers", *(f"  {line}" for line in server_report(seen))]
        lines += [line for each in told.servers for line in server_details(each)]
    if made_of is not None:
        lines += ["", "Provenance", *_pairs(_steps(made_of))]
    return [*lines, "", *_outcome(seen)]


def _goal(record: RunRecord) -> str:
    if not record.home:
        return record.goal
    return f"{record.goal} {record.destination}{'' if record.parts else f' ({record.home})'}"


def _pairs(rows: Sequence[tuple[str, str]]) -> list[str]:
    return [f"  {line}" for line in aligned(rows)]


def _timeline(seen: Look) -> list[str]:
    began = {entry.stage: f"{entry.began:%H:%M:%S}" for entry in seen.history.stages}
    rows = [_timeline_row(row, began[row.stage]) for row in seen.progress.stages if row.stage in began]
    return aligned([TIMELINE, *rows], right=FLUSH_RIGHT)


def _timeline_row(row: StageProgress, began: str) -> tuple[str, ...]:
    standing = f"{row.status}: {row.note}" if row.note else row.status
    return row.stage, began, clock(row.seconds), str(row.calls), amount(row), pace(row), standing


def _steps(made: Provenance) -> list[tuple[str, str]]:
    """From AWS's ISO to the mark of the boot test; only what the run has seen."""
    iso, image = made.published or made.iso, made.image
    steps = [
        ("ISO, SHA-512", iso.sha512 if iso else ""),
        ("published as", f"s3://{made.published.bucket}/{made.published.key}" if made.published else ""),
        ("kept as", f"{made.iso.key}, {mib(made.iso.size)}" if made.iso else ""),
        ("image key", made.key),
        ("AMI", f"{made.ami.id} of snapshot {made.ami.snapshot}, {made.ami.size_gib} GiB" if made.ami else ""),
        ("exported as", f"{made.export.key}, {mib(made.export.size)}" if made.export else ""),
        ("image at home", image.id if image else ""),
        ("boot test", made.mark or ("passed by an earlier run" if image and image.tested else "")),
    ]
    return [(step, text) for step, text in steps if text]


def _outcome(seen: Look) -> list[str]:
    outcome = seen.progress.outcome
    if outcome is None:
        going = f"Run {seen.progress.run} is under way for {clock(seen.progress.seconds)}."
        return [going, *waiting_lines(seen.progress)]
    returned, advice = given_back(seen.history), advice_of(seen.history, outcome)
    return outcome_lines(seen.progress, outcome, advice=advice, returned=returned, history=seen.history)
