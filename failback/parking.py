"""What a server waits for, until when, and whose decisions count for it: all of it from the run's state and its record.

Every bound counts from the moment that it's parked.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from failback.model.decision import WHOLE_RUN, wave_scope
from failback.model.server import Parked
from failback.model.stage import facts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from failback.model.run import RunState
    from failback.model.server import Awaited, ServerRecord

STAGES: Mapping[Awaited, str] = {
    "replication": "await_replication",
    "approval": "await_approval",
    "launch": "await_launch",
    "commit": "await_commit",
    "hold": "hold_server",
}
"""The stage by which a server comes to wait for each milestone."""

TAKEN_UP = (
    "boot_client",
    "register_client",
    "await_replication",
    "await_approval",
    "quiesce",
    "await_launch",
    "cut_over",
    "verify_server",
    "await_commit",
)
"""Stages that a held server can go on with: those that the state machine leads to hold_server."""

_WIDTH = {"server": 1, "wave": 2, "run": 3}


def parked_of(
    state: RunState, token: str, milestone: Awaited, *, now: datetime, record: ServerRecord | None = None
) -> Parked:
    """The state's server as one that waits from `now` on; ValueError where a held one failed in no stage of its own."""
    own = {"run": state.run.id, "server": state.one, "milestone": milestone, "token": token, "since": now}
    return Parked.model_validate({**own, **_BOUNDS[milestone](state, now, record)})


def _of_replication(state: RunState, now: datetime, _record: ServerRecord | None) -> dict[str, Any]:
    choice = state.replication
    return {
        "deadline": now + timedelta(hours=choice.deadline_hours),
        "stuck_minutes": choice.stuck_minutes,
        "on_stuck": choice.on_stuck,
    }


def _of_approval(state: RunState, now: datetime, _record: ServerRecord | None) -> dict[str, Any]:
    choice = state.cutover.launch
    return {
        "deadline": now + timedelta(hours=choice.approval_hours),
        "scopes": _scopes(state)[: _WIDTH[choice.per]],
        "not_before": now if choice.mode == "automatic" else None,
    }


def _of_launch(state: RunState, now: datetime, _record: ServerRecord | None) -> dict[str, Any]:
    choice = state.cutover.launch
    level = now + timedelta(minutes=choice.lag_minutes)
    return {"lag_until": level, "deadline": level + timedelta(minutes=choice.minutes)}


def _of_commit(state: RunState, now: datetime, _record: ServerRecord | None) -> dict[str, Any]:
    choice, proof = state.cutover.commit, facts_of(state.verify_server)
    by_policy = choice.by == "policy" and proof is not None and proof.verified
    return {
        "deadline": now + timedelta(hours=max(choice.hours, choice.after_hours if by_policy else 0)),
        "scopes": _scopes(state),
        "not_before": now + timedelta(hours=choice.after_hours) if by_policy else None,
    }


def _of_hold(state: RunState, now: datetime, record: ServerRecord | None) -> dict[str, Any]:
    stage, error = _failure(state)
    return {
        "deadline": now + timedelta(hours=state.cutover.hold_hours),
        "scopes": _scopes(state),
        "not_before": now if _goes_at_once(state, record, error) else None,
        "stage": stage,
    }


def _goes_at_once(state: RunState, record: ServerRecord | None, error: str) -> bool:
    """Whether a failed server is given back unasked: a person has said so, or the policy of one that isn't launched."""
    if error == "GivenBack":
        return True
    plan = record.plan if record else None
    on_failure = plan.on_failure if plan else state.cutover.on_failure
    return on_failure == "give_back" and (record is None or record.milestones.launched is None)


def _failure(state: RunState) -> tuple[str, str]:
    """The stage that the server failed in, and its error."""
    known = [(stage, failure.Error) for stage, failure in state.failed.items() if stage in TAKEN_UP]
    if len(known) != 1:
        message = f"the state of {state.one} names {sorted(state.failed) or 'no failure'}: one that's held failed once"
        raise ValueError(message)
    return known[0]


def _scopes(state: RunState) -> tuple[str, ...]:
    """What a decision on the server can be noted under, the narrowest first."""
    return (state.one, wave_scope(state.wave.name) if state.wave else state.one, WHOLE_RUN)


_BOUNDS: Mapping[Awaited, Callable[[RunState, datetime, ServerRecord | None], dict[str, Any]]] = {
    "replication": _of_replication,
    "approval": _of_approval,
    "launch": _of_launch,
    "commit": _of_commit,
    "hold": _of_hold,
}
