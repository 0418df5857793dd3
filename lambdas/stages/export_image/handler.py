"""Export image: the AMI's snapshot into the image bucket, in the format that the run's home takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.client_image import keep_lease
from failback.doorway import stage_doorway
from failback.image_export import LIMIT, export_ami
from failback.model.stage import cursor_of
from failback.naming import run_tags
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.model.run import CopyCursor, ExportedImage, RunState
    from failback.model.stage import StageResult


def export(state: RunState, around: Connections) -> StageResult[ExportedImage, CopyCursor]:
    """The stage's work."""
    keep_lease(state, run_log=around.run_log, clock=around.clock)
    return export_ami(
        state.needed(state.ami, "an AMI"),
        state.plan.key,
        state.plan.format,
        snapshots=around.snapshots,
        objects=around.objects,
        uploads=around.uploads,
        cursor=cursor_of(state.export_image),
        tags=run_tags(state.run.id, state.run.started, image=state.plan.key),
        limit=around.settings.slice_bytes(LIMIT),
    )


handler = stage_doorway("export_image", export, connect)
