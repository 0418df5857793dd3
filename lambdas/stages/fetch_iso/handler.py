"""Fetch ISO: AWS's client ISO into the image bucket, by parallel ranges, its hash checked against AWS's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.client_image import keep_lease
from failback.doorway import stage_doorway
from failback.iso_copy import LIMIT, copy_iso
from failback.model.stage import cursor_of
from failback.naming import run_tags
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.model.run import CopyCursor, RunState, StoredIso
    from failback.model.stage import StageResult


def fetch(state: RunState, around: Connections) -> StageResult[StoredIso, CopyCursor]:
    """The stage's work."""
    keep_lease(state, run_log=around.run_log, clock=around.clock)
    published = state.needed(state.plan.published, "a published ISO")
    return copy_iso(
        published,
        source=around.iso_bucket(published),
        objects=around.objects,
        uploads=around.uploads,
        cursor=cursor_of(state.fetch_iso),
        tags=run_tags(state.run.id, state.run.started),
        limit=around.settings.slice_bytes(LIMIT),
    )


handler = stage_doorway("fetch_iso", fetch, connect)
