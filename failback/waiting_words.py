"""What one who waits waits for, in words that a person can act on: the command, the bytes that are left, the hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from failback.model.decision import Verdict
    from failback.model.server import Parked, ReplicationProgress, ServerRecord

_GIB = 2**30


def command(verdict: Verdict, parked: Parked) -> str:
    """The command by which a person decides so."""
    return f"failback {verdict.replace('_', '-')} {parked.run} {parked.server}"


def left_to_copy(progress: ReplicationProgress | None) -> int:
    """Bytes that aren't at home yet."""
    if progress is None:
        return 0
    return max(progress.total - progress.replicated, 0) + progress.backlogged


def approval_words(record: ServerRecord | None, progress: ReplicationProgress | None, *, now: datetime) -> str:
    """What's to be known before a launch is approved: what's left, how far behind it is, what a full sync means."""
    if progress is None:
        return ""
    left = left_to_copy(progress)
    said = [f"{_amount(left)} left to copy" if left else "nothing left to copy"]
    if progress.lag_seconds is not None:
        said.append(f"{progress.lag_seconds:.0f} s behind")
    return "; ".join([*said, *_full_sync(record, progress, now=now)])


def full_sync_words(record: ServerRecord | None, progress: ReplicationProgress, *, now: datetime) -> str:
    """What it means that DRS doesn't take the client for the original server; empty where that wasn't promised."""
    return "".join(_full_sync(record, progress, now=now))


def _full_sync(record: ServerRecord | None, progress: ReplicationProgress, *, now: datetime) -> list[str]:
    plan = record.plan if record else None
    if plan is None or plan.way != "original" or progress.to_original or progress.total <= 0:
        return []
    hours = (progress.eta - now).total_seconds() / 3600 if progress.eta else 0.0
    rest = f", for about {hours:.1f} hours more" if hours > 0 else ""
    return [
        f"DRS doesn't take the client for the original server: all {_amount(progress.total)} are sent instead of what "
        f"differs{rest}"
    ]


def _amount(count: int) -> str:
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / 2**20:.1f} MiB"
