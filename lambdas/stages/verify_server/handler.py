"""Verify server: one look for the first sign that the server came up at home, and then its traffic hook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.doorway import stage_doorway
from failback.verify import ProofDesk, verify_server
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.model.run import RunState
    from failback.model.stage import StageResult
    from failback.model.way_home import Verified, VerifyCursor


def verify(state: RunState, around: Connections) -> StageResult[Verified, VerifyCursor]:
    """The stage's work."""
    desk = ProofDesk(
        signs=around.home(state).signs,
        probes=around.probes,
        hooks=around.hooks,
        guard=around.guard,
        clock=around.clock,
    )
    return verify_server(state, desk)


handler = stage_doorway("verify_server", verify, connect)
