"""Watching a run: one look after the other until it has ended, shown as a table, as lines or as JSON."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import typer

from cli.ending import advice_of, given_back, history_of, outcome_of
from cli.run_lines import changes, outcome_lines
from cli.server_lines import begun_to_wait
from cli.units import clock
from failback.errors import NotReady, RequestInvalid, RunUnknown
from failback.progress import Paces, RunProgress, paces, run_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.deployment import Deployment
    from failback.model.ending import Outcome
    from failback.model.record import RunHistory

    Show = Callable[[RunProgress], None]

Dress = Literal["table", "lines", "json"]

PATIENCE_SECONDS = 15.0
"""How long a run that was just started may stay unknown: DescribeExecution is eventually consistent."""


@dataclass(frozen=True, slots=True)
class Look:
    """A run as it was found: its history, and how far that shows it to be."""

    history: RunHistory
    progress: RunProgress


def dress(*, as_json: bool) -> Dress:
    """How a run is shown here: a terminal can draw again what it drew before, a log can't."""
    if as_json:
        return "json"
    return "table" if sys.stdout.isatty() else "lines"


def watch(deployment: Deployment, run: str, *, dressed: Dress, just_started: bool = False) -> int:
    """Show the run until it has ended, then how; returns the exit code. Ctrl-C ends the watching only."""
    try:
        with showing(dressed) as show:
            last = follow(deployment, run, show, patience=PATIENCE_SECONDS if just_started else 0.0)
    except KeyboardInterrupt:
        typer.echo(f"Stopped watching; the run goes on. See it again with: failback watch {run}", err=True)
        return 130
    for line in ending_lines(last, dressed):
        typer.echo(line)
    return exit_code_of(last.progress.outcome)


def exit_code_of(outcome: Outcome | None) -> int:
    """What watching ends with: 0 done, 1 failed, 2 a request that can't be met, 3 servers that aren't ready."""
    if outcome is not None and outcome.outcome == "done":
        return 0
    codes = {RequestInvalid.__name__: 2, NotReady.__name__: 3}
    return codes.get(outcome.error, 1) if outcome is not None else 1


def follow(deployment: Deployment, run: str, show: Show, *, patience: float) -> Look:
    """Look until the run has ended; the last look. Raises RunUnknown where there's no such run."""
    known: Paces = {}
    until = time.monotonic() + patience
    while True:
        found = look(deployment, run, known)
        if found is None and time.monotonic() >= until:
            raise _unknown(deployment, run)
        if found is not None:
            show(found.progress)
            if found.progress.outcome is not None:
                return found
            known = paces(known, found.history.stages)
        time.sleep(deployment.interval)


def known_look(deployment: Deployment, run: str) -> Look:
    """One look; raises RunUnknown where there's no such run."""
    found = look(deployment, run, {})
    if found is None:
        raise _unknown(deployment, run)
    return found


def _unknown(deployment: Deployment, run: str) -> RunUnknown:
    return RunUnknown(f"There is no run {run!r} at {deployment.name}; `failback list` shows those that there are.")


def look(deployment: Deployment, run: str, known: Paces) -> Look | None:
    """The run now; None for one that nobody knows."""
    # In this order: what an execution that has ended noted is all there.
    execution = deployment.execution(run)
    noted = deployment.run_log.read(run)
    history = history_of(run, execution=execution, noted=noted)
    if history is None:
        return None
    outcome = outcome_of(execution, noted)
    known = paces(known, history.stages)
    return Look(history, run_progress(history, known=known, now=datetime.now(UTC), outcome=outcome))


@contextmanager
def showing(dressed: Dress) -> Iterator[Show]:
    """Yield what shows each look."""
    if dressed == "table":
        with _drawn() as show:
            yield show
    else:
        yield _told(as_json=dressed == "json")


@contextmanager
def _drawn() -> Iterator[Show]:
    from rich.live import Live
    from rich.text import Text

    from cli.run_table import run_table

    before: RunProgress | None = None
    with Live(auto_refresh=False) as live:

        def show(progress: RunProgress) -> None:
            nonlocal before
            # Above the table, where it stays: whole commands can be copied from there.
            for line in begun_to_wait(before, progress):
                live.console.print(Text(f"{clock(progress.seconds):>7}  {line}"), soft_wrap=True)
            live.update(run_table(progress), refresh=True)
            before = progress

        yield show


def _told(*, as_json: bool) -> Show:
    """Line by line, only what has changed."""
    before: RunProgress | None = None

    def show(progress: RunProgress) -> None:
        nonlocal before
        lines = changes(before, progress)
        if as_json:
            lines = [as_line(progress)] if lines and progress.outcome is None else []
        for line in lines:
            typer.echo(line)
        sys.stdout.flush()
        before = progress

    return show


def as_line(progress: RunProgress) -> str:
    """A look as one line of JSON: seconds, bytes and bytes a second."""
    fields = asdict(progress)
    fields["outcome"] = progress.outcome.model_dump(mode="json") if progress.outcome else None
    return json.dumps(fields)


def ending_lines(last: Look, dressed: Dress) -> list[str]:
    """What is said last: in JSON the last look, with what was given back."""
    outcome, returned = last.progress.outcome, given_back(last.history)
    if outcome is None:
        return []
    if dressed == "json":
        fields = json.loads(as_line(last.progress))
        return [json.dumps({**fields, "given_back": returned.model_dump(mode="json") if returned else None})]
    advice = advice_of(last.history, outcome)
    return outcome_lines(last.progress, outcome, advice=advice, returned=returned, history=last.history)
