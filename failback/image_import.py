"""Importing: a slice of the exported image to the run's home with each call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.model.stage import Progress, StageResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from failback.home_ports import HomeImages, ImageContent
    from failback.model.run import HomeImage


def import_image(
    key: str,
    content: ImageContent,
    *,
    images: HomeImages,
    cursor: Mapping[str, JsonValue] | None,
    tags: Mapping[str, str],
) -> StageResult[HomeImage, dict[str, JsonValue]]:
    """Bring the image with that key home, one slice; an image that's there already is the result at once."""
    step = images.advance(key, content, cursor=cursor or {}, tags=tags)
    progress = Progress(done=step.sent, total=step.total)
    if step.image is not None:
        return StageResult(status="done", progress=progress, facts=step.image)
    status = "pending" if step.wait_seconds else "more"
    return StageResult(status=status, wait_seconds=step.wait_seconds, progress=progress, cursor=dict(step.cursor))
