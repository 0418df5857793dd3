"""Find client image: what there is of it at home and in AWS, and which stage comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.client_image import ImageSearch, find_client_image
from failback.doorway import stage_doorway
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.model.run import ClientImagePlan, RunState
    from failback.model.stage import StageResult


def find(state: RunState, around: Connections) -> StageResult[ClientImagePlan, None]:
    """The stage's work."""
    search = ImageSearch(
        objects=around.objects,
        machine_images=around.machine_images,
        home_images=around.home(state).images,
        grub=around.grub,
        published=around.published_iso,
    )
    return find_client_image(state, search, run_log=around.run_log, clock=around.clock)


handler = stage_doorway("find_client_image", find, connect)
