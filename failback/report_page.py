"""A run's report as one HTML page that needs nothing else: no script, no other file, no network.

Everything in it was written by somebody else (names, causes, what a console said), so everything is escaped: Jinja2
does it, and what no page may hold is taken out afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from failback.naming import RUN_TAG
from failback.report_template import PAGE, STYLE
from failback.stage_words import stage_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from jinja2 import Template

    from failback.model.report import RunReport, ServerReport, TimelineEntry

_MIB, _GIB = 2**20, 2**30
# Control characters, which HTML forbids, and those that turn the direction of text, by which it could look otherwise.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SHORTEST_BAR = 0.4
"""Per cent of the width: a stage of seconds beside a wait of days is still to be seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A stage in a timeline: where its bar begins and how wide it is, in per cent of the whole."""

    entry: TimelineEntry
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class ServerPart:
    """A server with what the page names it by within itself, and its stages."""

    anchor: str
    report: ServerReport
    bars: tuple[Bar, ...]


def report_page(report: RunReport) -> str:
    """The page; of a run that goes on, what's known so far."""
    by_server: dict[str, list[TimelineEntry]] = {}
    for entry in report.timeline:
        by_server.setdefault(entry.server, []).append(entry)
    parts = tuple(
        ServerPart(f"server-{number}", each, bars(by_server.get(each.record.id, [])))
        for number, each in enumerate(report.servers, 1)
    )
    page = _template().render(
        report=report, style=STYLE, parts=parts, own_bars=bars(by_server.get("", [])), run_tag=RUN_TAG
    )
    return _UNFIT.sub("", page).lstrip()


def bars(entries: Sequence[TimelineEntry]) -> tuple[Bar, ...]:
    """Stages on one scale, from when the first began to when the last ended."""
    if not entries:
        return ()
    began, ended = min(entry.began for entry in entries), max(entry.ended for entry in entries)
    whole = max((ended - began).total_seconds(), 1.0)
    return tuple(_bar(entry, began, whole) for entry in entries)


def _bar(entry: TimelineEntry, began: datetime, whole: float) -> Bar:
    width = min(max(100 * entry.seconds / whole, _SHORTEST_BAR), 100.0)
    left = min(max(100 * (entry.began - began).total_seconds() / whole, 0.0), 100 - width)
    return Bar(entry, round(left, 3), round(width, 3))


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(amount=amount, span=span, moment=moment, stage_words=stage_words)
    return environment.from_string(PAGE)


def amount(count: int) -> str:
    """Bytes."""
    return f"{count / _GIB:,.1f} GiB" if count >= _GIB else f"{count / _MIB:,.1f} MiB"


def span(seconds: float) -> str:
    """A duration: 7 s, 12 min 34 s, 1 h 02 min, 3 d 04 h."""
    whole = max(round(seconds), 0)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours:02} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def moment(at: datetime) -> str:
    """A point in time, in UTC as all of them are."""
    return f"{at:%Y-%m-%d %H:%M:%S}"
