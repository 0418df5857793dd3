"""Whether a server's wait is over, and how: one judgement for each milestone, of what's known, and nothing else: pure.

Launching is more than a judgement: failback/launch.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from failback.decisions import by_whom, newest
from failback.errors import ApprovalRefused, ApprovalTimedOut, GivenBack, Stopped
from failback.model.way_home import Approval, Commitment, HoldEnd
from failback.replication import refusal
from failback.run_over import is_over
from failback.stopping import stop_of
from failback.waiting_words import approval_words, command, left_to_copy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from failback.errors import FailbackError
    from failback.model.decision import Decision
    from failback.model.facts import Facts
    from failback.model.server import Awaited, Parked, ReplicationProgress, ServerRecord

POLICY = "policy"
"""Who decides where the request says that nobody has to."""
GIVE_BACK = "give_back"
"""What a held server goes on with if it isn't a stage."""


@dataclass(frozen=True, slots=True)
class Case:
    """A server that waits, and what's known at `now`: its record, the run's decisions, its replication."""

    parked: Parked
    now: datetime
    record: ServerRecord | None = None
    decisions: Sequence[Decision] = ()
    progress: ReplicationProgress | None = None


class Judgement(NamedTuple):
    """How a wait ends: with the stage's `facts`, or refused; with neither it goes on, for what `note` says."""

    note: str = ""
    facts: Facts | None = None
    refusal: FailbackError | None = None

    @property
    def is_over(self) -> bool:
        return self.facts is not None or self.refusal is not None


def judge(case: Case) -> Judgement:
    """The judgement of one that waits for anything but its launch."""
    # What becomes of a server whose run is over is for whoever cleans up to say.
    if has_ended(case.record) or is_over(case.decisions):
        return gone(case)
    return _JUDGES[case.parked.milestone](case)


def has_ended(record: ServerRecord | None) -> bool:
    """Whether the server's part of the run is over, so that it waits for nothing.

    `launched` is what its own last wait has come to, written before that is told.
    """
    return record is not None and record.outcome is not None and record.outcome.outcome != "launched"


def gone(case: Case) -> Judgement:
    """The end of one that waits though its part of the run is over."""
    return Judgement(refusal=Stopped(f"The part of run {case.parked.run} that {case.parked.server} had is over."))


def _of_replication(case: Case) -> Judgement:
    if stopped := _stopped(case, "its replication"):
        return stopped
    progress = case.progress
    if progress is None:
        return Judgement("waiting for replication")
    if progress.verdict in {"ready", "done"}:
        return Judgement(progress.reason, facts=progress)
    return Judgement(progress.reason, refusal=refusal(progress, case.parked))


def _of_approval(case: Case) -> Judgement:
    parked, copying = case.parked, approval_words(case.record, case.progress, now=case.now)
    if stopped := _stopped(case, "an approval"):
        return stopped
    last = newest(case.decisions, "approval", parked.scopes)
    if last is not None and last.verdict == "approve":
        approval = Approval(
            actor=last.actor, known_by=last.known_by, at=last.at, why=last.why, to_copy=left_to_copy(case.progress)
        )
        return Judgement(_and(f"approved by {last.actor}", copying), facts=approval)
    if last is not None and last.verdict == "refuse" and last.at >= parked.since:
        return Judgement(refusal=ApprovalRefused(_refused(parked, last)))
    if _policy_counts(case):
        known_by = "the request: cutover.launch.mode is automatic"
        approval = Approval(actor=POLICY, known_by=known_by, at=case.now, to_copy=left_to_copy(case.progress))
        return Judgement(_and("approved by the request's own policy", copying), facts=approval)
    if case.now >= parked.deadline:
        return Judgement(refusal=ApprovalTimedOut(_not_approved(parked)))
    return Judgement(_and(f"waits for an approval: {command('approve', parked)}", copying))


def _of_commit(case: Case) -> Judgement:
    parked = case.parked
    last = newest(case.decisions, "commit", parked.scopes, since=parked.since)
    if last is not None and last.verdict == "accept":
        commitment = Commitment(accepted=True, actor=last.actor, known_by=last.known_by, at=last.at, why=last.why)
        return Judgement(f"accepted by {last.actor}", facts=commitment)
    if last is not None and last.verdict == "give_back" and last.discard:
        return Judgement(refusal=GivenBack(_given_back(parked, last)))
    if stop := stop_of(case.decisions):
        return _not_accepted(case, f"the run was stopped {by_whom(stop)}")
    if _policy_counts(case):
        known_by = "the request: cutover.commit.by is policy, and the server is proven"
        accepted = Commitment(accepted=True, actor=POLICY, known_by=known_by, at=case.now)
        return Judgement("accepted by the request's own policy", facts=accepted)
    if case.now >= parked.deadline:
        return _not_accepted(case, f"nobody accepted it within {_hours(parked)} hours")
    policy = f"; the policy accepts it at {parked.not_before:%Y-%m-%d %H:%M} UTC" if parked.not_before else ""
    return Judgement(f"is up at home and waits to be accepted: {command('accept', parked)}{policy}")


def _of_hold(case: Case) -> Judgement:
    parked = case.parked
    stop = stop_of(case.decisions)
    if stop is not None and not _may_be_launched(case):
        return _held_until(case, GIVE_BACK, f"the run was stopped {by_whom(stop)}")
    last = newest(case.decisions, "hold", parked.scopes, since=parked.since)
    if last is not None:
        upon = parked.stage if last.verdict == "retry" else GIVE_BACK
        end = HoldEnd(next=upon, actor=last.actor, known_by=last.known_by, at=last.at, why=last.why)
        return Judgement(f"goes on with {upon}, decided by {last.actor}", facts=end)
    if _policy_counts(case):
        return _held_until(case, GIVE_BACK, "it's given back without being asked about")
    if case.now >= parked.deadline:
        return _held_until(case, GIVE_BACK, f"nobody decided within {_hours(parked)} hours")
    again, back = command("retry", parked), command("give_back", parked)
    return Judgement(f"failed in {parked.stage}, kept until {parked.deadline:%Y-%m-%d %H:%M} UTC: {again}, or {back}")


def _stopped(case: Case, what: str) -> Judgement | None:
    stop = stop_of(case.decisions)
    if stop is None:
        return None
    said = (
        f"Run {case.parked.run} was stopped {by_whom(stop)} while {case.parked.server} waited for {what}. Nothing was "
        "launched for it; start it again in a new run when it's to go home."
    )
    return Judgement(refusal=Stopped(said))


def _policy_counts(case: Case) -> bool:
    return case.parked.not_before is not None and case.now >= case.parked.not_before


def _may_be_launched(case: Case) -> bool:
    return case.record is not None and case.record.milestones.launched is not None


def _not_accepted(case: Case, why: str) -> Judgement:
    said = f"stays at home without having been accepted: {why}"
    return Judgement(said, facts=Commitment(accepted=False, at=case.now, why=why))


def _held_until(case: Case, upon: str, why: str) -> Judgement:
    return Judgement(f"given back: {why}", facts=HoldEnd(next=upon, actor=POLICY, at=case.now, why=why))


def _refused(parked: Parked, decision: Decision) -> str:
    return (
        f"The launch of {parked.server} was refused {by_whom(decision)}. Nothing was launched, and the recovery "
        "instance serves on."
    )


def _not_approved(parked: Parked) -> str:
    return (
        f"Nobody approved the launch of {parked.server} within {_hours(parked)} hours, so nothing was launched. If "
        "that's too short, raise cutover.launch.approval_hours and start again, or take it up again and approve it."
    )


def _given_back(parked: Parked, decision: Decision) -> str:
    return (
        f"It was decided {by_whom(decision)} that {parked.server} goes back to AWS: what it has written at home is "
        "discarded."
    )


def _hours(parked: Parked) -> str:
    return f"{(parked.deadline - parked.since).total_seconds() / 3600:.0f}"


def _and(said: str, more: str) -> str:
    return f"{said}; {more}" if more else said


_JUDGES: Mapping[Awaited, Callable[[Case], Judgement]] = {
    "replication": _of_replication,
    "approval": _of_approval,
    "commit": _of_commit,
    "hold": _of_hold,
}
