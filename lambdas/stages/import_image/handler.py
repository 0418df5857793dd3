"""Import image: the exported image from the image bucket to the run's home."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.client_image import keep_lease
from failback.doorway import stage_doorway
from failback.exported_content import ExportedContent
from failback.image_import import import_image
from failback.model.stage import cursor_of
from failback.naming import run_tags
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from pydantic import JsonValue

    from failback.model.run import HomeImage, RunState
    from failback.model.stage import StageResult


def bring_home(state: RunState, around: Connections) -> StageResult[HomeImage, dict[str, JsonValue]]:
    """The stage's work."""
    keep_lease(state, run_log=around.run_log, clock=around.clock)
    return import_image(
        state.plan.key,
        ExportedContent(around.objects, state.needed(state.export, "an exported image")),
        images=around.home(state).images,
        cursor=cursor_of(state.import_image),
        tags=run_tags(state.run.id, state.run.started, image=state.plan.key),
    )


handler = stage_doorway("import_image", bring_home, connect)
