"""Runs whose execution was ended from outside: nothing of them begins any more, and what's still at work is waited for.

A function that was invoked before the end goes on after it. Each notes that it's at work, and only then asks whether
the run is over; whoever cleans up says first that it's over, and only then looks who is at work. So either the call
sees that it's to do nothing, or it's seen, and waited for: until it notes its end, or its function's time-out is past.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from failback.errors import Stopped
from failback.model.call import Call
from failback.model.decision import WHOLE_RUN, Decision
from failback.stopping import stop_of, stopped_by

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from failback.model.run import RunState
    from failback.ports import RunLog
    from failback.recovery_ports import DecisionBook

ENDED_BY = "clean_up_aborted"
KNOWN_BY = "the end of its execution"
"""Which only a run's end is known by: a person's stop lets what was begun come to its own end."""
LONGEST_CALL = timedelta(minutes=15)
"""A Lambda function's, where it isn't told how long it still has."""
MARGIN = timedelta(seconds=10)
"""By so much may two functions' clocks differ, and what a function sent in its last moment take effect later."""


def say_over(run: str, decisions: DecisionBook, *, at: datetime, why: str) -> None:
    """Write the decision that stops the run for good; once, however often it's said."""
    if not is_over(decisions.of(run, subject="stop")):
        decisions.decide(run, _end(at, why))


def _end(at: datetime, why: str) -> Decision:
    return Decision(subject="stop", scope=WHOLE_RUN, verdict="stop", actor=ENDED_BY, known_by=KNOWN_BY, at=at, why=why)


def is_over(decisions: Iterable[Decision]) -> bool:
    """Whether the run's execution was ended from outside, by what was decided."""
    return any(each.subject == "stop" and each.known_by == KNOWN_BY for each in decisions)


def call_of(context: object, now: datetime) -> Call:
    """The call that a function has just been invoked for; it ends with the function's time-out at the latest."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    left = timedelta(milliseconds=remaining()) if remaining else LONGEST_CALL
    return Call(id=getattr(context, "aws_request_id", "") or "unknown", until=now + left)


def check_begun(state: RunState, decisions: DecisionBook, *, stoppable: bool) -> None:
    """Raises Stopped where the run is over, or where a person stopped it and the stage is `stoppable`."""
    said = decisions.of(state.run.id, subject="stop")
    stop = stop_of(said)
    if stop is not None and (stoppable or is_over(said)):
        raise Stopped(stopped_by(stop))


def at_work(run: str, run_log: RunLog, now: datetime) -> datetime | None:
    """Until when a call of the run may be at work; None once there's none."""
    last = max((each.until + MARGIN for each in run_log.at_work(run)), default=now)
    return last if last > now else None
