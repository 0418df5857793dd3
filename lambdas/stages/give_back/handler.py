"""Give back: undoes what a failed run, or one server of it, has made and changed: at home first, then in AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.client_image import release_lease
from failback.doorway import stage_doorway
from failback.fence import FenceDesk
from failback.give_back import give_back
from failback.server_return import AwsSide
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from pydantic import JsonValue

    from failback.model.ending import Returned
    from failback.model.run import RunState
    from failback.model.stage import StageResult


def undo(state: RunState, around: Connections) -> StageResult[Returned, dict[str, JsonValue]]:
    """The stage's work."""
    side = AwsSide(
        recovery=around.recovery,
        servers=around.servers,
        run_log=around.run_log,
        clock=around.clock,
        fence=FenceDesk(around.hosts, around.documents, around.hooks, around.clock),
        decisions=around.decisions,
    )
    result = give_back(
        state,
        (state.home.name, lambda: around.home(state).belongings),
        ("aws", lambda: around.belongings),
        takeovers=lambda: around.home(state).takeovers,
        side=side,
        guard=around.guard,
    )
    if result.status == "done":
        release_lease(state, run_log=around.run_log)
    return result


handler = stage_doorway("give_back", undo, connect)
