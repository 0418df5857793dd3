"""Watch: called every minute and with every change of a failback in DRS; looks at all servers that wait.

What an event says doesn't matter: the sweep asks DRS itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.door import door
from failback.sweep import sweep
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.door import Event, Visit
    from failback.sweep import Swept


def watch(_event: Event, around: Connections, visit: Visit) -> Swept:
    """The door's work."""
    swept = sweep(
        room=around.waiting_room,
        recovery=around.recovery,
        tokens=around.task_tokens,
        book=around.servers,
        run_log=around.run_log,
        clock=around.clock,
        holder=visit.request,
        guard=around.guard,
    )
    for fault in swept.faults:
        visit.logger.warning("servers left for the next sweep", extra={"cause": fault})
    visit.count("ServersWaiting", swept.looked_at - swept.answered + swept.left)
    visit.count("ServersAnswered", swept.answered)
    visit.count("ServersLeft", swept.left)
    return swept


handler = door("watch", watch, connect)
