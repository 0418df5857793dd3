"""A run's report, made of what its stages have noted: also of a run that's under way, or that never came to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from cli.ending import advice_of, given_back
from cli.run_lines import amount, outcome_lines, pace
from cli.server_report import server_report
from cli.units import aligned, clock, mib
from failback.model.facts import Facts
from failback.model.record import RunHistory
from failback.model.report import Provenance
from failback.model.run import (
    Ami,
    BootTest,
    ClientImagePlan,
    ExportedImage,
    HomeImage,
    Outcome,
    Returned,
    StoredIso,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.watching import Look
    from failback.progress import StageProgress

M = TypeVar("M", bound=Facts)

TIMELINE = ("stage", "began (UTC)", "time", "calls", "copied", "rate", "how it stands")
FLUSH_RIGHT = (2, 3, 4, 5)


class RunAccount(Facts):
    """As failback.model.report.RunReport, which the run's last stage keeps; `outcome` is None while it runs."""

    outcome: Outcome | None
    history: RunHistory
    provenance: Provenance | None
    given_back: Returned | None = None


def account(seen: Look) -> RunAccount:
    """Everything that's known of the run."""
    return RunAccount(
        outcome=seen.progress.outcome,
        history=seen.history,
        provenance=provenance(seen.history),
        given_back=given_back(seen.history),
    )


def provenance(history: RunHistory) -> Provenance | None:
    """What the image at home was made of, as far as the stages noted it; what was there before comes from the plan."""
    plan = _facts(history, "find_client_image", ClientImagePlan)
    if plan is None:
        return None
    tested = _facts(history, "boot_test", BootTest)
    image = _facts(history, "import_image", HomeImage) or plan.found.image
    return Provenance(
        key=plan.key,
        published=plan.published,
        iso=_facts(history, "fetch_iso", StoredIso) or plan.found.iso,
        ami=_facts(history, "build_image", Ami) or plan.found.ami,
        export=_facts(history, "export_image", ExportedImage) or plan.found.export,
        image=tested.image if tested else image,
        mark=tested.mark if tested else "",
    )


def _facts(history: RunHistory, stage: str, model: type[M]) -> M | None:
    facts = next((entry.facts for entry in history.stages if entry.stage == stage), None)
    try:
        return model.model_validate(facts) if facts is not None else None
    except ValidationError:
        # Noted by a deployment of another version than this command's: the JSON shows it as it is.
        return None


def report_lines(seen: Look) -> list[str]:
    """The report as text: the run, its timeline, provenance, outcome."""
    record, made_of = seen.history.record, provenance(seen.history)
    lines = [
        f"Run {record.run}",
        *_pairs(
            [
                ("goal", f"{record.goal} {record.target} ({record.home})" if record.home else record.goal),
                ("started", f"{record.started:%Y-%m-%d %H:%M:%S} UTC"),
                ("execution", record.execution),
            ]
        ),
    ]
    if seen.history.stages:
        lines += ["", "Timeline", *(f"  {line}" for line in _timeline(seen))]
    if seen.history.servers:
        lines += ["", "Servers", *(f"  {line}" for line in server_report(seen))]
    if made_of is not None:
        lines += ["", "Provenance", *_pairs(_steps(made_of))]
    return [*lines, "", *_outcome(seen)]


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
        return [f"Run {seen.progress.run} is under way for {clock(seen.progress.seconds)}."]
    returned, advice = given_back(seen.history), advice_of(seen.history, outcome)
    return outcome_lines(seen.progress, outcome, advice=advice, returned=returned, history=seen.history)
