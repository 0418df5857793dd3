"""Tags of recovery instances, source servers and jobs.

Source: AWS General Reference, tag restrictions (50 a resource, keys of 1 to 128 and values of 0 to 256 characters).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.drs.refusal import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_TAGS = 50
_LONGEST_KEY = 128


def checked_tags(given: Mapping[str, str], kept: Mapping[str, str] | None = None) -> dict[str, str]:
    """`kept` with `given` over it; raises DrsRefusal for keys or numbers that can't be."""
    for key in given:
        if not 1 <= len(key) <= _LONGEST_KEY or key.lower().startswith("aws:"):
            raise invalid(
                field="tags", message=f"has a key that isn't 1 to {_LONGEST_KEY} characters long, or begins with aws:"
            )
    tags = {**(kept or {}), **given}
    if len(tags) > MOST_TAGS:
        raise invalid(field="tags", message=f"may have at most {MOST_TAGS} members")
    return tags
