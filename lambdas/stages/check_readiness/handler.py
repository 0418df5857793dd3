"""Check readiness: every server of the request is judged and its way home planned, before anything is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback import readiness
from failback.doorway import stage_doorway
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.model.run import RunState
    from failback.model.stage import StageResult
    from failback.model.way_home import Readiness


def check(state: RunState, around: Connections) -> StageResult[Readiness, None]:
    """The stage's work."""
    home = around.home(state)
    return readiness.check_readiness(
        state,
        book=around.servers,
        recovery=around.recovery,
        hosts=around.hosts,
        machines=home.machines,
        takeovers=home.takeovers,
        clock=around.clock,
    )


handler = stage_doorway("check_readiness", check, connect)
