"""Begin wave: says whether the next servers change over, or why they don't."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.doorway import stage_doorway
from failback.waves import begin_wave
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.model.run import RunState
    from failback.model.stage import StageResult
    from failback.model.way_home import WaveStart


def begin(state: RunState, around: Connections) -> StageResult[WaveStart, None]:
    """The stage's work."""
    return begin_wave(
        state,
        run_log=around.run_log,
        book=around.servers,
        decisions=around.decisions,
        now=around.clock.now(),
    )


handler = stage_doorway("begin_wave", begin, connect)
