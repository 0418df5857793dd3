"""Schedules by a clock that can be set: rate(), cron() and at() expressions, and what of them is due.

Source: Amazon EventBridge user guide, "Cron and rate expressions" and EventBridge Scheduler's at().
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from failback.errors import LocalCloudError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MOST_MINUTES = 31 * 24 * 60
"""How far back a cron expression is looked for when the clock jumps: a month of minutes."""

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_MINUTES = {"minute": 1, "hour": 60, "day": 24 * 60}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (1, 7), (1970, 2199))


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule: its key, when it's due, and what happens then (given the moment)."""

    key: str
    expression: str
    fire: Callable[[datetime], None]
    zone: str = "UTC"


class ScheduleClock:
    """Fires schedules when it's told the time; a schedule that was due several times since then fires once."""

    def __init__(self, schedules: Callable[[], Iterable[Schedule]]) -> None:
        self._schedules = schedules
        self._last: dict[str, datetime] = {}

    def tick(self, now: datetime) -> list[str]:
        """Fire what is due at the given time (with its zone) and give its keys; one seen first begins to count."""
        present = {schedule.key: schedule for schedule in self._schedules()}
        self._last = {key: last for key, last in self._last.items() if key in present}
        fired = []
        for key, schedule in present.items():
            last = self._last.setdefault(key, now)
            if is_due(schedule.expression, last=last, now=now, zone=schedule.zone):
                self._last[key] = now
                schedule.fire(now)
                fired.append(key)
        return fired


def is_due(expression: str, *, last: datetime, now: datetime, zone: str = "UTC") -> bool:
    """Whether the expression has a moment after `last` and not after `now`; raises LocalCloudError if it's wrong."""
    rate = _RATE.fullmatch(expression)
    if rate:
        return now - last >= timedelta(minutes=int(rate[1]) * _MINUTES[rate[2]])
    if expression.startswith("at(") and expression.endswith(")"):
        moment = datetime.fromisoformat(expression[3:-1]).replace(tzinfo=ZoneInfo(zone))
        return last < moment <= now
    if expression.startswith("cron(") and expression.endswith(")"):
        return _cron_due(expression[5:-1], last, now, zone)
    raise _wrong(expression)


def _cron_due(text: str, last: datetime, now: datetime, zone: str) -> bool:
    fields = text.split()
    if len(fields) != len(_BOUNDS) or fields[2] != "?" != fields[4]:
        raise _wrong(text)
    allowed = [_allowed(field, place, text) for place, field in enumerate(fields)]
    moment = now.astimezone(UTC).replace(second=0, microsecond=0)
    earliest = max(last.astimezone(UTC), moment - timedelta(minutes=MOST_MINUTES))
    while moment > earliest:
        here = moment.astimezone(ZoneInfo(zone))
        # Sunday is 1.
        parts = (here.minute, here.hour, here.day, here.month, here.isoweekday() % 7 + 1, here.year)
        if all(part in values for part, values in zip(parts, allowed, strict=True)):
            return True
        moment -= timedelta(minutes=1)
    return False


def _allowed(field: str, place: int, text: str) -> frozenset[int]:
    low, high = _BOUNDS[place]
    values: set[int] = set()
    for part in _numbers(field, place).split(","):
        found = re.fullmatch(r"(?:(\*|\?)|(\d+)(?:-(\d+))?)(?:/(\d+))?", part)
        if found is None:
            raise _wrong(text)
        first = low if found[1] else int(found[2])
        # 0/15 goes on to the end, 5 is only itself.
        last = high if found[1] or (found[4] and not found[3]) else int(found[3] or found[2])
        values.update(range(first, last + 1, max(1, int(found[4] or 1))))
    if not values or min(values) < low or max(values) > high:
        raise _wrong(text)
    return frozenset(values)


def _numbers(field: str, place: int) -> str:
    """Names of months and days as numbers from 1."""
    for number, name in enumerate({3: _MONTHS, 4: _DAYS}.get(place, ()), 1):
        field = field.upper().replace(name, str(number))
    return field


def _wrong(expression: str) -> LocalCloudError:
    message = (
        f"The schedule {expression!r} isn't one that this clock knows. It takes rate(5 minutes), "
        f"at(2026-01-31T10:00:00) and cron() with six fields of which day of month or day of week is ?; "
        f"L, W and # aren't known here."
    )
    return LocalCloudError(message)
