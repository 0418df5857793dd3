"""Whose a thing is, by its labels: nothing of somebody else's is removed or built on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.clouds.google.labels import RUN_LABEL, SERVER_LABEL, label_key, labels_of
from failback.errors import CloudRefused, NotGivenBack
from failback.naming import PREFIX, TAKEN_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping

TAKEN_LABEL = label_key(TAKEN_TAG)
MACHINE_LABEL = label_key(f"{PREFIX}:machine")
"""On a disk: the machine that it was made for. Its name alone may be any."""


def check_ours(kind: str, name: str, labels: Mapping[str, str] | None) -> None:
    """Raise NotGivenBack unless some run of ours has made it."""
    if RUN_LABEL not in (labels or {}):
        message = (
            f"The {kind} {name} has no label {RUN_LABEL}: something else made it, so it stays. Remove it yourself if "
            "it's in the way, or rename it."
        )
        raise NotGivenBack(message)


def check_maker(kind: str, name: str, labels: Mapping[str, str] | None, tags: Mapping[str, str]) -> None:
    """Raise CloudRefused unless it was made by the same run for the same server as `tags` say."""
    found, wanted = labels or {}, labels_of(tags)
    if any(found.get(label) != wanted.get(label) for label in (RUN_LABEL, SERVER_LABEL)):
        nobody = f"by something else (it has no label {RUN_LABEL})"
        maker = f"by the run {found[RUN_LABEL]}" if RUN_LABEL in found else nobody
        message = (
            f"There's a {kind} {name} already, made {maker}: it stays as it is. Remove or rename it if it isn't "
            "needed, or ask for another name."
        )
        raise CloudRefused(message)


def without_ours(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels without ours."""
    return {name: value for name, value in labels.items() if not name.startswith(f"{PREFIX}-")}


def ours(labels: Mapping[str, str]) -> dict[str, str]:
    """Our labels only."""
    return {name: value for name, value in labels.items() if name.startswith(f"{PREFIX}-")}


def runs_in(labels: Mapping[str, str] | None) -> set[str]:
    """The runs that these labels name, in the form of a label's value: who made it, who has taken it over."""
    return {(labels or {}).get(label, "") for label in (RUN_LABEL, TAKEN_LABEL)} - {""}
