"""What giving back an ended run waits for first: functions that go on after their execution, and a sweep that's on.

They may still make things, or launch a server. Costs two requests where nobody is at work.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from failback.clean_up import came_to_its_own_end
from failback.run_over import at_work, say_over
from failback.sweep import LEASE
from failback.unreturned import unreturned

if TYPE_CHECKING:
    from failback.model.run import RunState
    from failback.server_return import AwsSide

BY_HAND = "somebody has it cleaned up after"
_FOR = timedelta(seconds=5)


def late(state: RunState, side: AwsSide) -> str:
    """Who may still be at work on a run that's cleaned up after, in words; empty for nobody.

    That the run is over is said first: whoever begins later does nothing.
    """
    run, now = state.run.id, side.clock.now()
    say_over(run, side.decisions, at=now, why=BY_HAND)
    until = at_work(run, side.run_log, now)
    if until is not None:
        return f"a function that was called before the end may be at work until {until:%H:%M:%S} UTC"
    # A sweep that's on may have begun before it was said: it may still launch, or settle.
    if side.run_log.lease(LEASE, holder := f"clean-up of {run}", now=now, until=now + _FOR) != holder:
        return "the watcher may be at work on what it saw before the end"
    side.run_log.release(LEASE, holder)
    return ""


def has_ended_itself(state: RunState, side: AwsSide) -> bool:
    """Whether the run's own last call has closed it, after its execution's end, and nothing was left to be undone."""
    history = side.run_log.read(state.run.id)
    if history is None or not came_to_its_own_end(history.record):
        return False
    return not unreturned(history)
