"""Whose a thing is, by its tags: nothing of somebody else's is removed or built on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.errors import CloudRefused, NotGivenBack
from failback.naming import RUN_TAG, SERVER_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping


def check_ours(kind: str, name: str, tags: Mapping[str, str] | None) -> None:
    """Raise NotGivenBack unless some run of ours has made it."""
    if RUN_TAG not in (tags or {}):
        message = (
            f"The {kind} {name} has no tag {RUN_TAG}: something else made it, so it stays. Remove it yourself if it's "
            "in the way, or rename it."
        )
        raise NotGivenBack(message)


def check_maker(kind: str, name: str, found: Mapping[str, str] | None, tags: Mapping[str, str]) -> None:
    """Raise CloudRefused unless it was made by the same run for the same server as `tags` say."""
    found = found or {}
    if any(found.get(tag) != tags.get(tag) for tag in (RUN_TAG, SERVER_TAG)):
        maker = f"by the run {found[RUN_TAG]}" if RUN_TAG in found else f"by something else (it has no tag {RUN_TAG})"
        message = (
            f"There's a {kind} {name} already, made {maker}: it stays as it is. Remove or rename it if it isn't "
            "needed, or ask for another name."
        )
        raise CloudRefused(message)
