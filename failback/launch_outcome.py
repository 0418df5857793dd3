"""What a failback's job reports, and what that comes to for one of its servers. Pure.

It's unconfirmed what a failback's job says of its servers: whether they become LAUNCHED at all, and which events its
log has. So FAILBACK_COMPLETED of the recovery instance counts, a FAILED one contradicts it, and all else is a remark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.launch_gate import Candidate
    from failback.model.recovery import LaunchJob

_FAILED = frozenset({"FAILED", "TERMINATED"})
_MOST_LINES = 8
"""Of a job's log in a cause: the last ones of a server say why, the others are in DRS's console."""
_LONGEST_LINE = 300


class JobOutcome(NamedTuple):
    """What a job has come to for one server, and in words."""

    verdict: Literal["launched", "failed", "going_on"]
    said: str = ""


def outcome_of(job: LaunchJob | None, one: Candidate) -> JobOutcome:
    """How a server's launch stands; `job` is None where DRS doesn't list it (any more)."""
    status = job.servers.get(one.id, "") if job else ""
    state = one.instance.failback_state if one.instance else "unknown"
    told = _told(job, status, state)
    if status in _FAILED and (one.completed or (job is not None and job.status == "COMPLETED")):
        return JobOutcome("failed", told)
    if state == "FAILBACK_ERROR":
        return JobOutcome("failed", told)
    if one.completed:
        return JobOutcome("launched", "" if status == "LAUNCHED" else f"{told}: what counts is that it's completed")
    return JobOutcome("going_on", told)


def is_past(job: LaunchJob | None, one: Candidate) -> bool:
    """Whether an earlier job has nothing to say about this server any more: it's over for it, and wasn't a success."""
    if job is None:
        return True
    status = job.servers.get(one.id, "")
    return status in _FAILED or (job.status == "COMPLETED" and not one.completed)


def lines_of(log: Sequence[str], one: Candidate) -> str:
    """The end of what a job's log says of one server: its own lines, and those of no server."""
    own = [name for name in (one.id, one.instance.source_server if one.instance else "") if name]
    # A line about a server has more words than time and event.
    about = [line for line in log if any(name in line for name in own) or len(line.split()) <= 2]
    return "; ".join(line[:_LONGEST_LINE] for line in about[-_MOST_LINES:])


def _told(job: LaunchJob | None, status: str, state: str) -> str:
    if job is None:
        return f"DRS doesn't list the job, and calls the failback {state}"
    return f"the job is {job.status}, it says {status or 'nothing'} of this server, and the failback is {state}"
