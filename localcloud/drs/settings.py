"""How the emulated DRS behaves where the real one's documentation leaves a choice, and its quotas."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class DrsSettings:
    """Both ways of each oddity can be had.

    `launch_status`: whether the servers of a failback's job become LAUNCHED, or stay PENDING though it's done.
    `durations`: recovery instances tell lags as the moment they reach back to (what the model's type says), or as
    durations of ISO 8601. `event_ids`: events name `ri-...` (as the documentation's sample) or `i-...`.
    `patience` is how long a client may be silent before it counts as not seen.
    """

    launch_status: Literal["LAUNCHED", "absent"] = "LAUNCHED"
    durations: Literal["datetime", "iso8601"] = "datetime"
    event_ids: Literal["ri", "i"] = "ri"
    initialised: bool = True
    concurrent_jobs: int = 20
    servers_per_job: int = 100
    servers_in_jobs: int = 500
    patience: timedelta = timedelta(minutes=15)
    clock: Callable[[], datetime] = utc_now
