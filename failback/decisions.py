"""What a run's decisions come to for one who waits: the newest that fits, and who said so. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from failback.model.decision import Decision, Subject


def newest(
    decisions: Sequence[Decision], subject: Subject, scopes: Collection[str], *, since: datetime | None = None
) -> Decision | None:
    """The last of the decisions (oldest first) on a subject for any of the scopes, made at `since` or later."""
    fitting = (each for each in reversed(decisions) if each.subject == subject and each.scope in scopes)
    found = next(fitting, None)
    return found if found is None or since is None or found.at >= since else None


def by_whom(decision: Decision) -> str:
    """Who decided, and why if that was said, for the middle of a sentence."""
    return f"by {decision.actor}" + (f" ({decision.why})" if decision.why else "")
