"""How far a run is, and how quick: its stages as a person wants to see them, with rates from successive looks.

Pure: everything comes from a run's history and the time; what is known of rates goes from look to look by argument.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from failback.server_progress import ServerProgress, server_progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from failback.model.ending import Outcome
    from failback.model.record import RunHistory, RunStatus, StageEntry

StageStatus = Literal["done", "running", "waiting", "trying again", "failed", "to come"]

STAGES = ("find_client_image", "fetch_iso", "build_image", "export_image", "import_image", "boot_test")
"""The way of a run that has to make everything; find_client_image says where the others begin."""
CHECK_READINESS, GIVE_BACK, WRITE_REPORT = "check_readiness", "give_back", "write_report"

RETRIED = frozenset({"CloudBusy", "CloudUnreachable"})
"""Errors that the state machine answers by calling the stage again."""

SMOOTHING_SECONDS = 20.0
"""A stage notes its progress after each slice, some ten seconds of work: two or three of them make the rate."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A stage's bytes when they were last noted, and how many a second it was copying; None until that is known."""

    done: int
    at: datetime
    rate: float | None = None


Paces = dict[str, Pace]


@dataclass(frozen=True, slots=True)
class StageProgress:
    """One stage: `seconds` since it began, `rate` in bytes a second, `left` the seconds that it'll go on, if known."""

    stage: str
    status: StageStatus
    seconds: float = 0.0
    calls: int = 0
    done: int = 0
    total: int = 0
    unit: Literal["bytes", "steps"] = "bytes"
    rate: float | None = None
    left: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """A run at one moment; `outcome` is there once it has ended."""

    run: str
    target: str
    status: RunStatus
    seconds: float
    stages: tuple[StageProgress, ...]
    outcome: Outcome | None = None
    servers: tuple[ServerProgress, ...] = ()


def paces(before: Mapping[str, Pace], stages: Sequence[StageEntry]) -> Paces:
    """The stages' paces after another look; only copying has one."""
    return {
        entry.stage: _pace(before.get(entry.stage), entry, entry.progress.done)
        for entry in stages
        if entry.progress is not None and entry.progress.unit == "bytes"
    }


def _pace(before: Pace | None, entry: StageEntry, done: int) -> Pace:
    if before is None or entry.status == "done" or done < before.done:
        return Pace(done, entry.updated, _rate(done, (entry.updated - entry.began).total_seconds()))
    seconds = (entry.updated - before.at).total_seconds()
    if seconds <= 0:
        return before
    latest = (done - before.done) / seconds
    if before.rate is None:
        return Pace(done, entry.updated, latest)
    weight = 1 - math.exp(-seconds / SMOOTHING_SECONDS)
    return Pace(done, entry.updated, before.rate + weight * (latest - before.rate))


def _rate(done: int, seconds: float) -> float | None:
    return done / seconds if seconds > 0 else None


def run_progress(
    history: RunHistory, *, known: Mapping[str, Pace], now: datetime, outcome: Outcome | None = None
) -> RunProgress:
    """The run's stages, those that it has noted and, while it runs, those to come; `outcome` ends it."""
    record, last = history.record, history.stages[-1:]
    parts = [_of_part(name, history, now) for name in record.parts]
    rows = [
        _noted(entry, known.get(entry.stage), now=now, over=outcome is not None or entry not in last)
        for entry in history.stages
    ]
    if outcome is None:
        rows += _coming(history, now)
    ended = record.ended or (last[0].updated if last else now)
    return RunProgress(
        run=record.run,
        target=record.destination,
        status=outcome.outcome if outcome else "running",
        seconds=((ended if outcome else now) - record.started).total_seconds(),
        stages=(*parts, *rows),
        outcome=outcome,
        servers=tuple(server_progress(each, now=now) for each in history.all_servers),
    )


def _of_part(name: str, history: RunHistory, now: datetime) -> StageProgress:
    """A part of a run for several targets, as a stage of it."""
    record = next((part.record for part in history.parts if part.record.run == name), None)
    if record is None:
        return StageProgress(name, "to come")
    error = record.outcome.error if record.outcome else ""
    return StageProgress(
        name, record.status, seconds=((record.ended or now) - record.started).total_seconds(), note=error
    )


def _noted(entry: StageEntry, pace: Pace | None, *, now: datetime, over: bool) -> StageProgress:
    status = _status(entry, over=over)
    going = status in {"running", "waiting", "trying again"} and not over
    progress = entry.progress
    done, total = (progress.done, progress.total) if progress else (0, 0)
    rate = pace.rate if pace else None
    return StageProgress(
        stage=entry.stage,
        status=status,
        seconds=max(((now if going else entry.updated) - entry.began).total_seconds(), 0.0),
        calls=entry.calls,
        done=done,
        total=total,
        unit=progress.unit if progress else "bytes",
        rate=rate,
        left=max(total - done, 0) / rate if rate and status == "running" else None,
        note=entry.error or (progress.note if progress else ""),
    )


def _status(entry: StageEntry, *, over: bool) -> StageStatus:
    """`over`: the run has ended or gone on to another stage."""
    if entry.status == "failed":
        return "trying again" if entry.error in RETRIED and not over else "failed"
    words: dict[str, StageStatus] = {"done": "done", "more": "running", "pending": "waiting"}
    return words[entry.status]


def _coming(history: RunHistory, now: datetime) -> list[StageProgress]:
    """What isn't noted yet; its first stage is at work already once the last one that's noted has ended."""
    noted = {entry.stage for entry in history.stages}
    names = [stage for stage in _following(history) if stage not in noted]
    last = history.stages[-1] if history.stages else None
    if not names or (last and not _ended(last)) or (names == [WRITE_REPORT] and _at_servers(history)):
        return [StageProgress(stage, "to come") for stage in names]
    since = last.updated if last else history.record.started
    first = StageProgress(names[0], "running", seconds=max((now - since).total_seconds(), 0.0))
    return [first, *(StageProgress(stage, "to come") for stage in names[1:])]


def _at_servers(history: RunHistory) -> bool:
    """Whether the run's own stages wait for its servers': between the image and the report, until each has ended."""
    if history.record.parts:
        return any(part.record.status == "running" for part in history.parts) or not history.parts
    under_way = any(each.record.outcome is None for each in history.servers)
    return under_way and history.record.goal in {"failback", "rehearse"} and history.stages[-1].stage != GIVE_BACK


def _ended(entry: StageEntry) -> bool:
    return _status(entry, over=False) in {"done", "failed"}


def _following(history: RunHistory) -> Sequence[str]:
    """The stages after the last one that's noted, as the state machine goes on from there."""
    if history.record.parts and not history.stages:
        return (WRITE_REPORT,)
    if not history.record.target:
        # The request is still being judged: what it asks for isn't known.
        return ()
    if not history.stages:
        # Nothing may be known of the servers yet.
        return (CHECK_READINESS,) if history.servers or history.record.goal != "prepare" else STAGES[:1]
    last = history.stages[-1]
    if last.stage == WRITE_REPORT:
        return ()
    if last.stage == GIVE_BACK:
        return (WRITE_REPORT,)
    if _status(last, over=False) == "failed":
        return (GIVE_BACK, WRITE_REPORT)
    if last.stage == CHECK_READINESS:
        return (WRITE_REPORT,) if history.record.goal == "check" else STAGES[:1]
    if last.stage == STAGES[0]:
        return _planned(last)
    return (*STAGES[STAGES.index(last.stage) + 1 :], WRITE_REPORT) if last.stage in STAGES else ()


def _planned(search: StageEntry) -> Sequence[str]:
    """The stages that find_client_image found to be needed; none are known before it's done."""
    if not isinstance(search.facts, dict):
        return ()
    step = search.facts.get("next")
    return (*(STAGES[STAGES.index(step) :] if step in STAGES else ()), WRITE_REPORT)
