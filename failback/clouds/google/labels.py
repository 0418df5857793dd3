"""Our tags as Google's labels, and as text where a kind of thing has no labels.

Source: "Labeling resources" of Compute Engine (a key of 1 to 63 characters begins with a letter, a value has 0 to 63;
small letters, digits, _ and -; 64 labels a resource).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from failback.naming import RUN_TAG, SERVER_TAG, short_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 63
"""Characters of a key, and of a value."""
_OTHER = re.compile(r"[^a-z0-9_-]")


def labels_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as labels; different tags stay different ones."""
    return {label_key(key): label_value(value) for key, value in tags.items()}


def label_key(tag: str) -> str:
    """The label's key for a tag: `drs-failback-run` for `drs-failback:run`."""
    return _OTHER.sub("-", tag.lower())[:LONGEST]


def label_value(text: str) -> str:
    """A text as a label's value; one that has to be changed for that gets its hash, so that it's itself still."""
    value = _OTHER.sub("_", text.lower())
    if value == text and len(value) <= LONGEST:
        return value
    end = f"-{short_hash(text)}"
    return value[: LONGEST - len(end)] + end


def carries(labels: Mapping[str, str] | None, run: str, server: str = "") -> bool:
    """Whether a thing with these labels was made by that run (for that server, where one is said)."""
    found = labels or {}
    if found.get(RUN_LABEL) != label_value(run):
        return False
    return not server or found.get(SERVER_LABEL) == label_value(server)


def tags_text(tags: Mapping[str, str]) -> str:
    """Tags as the description of a thing that has no labels."""
    return json.dumps(dict(tags), sort_keys=True)


def labels_in(description: str) -> dict[str, str]:
    """The labels that `tags_text` has put into a description; none in anybody else's."""
    try:
        tags = json.loads(description)
    except ValueError:
        return {}
    if not isinstance(tags, dict):
        return {}
    return labels_of({str(key): str(value) for key, value in tags.items()})


RUN_LABEL = label_key(RUN_TAG)
SERVER_LABEL = label_key(SERVER_TAG)
