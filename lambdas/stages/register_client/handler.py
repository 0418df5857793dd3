"""Register client: a look at DRS's initiation steps and at the client's console, until the two are paired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.doorway import stage_doorway
from failback.registration import SILENCE, ClientDesk, register_client
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.model.run import RunState
    from failback.model.stage import StageResult
    from failback.model.way_home import RegisterCursor, Registration


def register(state: RunState, around: Connections) -> StageResult[Registration, RegisterCursor]:
    """The stage's work."""
    desk = ClientDesk(
        recovery=around.recovery,
        servers=around.servers,
        machines=around.home(state).machines,
        mint=around.key_mint,
        settings=around.settings,
        clock=around.clock,
        silence=around.settings.silence_seconds or SILENCE,
    )
    return register_client(state, desk)


handler = stage_doorway("register_client", register, connect, stoppable=True)
