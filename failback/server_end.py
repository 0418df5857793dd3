"""How a server's part of a run ends where it doesn't come home: failed, at which stage and why; rehearsed; skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.clean_up import ABORTED
from failback.errors import CutOverFailed
from failback.model.server import ServerOutcome
from failback.model.stage import facts_of
from failback.report import LONGEST_CAUSE, explain

if TYPE_CHECKING:
    from failback.model.ending import Failure
    from failback.model.run import RunState
    from failback.model.server import ServerRecord
    from failback.server_return import AwsSide

OWN = ("give_back", "hold_server")
"""Stages that come after a failure: what led to them comes first."""
BROKEN_OFF = "the run's execution was stopped, timed out or broke off while the server was on its way"


def has_come_home(record: ServerRecord) -> bool:
    """Whether giving back its run leaves the server alone, with all that's at home for it."""
    return record.outcome is not None and record.outcome.outcome in {"home", "launched", "rehearsed"}


def is_rehearsed(state: RunState) -> bool:
    """Whether the server whose state this is came up at home in a rehearsal, and all that's left is to remove it."""
    verified = facts_of(state.verify_server)
    return state.goal == "rehearse" and verified is not None and verified.verified and not set(state.failed) - {*OWN}


def first_failure(failed: dict[str, Failure]) -> tuple[str, Failure | None]:
    """What led to giving back: members of JSON have no order, and its own failure comes after it."""
    return min(failed.items(), key=lambda each: each[0] in OWN, default=("", None))


def settle_failed(state: RunState, record: ServerRecord, side: AwsSide) -> None:
    """Say at which stage it failed, and why; a server that had ended so before keeps its own cause."""
    if record.outcome is not None and record.outcome.outcome in {"failed", "skipped"}:
        return
    stage, error, cause = _why(state)
    outcome = ServerOutcome(
        outcome="failed", at=side.clock.now(), stage=stage, error=error, cause=cause[:LONGEST_CAUSE]
    )
    side.servers.settle(state.run.id, record.id, outcome)


def settle_rehearsed(state: RunState, record: ServerRecord, side: AwsSide, *, left: int) -> None:
    """Say that the server came up at home, and that what the rehearsal made of it is gone."""
    cause = f"{left} things of the rehearsal couldn't be removed; its stage give_back names them" if left else ""
    outcome = ServerOutcome(outcome="rehearsed", at=side.clock.now(), stage="give_back", cause=cause)
    side.servers.settle(state.run.id, record.id, outcome)


def _why(state: RunState) -> tuple[str, str, str]:
    """Stage, error and cause."""
    if state.goal == "clean_up":
        return "", ABORTED, BROKEN_OFF
    stage, failure = first_failure(state.failed)
    if failure is None:
        verified = facts_of(state.verify_server)
        said = f": {verified.said}" if verified and verified.said else ""
        return (
            "verify_server",
            CutOverFailed.__name__,
            f"no sign that the server came up at home was seen in time{said}",
        )
    if state.server is None:
        return stage, explain(failure)[0], f"the run ended at {stage}; its report says why"
    return stage, *explain(failure)
