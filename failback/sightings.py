"""What a sweep sees of each server that waits: what's kept of it and of its run, and what DRS says of it. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from failback import replication
from failback.milestones import Case, has_ended
from failback.waiting import FOLLOWED
from failback.waiting_words import full_sync_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from failback.model.decision import Decision
    from failback.model.recovery import RecoveryInstance
    from failback.model.server import Parked, ReplicationProgress, ServerRecord


class KnownRun(NamedTuple):
    """What's kept of a run: its servers' records by id, and its decisions, oldest first."""

    records: Mapping[str, ServerRecord]
    decisions: Sequence[Decision]


class Sighting(NamedTuple):
    """A server that waits, and what DRS says of it."""

    case: Case
    instance: RecoveryInstance | None

    @property
    def may_be_launched(self) -> bool:
        return self.case.parked.milestone == "launch" and not has_ended(self.case.record)


def sight(parked: Parked, instance: RecoveryInstance | None, run: KnownRun, *, now: datetime) -> Sighting:
    """One server as it is `now`."""
    record = run.records.get(parked.server)
    case = Case(parked, now, record, run.decisions, record.progress if record else None)
    # A launch ends replication: what was there when it began is the last that's to be told of it.
    is_launched = parked.milestone == "launch" and record is not None and record.milestones.launched is not None
    if parked.milestone in FOLLOWED and not is_launched:
        case = replace(case, progress=_progress(case, instance))
    return Sighting(case, instance)


def _progress(case: Case, instance: RecoveryInstance | None) -> ReplicationProgress:
    """How far the replication is; where all is sent though less was promised, that stands with it."""
    seen = replication.judge(instance, now=case.now, before=case.parked, last=case.progress)
    words = full_sync_words(case.record, seen, now=case.now)
    if not words or seen.verdict != "waiting" or seen.state not in replication.FLOWING:
        return seen
    return seen.model_copy(update={"reason": f"{seen.reason}; {words}"})
