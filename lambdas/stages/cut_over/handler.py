"""Cut over: the server's own machine, put together from the replicated disks and started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.cut_over import ChangeDesk, cut_over
from failback.doorway import stage_doorway
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.model.run import RunState
    from failback.model.stage import StageResult
    from failback.model.way_home import CutOver, CutOverCursor


def change(state: RunState, around: Connections) -> StageResult[CutOver, CutOverCursor]:
    """The stage's work."""
    home = around.home(state)
    desk = ChangeDesk(servers=around.servers, machines=home.machines, takeovers=home.takeovers, clock=around.clock)
    return cut_over(state, desk)


handler = stage_doorway("cut_over", change, connect)
