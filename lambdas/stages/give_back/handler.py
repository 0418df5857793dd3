"""Give back: removes what a failed run has made, at home first, then in AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.client_image import release_lease
from failback.doorway import stage_doorway
from failback.give_back import give_back
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from pydantic import JsonValue

    from failback.model.run import Returned, RunState, StageResult


def undo(state: RunState, around: Connections) -> StageResult[Returned, dict[str, JsonValue]]:
    """The stage's work."""
    clouds = ((state.home.name, lambda: around.home(state).belongings), ("aws", lambda: around.belongings))
    result = give_back(state, clouds, guard=around.guard)
    if result.status == "done":
        release_lease(state, run_log=around.run_log)
    return result


handler = stage_doorway("give_back", undo, connect)
