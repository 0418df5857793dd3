"""Quiesce: the workload on the recovery instance is stopped, so that what's replicated last is all there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.doorway import stage_doorway
from failback.fence import FenceDesk
from failback.quiesce import QuiesceWork, quiesce
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.model.run import RunState
    from failback.model.stage import StageResult
    from failback.model.way_home import FenceCursor, Fenced


def stop_workload(state: RunState, around: Connections) -> StageResult[Fenced, FenceCursor]:
    """The stage's work."""
    desk = FenceDesk(hosts=around.hosts, documents=around.documents, hooks=around.hooks, clock=around.clock)
    return quiesce(state, QuiesceWork(servers=around.servers, desk=desk))


handler = stage_doorway("quiesce", stop_workload, connect, stoppable=True)
