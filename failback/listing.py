"""Faults in one text: as many as there's room for, and how many more there are."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST = 20_000
"""Characters: the text becomes the cause of a failed state, of which Step Functions takes 32,768, beside JSON's own."""


def listed(parts: Sequence[str], *, separator: str, more: str = "{} more") -> str:
    """The parts in order, one at least, up to LONGEST characters; `more` says how many are left out."""
    sizes = accumulate(len(part) + len(separator) for part in parts)
    shown = max(1, sum(size <= LONGEST for size in sizes))
    rest = [more.format(len(parts) - shown)] if shown < len(parts) else []
    return separator.join([*parts[:shown], *rest])
