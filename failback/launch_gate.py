"""Whether a server may be launched now: from what was noted of it, and from what DRS says of its replication. Pure.

Everything that was written before the fence stood has to be at home: a launch ends replication.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from failback.errors import FailbackError, FenceFailed, LaunchTimedOut, NotLevel, Stopped
from failback.replication import judge

if TYPE_CHECKING:
    from datetime import datetime

    from failback.model.recovery import RecoveryInstance
    from failback.model.server import Parked, ReplicationProgress, ServerRecord

LEVEL = timedelta(seconds=10)
"""A lag up to it is none: DRS may tell it as the moment up to which all is replicated, and that ages by the way of the
answer and by what two clocks differ."""

COMPLETED = "FAILBACK_COMPLETED"

_STAND_STILL = (
    "Usually something still writes on the recovery instance, or the line is slow. Stop what writes, or take a fence "
    "that stops it; raise cutover.launch.lag_minutes if it's only slow, and try this stage again."
)
_NO_JOB = (
    "it was ready, but DRS hasn't begun its job (a quota was used up, or DRS refused: the watcher's log has its words)"
)


class Candidate(NamedTuple):
    """A server that waits for its launch: as it's parked, as DRS describes it, as the run knows it."""

    parked: Parked
    instance: RecoveryInstance | None
    record: ServerRecord | None

    @property
    def id(self) -> str:
        """Of the recovery instance."""
        return self.parked.server

    @property
    def completed(self) -> bool:
        """Whether DRS calls its failback completed."""
        return self.instance is not None and self.instance.failback_state == COMPLETED


class Gate(NamedTuple):
    """Whether a server may be launched; if not, `refusal` ends its wait, and without one it waits on (`note`)."""

    is_open: bool
    refusal: FailbackError | None = None
    note: str = ""


def barred(one: Candidate, *, stopped: bool) -> FailbackError | None:
    """Why a server is never to be launched, whatever DRS says of it."""
    if stopped:
        return Stopped(f"The run was stopped before {one.id} was launched. Nothing was launched for it.")
    if one.record is not None and one.record.outcome is not None:
        return Stopped(
            f"{one.id} isn't launched: its part of the run has ended already ({one.record.outcome.outcome}). Usually "
            "the run was ended from outside, and cleaned up. Take the server home in a new run."
        )
    if one.record is None or one.record.milestones.fenced is None:
        return FenceFailed(
            f"{one.id} isn't launched: it's not fenced as far as the run log knows, so both sides could serve. This is "
            "a fault of the program, or the run log was changed by hand. Have it given back and start again."
        )
    return None


def gate(one: Candidate, *, stopped: bool, now: datetime) -> Gate:
    """Whether a server without a job may be put into one at `now`."""
    refusal = barred(one, stopped=stopped)
    if refusal is not None:
        return Gate(is_open=False, refusal=refusal)
    parked, seen = one.parked, judge(one.instance, now=now, before=one.parked)
    missing = _missing(seen)
    if missing and now >= (parked.lag_until or parked.deadline):
        return Gate(is_open=False, refusal=NotLevel(_not_level(parked, seen, missing, now)))
    if missing:
        return Gate(is_open=False, note=f"not launched yet: {missing}")
    return Gate(is_open=True)


def overdue(one: Candidate, now: datetime, note: str) -> FailbackError | None:
    """The end of a wait that has lasted too long; `note` is what it waited for last."""
    if now < one.parked.deadline:
        return None
    minutes = (now - one.parked.since).total_seconds() / 60
    return LaunchTimedOut(
        f"{one.id} isn't launched by its deadline, after {minutes:.0f} minutes: {note or _NO_JOB}. Look "
        "at its job in DRS's console and at the client machine's serial console. If a job was begun, it may still end "
        "well, and trying this stage again waits for it on. Raise cutover.launch.minutes if it's only slow."
    )


def _missing(seen: ReplicationProgress) -> str:
    """What keeps it from being launched, in words; empty for nothing."""
    if seen.verdict != "ready":
        return seen.reason
    if seen.backlogged:
        return f"{_size(seen.backlogged)} that were written meanwhile aren't replicated yet"
    if seen.lag_seconds is not None and seen.lag_seconds > LEVEL.total_seconds():
        return f"its copy is {seen.lag_seconds:.0f} seconds behind"
    return ""


def _not_level(parked: Parked, seen: ReplicationProgress, missing: str, now: datetime) -> str:
    minutes = (now - parked.since).total_seconds() / 60
    said = f"{parked.server} isn't launched: {minutes:.0f} minutes after it was fenced, {missing}."
    return f"{said} {seen.advice or _STAND_STILL}"


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count} bytes"
