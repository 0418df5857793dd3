"""Build image: the client image, written block by block to an EBS snapshot, registered as an AMI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.client_image import build_options, keep_lease
from failback.doorway import stage_doorway
from failback.image_build import LIMIT_BLOCKS, build_ami
from failback.model.stage import cursor_of
from failback.naming import image_name, run_tags, short_hash
from failback.sinks.ebs import BLOCK
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.model.run import Ami, BuildCursor, RunState
    from failback.model.stage import StageResult


def build(state: RunState, around: Connections) -> StageResult[Ami, BuildCursor]:
    """The stage's work."""
    keep_lease(state, run_log=around.run_log, clock=around.clock)
    return build_ami(
        state.needed(state.iso, "a fetched ISO"),
        image_name(state.plan.key),
        objects=around.objects,
        snapshots=around.snapshots,
        images=around.machine_images,
        grub=around.grub,
        options=build_options(state),
        cursor=cursor_of(state.build_image),
        token=f"{short_hash(state.run.id)}-{state.plan.key}",
        tags=run_tags(state.run.id, state.run.started, image=state.plan.key),
        limit_blocks=around.settings.slice_bytes(LIMIT_BLOCKS * BLOCK) // BLOCK,
    )


handler = stage_doorway("build_image", build, connect)
