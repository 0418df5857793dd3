"""Where a server's replication stands, judged from what DRS says of it, and nothing else: pure.

`ready` is DRS's own word, FAILBACK_READY_FOR_LAUNCH, unless its other words contradict it; a replication state that
DRS doesn't tell, or that this program doesn't know, contradicts nothing. A word that AWS adds later is waited with, and
told. What moves isn't stuck: an error that DRS still shows, or a client that it hasn't seen, while bytes go on arriving
is a remark. How often DRS notes that it has seen agent and client is unconfirmed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from failback import replication_advice as advice
from failback.errors import ReplicationStuck, ReplicationTooSlow
from failback.model.server import ReplicationProgress

if TYPE_CHECKING:
    from datetime import datetime

    from failback.model.recovery import RecoveryInstance
    from failback.model.server import Parked

CLIENT_STALE = timedelta(minutes=15)
"""A client machine that restarts is back within five minutes, on a slow day ten; what comes back isn't worth a word."""
AGENT_STALE = timedelta(minutes=20)
"""A recovery instance that restarts to be patched is away for longer: the agent comes up after everything else."""
TOLD_EVERY = timedelta(minutes=1)
"""How old a progress may get that nobody would tell from the one before: as often as the watcher comes."""
FARTHEST = timedelta(days=365)
"""An estimate beyond it is none."""

FLOWING = frozenset({"INITIAL_SYNC", "BACKLOG", "CREATING_SNAPSHOT", "CONTINUOUS", "RESCAN"})
"""What replication is in once initiation is behind it."""
_BEHIND = {
    "NOT_STARTED": "replication hasn't begun yet",
    "INITIATING": "replication is about to begin",
    "INITIAL_SYNC": "everything is being copied",
    "RESCAN": "disks are being compared",
    "BACKLOG": "what was written meanwhile is being copied",
    "CREATING_SNAPSHOT": "a snapshot is being made",
}
"""States that come before a server is ready, in words."""
_HALTED = frozenset(advice.STATE_ADVICE)
_GOING_ON = frozenset(
    {
        "FAILBACK_IN_PROGRESS",
        "FAILBACK_READY_FOR_LAUNCH",
        "FAILBACK_NOT_READY_FOR_LAUNCH",
        "FAILBACK_LAUNCH_STATE_NOT_AVAILABLE",
    }
)
_INSTANCE_GONE = frozenset({"TERMINATED", "SHUTTING-DOWN", "NOT_FOUND"})
_INSTANCE_OFF = frozenset({"STOPPED", "STOPPING"})
# DRS's raw errors may hold whole logs, and a progress is kept in the run log each minute.
_LONGEST_RAW = 500


class _Finding(NamedTuple):
    verdict: Literal["waiting", "ready", "stuck", "done"]
    reason: str = ""
    advice: str = ""


def judge(
    instance: RecoveryInstance | None, *, now: datetime, before: Parked, last: ReplicationProgress | None = None
) -> ReplicationProgress:
    """How far the server is: `instance` as DRS describes it (None: it doesn't), `last` as it was found to be before."""
    if instance is None:
        said = f"DRS doesn't know recovery instance {before.server} (any more)"
        seen = last or ReplicationProgress(at=now, verdict="stuck", state="", failback="")
        found = {"at": now, "verdict": "stuck", "reason": said, "advice": advice.GONE, "lag_seconds": None, "eta": None}
        return seen.model_copy(update=found)
    seen = _measured(instance, now, last)
    verdict, reason, what_to_do = _finding(instance, now, moved=_moved(seen, last))
    return seen.model_copy(update={"verdict": verdict, "reason": reason, "advice": what_to_do})


def share(progress: ReplicationProgress) -> float | None:
    """What's done of it, from 0 to 1: compared in a rescan, else copied; None where DRS gives no total."""
    if progress.total <= 0:
        return None
    return min(max(_done(progress) / progress.total, 0.0), 1.0)


def worth_telling(progress: ReplicationProgress, last: ReplicationProgress | None) -> bool:
    """Whether it's to be written: somebody could tell it from the last one that was, or that one is a minute old."""
    return last is None or _visible(progress) != _visible(last) or progress.at - last.at >= TOLD_EVERY


def refusal(progress: ReplicationProgress, parked: Parked) -> ReplicationStuck | ReplicationTooSlow | None:
    """Why the wait is over without success; None while it goes on, and where there's nothing to wait for any more."""
    if progress.verdict in {"ready", "done"}:
        return None
    said = f"{progress.reason}. {progress.advice}".strip()
    since = parked.stuck_since or progress.at
    stalled = progress.verdict == "stuck" and progress.at - since >= timedelta(minutes=parked.stuck_minutes)
    if stalled and parked.on_stuck == "fail":
        minutes = (progress.at - since).total_seconds() // 60
        return ReplicationStuck(f"The replication of {parked.server} has been stuck for {minutes:.0f} minutes: {said}")
    if progress.at < parked.deadline:
        return None
    return ReplicationTooSlow(_too_slow(progress, parked, said))


def _too_slow(progress: ReplicationProgress, parked: Parked, said: str) -> str:
    hours = (parked.deadline - parked.since).total_seconds() / 3600
    done = share(progress)
    far = "" if done is None else f", {done:.0%} of its bytes are through"
    return (
        f"The replication of {parked.server} isn't ready by its deadline, {hours:.0f} hours after its client was paired"
        f"{far}: {said} If it's only slow, raise replication.deadline_hours or replication.bandwidth_mbps and start "
        "again."
    )


def _finding(instance: RecoveryInstance, now: datetime, *, moved: bool) -> _Finding:
    """What DRS's words come to; the first that applies counts, those that end everything stand first."""
    return (
        _of_the_end(instance)
        or _of_the_instance(instance)
        or _of_the_failback(instance)
        or _of_a_halt(instance)
        or _of_an_error(instance, moved=moved)
        or _of_launch(instance)
        or _of_silence(instance, now, moved=moved)
        or _Finding("waiting", _state_in_words(instance))
    )


def _of_the_end(instance: RecoveryInstance) -> _Finding | None:
    if instance.failback_state != "FAILBACK_COMPLETED":
        return None
    return _Finding("done", "the failback is completed: it was launched without waiting for this run")


def _of_the_instance(instance: RecoveryInstance) -> _Finding | None:
    state = instance.ec2_state.upper()
    said = f"recovery instance {instance.id} is {state} in EC2"
    if state in _INSTANCE_GONE:
        return _Finding("stuck", said, advice.GONE)
    return _Finding("stuck", said, advice.STOPPED_INSTANCE) if state in _INSTANCE_OFF else None


def _of_the_failback(instance: RecoveryInstance) -> _Finding | None:
    if instance.failback_state == "FAILBACK_NOT_STARTED":
        return _Finding("stuck", "the failback is back to FAILBACK_NOT_STARTED", advice.STOPPED_FAILBACK)
    step = _failed_step(instance)
    if instance.failback_state == "FAILBACK_ERROR":
        said = "DRS says FAILBACK_ERROR"
        if instance.error:
            return _Finding("stuck", f"{said}: {_error(instance)}", advice.stall_advice(instance.error))
        if step:
            return _Finding("stuck", f"{said}: its step {step} failed", advice.step_advice(step))
        return _Finding("stuck", said, advice.FAILED_FAILBACK)
    if step and instance.replication_state not in FLOWING and instance.failback_state != "FAILBACK_READY_FOR_LAUNCH":
        return _Finding("stuck", f"the failback's step {step} failed", advice.step_advice(step))
    return None


def _of_a_halt(instance: RecoveryInstance) -> _Finding | None:
    """Replication that has come to a stop, whatever else DRS says: what's written now isn't sent."""
    state = instance.replication_state
    if state not in _HALTED:
        return None
    if instance.error:
        return _Finding("stuck", f"replication is {state}: {_error(instance)}", advice.stall_advice(instance.error))
    return _Finding("stuck", f"replication is {state}", advice.STATE_ADVICE[state])


def _of_an_error(instance: RecoveryInstance, *, moved: bool) -> _Finding | None:
    if not instance.error:
        return None
    flowing = instance.replication_state in FLOWING
    if flowing and (moved or instance.error == advice.CLIENT_NOT_SEEN):
        told = f"{_state_in_words(instance)}, though DRS says {_error(instance)}"
        return _Finding("waiting", told, advice.stall_advice(instance.error))
    return _Finding("stuck", f"DRS says {_error(instance)}", advice.stall_advice(instance.error))


def _of_launch(instance: RecoveryInstance) -> _Finding | None:
    if instance.failback_state != "FAILBACK_READY_FOR_LAUNCH":
        return None
    state = instance.replication_state
    if state in _BEHIND:
        return _Finding("waiting", f"DRS calls it ready for launch, but {_BEHIND[state]} ({state})")
    if state == "CONTINUOUS":
        return _Finding("ready", "ready for launch, and what's written is sent at once")
    return _Finding("ready", f"DRS calls it ready for launch and names no error (its replication state is {state})")


def _of_silence(instance: RecoveryInstance, now: datetime, *, moved: bool) -> _Finding | None:
    flowing, told = instance.replication_state in FLOWING, _state_in_words(instance)
    if instance.agent_seen and now - instance.agent_seen > AGENT_STALE:
        said = f"DRS hasn't seen the recovery instance's agent since {instance.agent_seen:%Y-%m-%d %H:%M} UTC"
        todo = advice.stall_advice(advice.AGENT_NOT_SEEN)
        return _Finding("waiting", f"{told}, though {said}", todo) if moved else _Finding("stuck", said, todo)
    if instance.client_seen and now - instance.client_seen > CLIENT_STALE:
        said = f"DRS hasn't seen the client machine since {instance.client_seen:%Y-%m-%d %H:%M} UTC"
        todo = advice.stall_advice(advice.CLIENT_NOT_SEEN)
        return _Finding("waiting", f"{told}, though {said}", todo) if flowing else _Finding("stuck", said, todo)
    return None


def _state_in_words(instance: RecoveryInstance) -> str:
    state, failback = instance.replication_state, instance.failback_state
    said = _BEHIND.get(state, "")
    if state == "CONTINUOUS":
        ready = failback == "FAILBACK_READY_FOR_LAUNCH"
        said = "what's written is sent at once" + ("" if ready else ", but DRS doesn't call it ready for launch yet")
    elif state == "REPLICATION_STATE_NOT_AVAILABLE":
        said = "DRS doesn't say how replication stands"
    elif not said:
        said = f"replication is {state or 'without a state'}, a word that this program doesn't know"
    return said if failback in _GOING_ON else f"{said} (the failback is {failback}, a word that it doesn't know)"


def _failed_step(instance: RecoveryInstance) -> str:
    return next((step.name for step in instance.steps if step.status == "FAILED"), "")


def _error(instance: RecoveryInstance) -> str:
    raw = " ".join(instance.raw_error.split())[:_LONGEST_RAW]
    return f"{instance.error} ({raw})" if raw else instance.error


def _measured(instance: RecoveryInstance, now: datetime, last: ReplicationProgress | None) -> ReplicationProgress:
    """DRS's figures, not judged yet."""
    disks = instance.disks
    seen = ReplicationProgress(
        at=now,
        verdict="waiting",
        state=instance.replication_state,
        failback=instance.failback_state,
        total=sum(disk.total for disk in disks),
        replicated=sum(disk.replicated for disk in disks),
        rescanned=sum(disk.rescanned for disk in disks),
        backlogged=sum(disk.backlogged for disk in disks),
        lag_seconds=None if instance.lag is None else instance.lag.total_seconds(),
        to_original=instance.to_original,
    )
    return seen.model_copy(update={"eta": instance.eta or _estimate(seen, last)})


def _estimate(seen: ReplicationProgress, last: ReplicationProgress | None) -> datetime | None:
    """When it's through at the pace since it was looked at before; only where one figure runs towards the total."""
    if last is None or last.state != seen.state or seen.state not in {"INITIAL_SYNC", "RESCAN"}:
        return None
    gained, seconds = _done(seen) - _done(last), (seen.at - last.at).total_seconds()
    left = seen.total - _done(seen)
    if gained <= 0 or seconds <= 0 or left < 0 or left / gained * seconds > FARTHEST.total_seconds():
        return None
    return seen.at + timedelta(seconds=left / gained * seconds)


def _done(progress: ReplicationProgress) -> int:
    return progress.rescanned if progress.state == "RESCAN" else progress.replicated


def _moved(seen: ReplicationProgress, last: ReplicationProgress | None) -> bool:
    return last is not None and (seen.replicated > last.replicated or seen.rescanned > last.rescanned)


def _visible(progress: ReplicationProgress) -> tuple[object, ...]:
    """What a person sees change: words, and whole per cent."""
    done = share(progress)
    percent = None if done is None else int(done * 100)
    words = (progress.verdict, progress.state, progress.failback, progress.reason, progress.advice)
    return (*words, progress.to_original, percent)
