"""One server's part of a run's report: what was decided, what was measured, what's left to a person."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from failback.model.decision import WHOLE_RUN, wave_scope
from failback.model.ending import Returned
from failback.model.report import Measured, ServerReport
from failback.model.way_home import Approval, Commitment, CutOver, Fenced, Launched, Verified
from failback.provenance import made_at_home, noted
from failback.unreturned import as_a_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from failback.model.decision import Decision, LaunchBatch
    from failback.model.ending import LeftBehind
    from failback.model.record import RunHistory, ServerHistory, StageEntry
    from failback.model.report import Provenance
    from failback.model.server import ServerRecord

NO_LAUNCH = "it wasn't launched"


def server_report(server: ServerHistory, history: RunHistory, made_of: Provenance | None) -> ServerReport:
    """Everything that's known of it, as its record and its stages say."""
    record, stages = server.record, server.stages
    began = min((entry.began for entry in stages), default=None)
    ended = max((entry.updated for entry in stages), default=None)
    returned = noted(stages, "give_back", Returned) or noted(stages, "close_server", Returned)
    left = (*(returned.left if returned else ()), *as_a_whole(server, history.record))
    ending = record.outcome.ending if record.outcome else None
    return ServerReport(
        record=record,
        stages=stages,
        began=began,
        ended=ended,
        seconds=(ended - began).total_seconds() if began and ended else 0.0,
        decisions=tuple(each for each in history.decisions if concerns(each, record)),
        approval=noted(stages, "await_approval", Approval),
        batch=_batch(record, history.batches),
        verified=noted(stages, "verify_server", Verified),
        commitment=noted(stages, "await_commit", Commitment),
        made=made_at_home(history.record.run, record.plan, made_of) if record.plan else None,
        measured=measured(record, stages),
        protected=ending.protected if ending else None,
        left=left,
        findings=tuple(_findings(record, stages)),
        advice=tuple(_advice(record, left)),
    )


def concerns(decision: Decision, record: ServerRecord) -> bool:
    """Whether a decision is on that server: on it alone, on its wave, or on the whole run."""
    waves = {wave_scope(record.plan.wave)} if record.plan else set()
    return decision.scope in {record.id, WHOLE_RUN, *waves}


def measured(record: ServerRecord, stages: Sequence[StageEntry]) -> Measured:
    """How long the server was away, how much of its data stayed behind, how much was sent."""
    rto, rto_by = _rto(stages)
    rpo, rpo_by = _rpo(record, stages)
    seen = record.progress
    return Measured(
        rto_seconds=rto,
        rto_by=rto_by,
        rpo_seconds=rpo,
        rpo_by=rpo_by,
        copied=seen.replicated if seen else None,
        total=seen.total if seen else None,
        to_original=seen.to_original if seen else None,
    )


def _rto(stages: Sequence[StageEntry]) -> tuple[float | None, str]:
    approval, verified = noted(stages, "await_approval", Approval), noted(stages, "verify_server", Verified)
    started = noted(stages, "cut_over", CutOver)
    if approval is None:
        return None, "its launch wasn't approved"
    if verified is None or not verified.verified or started is None:
        return None, "no sign was seen that it came up at home"
    up = started.started + timedelta(seconds=verified.seconds)
    by = f"from the approval by {approval.actor} to the first sign of life ({verified.signal})"
    return max((up - approval.at).total_seconds(), 0.0), by


def _rpo(record: ServerRecord, stages: Sequence[StageEntry]) -> tuple[float | None, str]:
    launched, fenced = record.milestones.launched, noted(stages, "quiesce", Fenced)
    if launched is None or noted(stages, "await_launch", Launched) is None:
        return None, NO_LAUNCH
    if fenced is not None and fenced.kind != "none":
        return 0.0, f"the workload was stopped ({fenced.kind}) and all it had written was replicated before the launch"
    return _lag_at(record, launched)


def _lag_at(record: ServerRecord, launched: datetime) -> tuple[float | None, str]:
    """The last lag that was seen before the launch, and the time from then on."""
    seen = record.progress
    if seen is None or seen.lag_seconds is None or seen.at > launched:
        return None, "nothing stopped the workload, and DRS didn't say how far behind it was at the launch"
    by = (
        "nothing stopped the workload: it's the lag that DRS told last and the time from then to the launch; what was "
        "written on AWS after the launch is lost, too, and isn't in it"
    )
    return seen.lag_seconds + (launched - seen.at).total_seconds(), by


def _batch(record: ServerRecord, batches: Sequence[LaunchBatch]) -> LaunchBatch | None:
    """The newest one that wasn't split up."""
    return next((each for each in reversed(batches) if record.id in each.servers and not each.split), None)


def _findings(record: ServerRecord, stages: Sequence[StageEntry]) -> Iterator[str]:
    plan, seen, launched = record.plan, record.progress, noted(stages, "await_launch", Launched)
    yield from plan.hints if plan else ()
    if plan and plan.way == "original" and seen and not seen.to_original:
        yield "DRS didn't take the client for the original server: all of its data was sent, not only what had changed"
    yield from launched.remarks if launched else ()
    if launched and not record.milestones.fenced:
        yield "nothing stopped the workload on AWS before the launch"


def _advice(record: ServerRecord, left: Sequence[LeftBehind]) -> Iterator[str]:
    outcome = record.outcome
    yield from outcome.ending.advice if outcome else ()
    if outcome and outcome.outcome == "launched":
        yield (
            "the server is at home and nobody has accepted it: look at it there. What's needed to go back is kept; its "
            "recovery instance stays fenced"
        )
    if outcome and outcome.outcome == "home" and outcome.ending.protected is not True:
        yield "DRS doesn't protect it yet, as far as it says: look at the source server's replication in DRS's console"
    for each in left:
        yield f"{each.belonging.kind} {each.belonging.name or each.belonging.id}: {each.command}"
