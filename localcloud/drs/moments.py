"""Times as DRS writes them.

Source: ISO8601DatetimeString and ISO8601DurationString in botocore's service model drs 2020-02-26. In that model a
recovery instance's lag is a date-time, a source server's a duration; both are taken to occur.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal


def moment_text(moment: datetime | None) -> str | None:
    """E.g. 2026-11-22T19:00:00.000000Z."""
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def read_moment(text: str) -> datetime:
    """The reverse; the model's pattern has been checked. Digits beyond microseconds are cut."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return moment + timedelta(microseconds=int(fraction[:6].ljust(6, "0")))


def span_text(span: timedelta, now: datetime, form: Literal["datetime", "iso8601"]) -> str | None:
    """A length of time: as the moment that it reaches back to, or e.g. PT90S."""
    if form == "datetime":
        return moment_text(now - span)
    return f"PT{max(0, round(span.total_seconds()))}S"
