"""Clean up aborted: called with the end of each execution that didn't succeed; starts giving back what it left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.clean_up import CleanUpDesk, ExecutionEnd, clean_up
from failback.door import door
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.clean_up import CleanUp
    from failback.door import Event, Visit


def after(event: Event, around: Connections, _visit: Visit) -> CleanUp:
    """The door's work."""
    end = ExecutionEnd.model_validate(event["detail"])
    desk = CleanUpDesk(around.run_log, around.decisions, around.executions, around.clock)
    return clean_up(end, machine=around.settings.state_machine, desk=desk)


handler = door("clean_up_aborted", after, connect)
