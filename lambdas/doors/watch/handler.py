"""Watch: called every minute, with every decision and every change of a failback in DRS; looks at all who wait.

What an event says doesn't matter: the sweep asks the run log and DRS themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.door import door
from failback.sweep import sweep
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.door import Event, Visit
    from failback.swept import Swept


def watch(_event: Event, around: Connections, visit: Visit) -> Swept:
    """The door's work."""
    swept = sweep(around, holder=visit.request)
    for fault in swept.faults:
        visit.logger.warning("servers left for the next sweep", extra={"cause": fault})
    visit.count("ServersWaiting", swept.looked_at - swept.answered + swept.left)
    visit.count("ServersAnswered", swept.answered)
    visit.count("ServersLeft", swept.left)
    return swept


handler = door("watch", watch, connect)
