"""Boot test: a throw-away machine at home boots from the image and shows the agent's mark; then it's removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.boot_test import SILENCE, try_boot
from failback.client_image import keep_lease, release_lease
from failback.doorway import stage_doorway
from failback.model.stage import cursor_of
from failback.naming import run_tags
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.model.run import BootTest, BootTestCursor, RunState
    from failback.model.stage import StageResult


def boot(state: RunState, around: Connections) -> StageResult[BootTest, BootTestCursor]:
    """The stage's work; with it the run is through with the client image."""
    keep_lease(state, run_log=around.run_log, clock=around.clock)
    home = around.home(state)
    result = try_boot(
        state.run.id,
        state.needed(state.image, "an image at home"),
        machines=home.machines,
        images=home.images,
        clock=around.clock,
        cursor=cursor_of(state.boot_test),
        tags=run_tags(state.run.id, state.run.started),
        silence=around.settings.silence_seconds or SILENCE,
    )
    if result.status == "done":
        release_lease(state, run_log=around.run_log)
    return result


handler = stage_doorway("boot_test", boot, connect)
