"""Close server: the accepted server's machine handed over, what its way home took removed, AWS's side put back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.close import ClosingDesk, close_server
from failback.doorway import stage_doorway
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from pydantic import JsonValue

    from failback.model.ending import Returned
    from failback.model.run import RunState
    from failback.model.stage import StageResult


def close(state: RunState, around: Connections) -> StageResult[Returned, dict[str, JsonValue]]:
    """The stage's work."""
    desk = ClosingDesk(
        home=lambda: around.home(state),
        aws=("aws", lambda: around.belongings),
        recovery=around.recovery,
        servers=around.servers,
        run_log=around.run_log,
        guard=around.guard,
        clock=around.clock,
    )
    return close_server(state, desk)


handler = stage_doorway("close_server", close, connect)
