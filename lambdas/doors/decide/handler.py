"""Decide: notes what a person has decided on a run, a wave or servers of it, and wakes the watcher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.decision_request import decide
from failback.door import door
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.decision_request import Decided
    from failback.door import Event, Visit


def decide_on_run(event: Event, around: Connections, visit: Visit) -> Decided:
    """The door's work."""
    decided = decide(event, around, request_id=visit.request)
    if decided.asleep:
        visit.logger.warning("the watcher couldn't be woken", extra={"cause": decided.asleep})
    return decided


handler = door("decide", decide_on_run, connect)
