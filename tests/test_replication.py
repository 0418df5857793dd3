"""The judgement: every word of DRS that a failback can show, and what it comes to."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failback import initiation_advice, replication_advice
from failback.model.recovery import (
    FAILBACK_STATES,
    INITIATION_STEPS,
    InitiationStep,
    RecoveryInstance,
    ReplicatedDisk,
)
from failback.model.server import Parked, ReplicationProgress
from failback.replication import AGENT_STALE, CLIENT_STALE, judge, refusal, share, worth_telling
from failback.waiting import stalled_since
from tests.memory.clock import NOON

GIB = 1 << 30
ID = "i-0a1b2c3d4e5f60718"
BUSY = "FAILBACK_IN_PROGRESS"
READY = "FAILBACK_READY_FOR_LAUNCH"
NOT_READY = "FAILBACK_NOT_READY_FOR_LAUNCH"
UNTOLD = "FAILBACK_LAUNCH_STATE_NOT_AVAILABLE"
NO_STATE = "REPLICATION_STATE_NOT_AVAILABLE"
REPLICATION_STATES = (
    "STOPPED", "INITIATING", "INITIAL_SYNC", "BACKLOG", "CREATING_SNAPSHOT", "CONTINUOUS", "PAUSED", "RESCAN",
    "STALLED", "DISCONNECTED", NO_STATE, "NOT_STARTED",
)  # fmt: skip
ERRORS = (
    "AGENT_NOT_SEEN", "FAILBACK_CLIENT_NOT_SEEN", "NOT_CONVERGING", "UNSTABLE_NETWORK",
    "FAILED_TO_ESTABLISH_RECOVERY_INSTANCE_COMMUNICATION",
    "FAILED_TO_DOWNLOAD_REPLICATION_SOFTWARE_TO_FAILBACK_CLIENT", "FAILED_TO_CONFIGURE_REPLICATION_SOFTWARE",
    "FAILED_TO_PAIR_AGENT_WITH_REPLICATION_SOFTWARE", "FAILED_TO_ESTABLISH_AGENT_REPLICATOR_SOFTWARE_COMMUNICATION",
    "FAILED_GETTING_REPLICATION_STATE", "SNAPSHOTS_FAILURE", "FAILED_TO_CREATE_SECURITY_GROUP",
    "FAILED_TO_LAUNCH_REPLICATION_SERVER", "FAILED_TO_BOOT_REPLICATION_SERVER", "FAILED_TO_AUTHENTICATE_WITH_SERVICE",
    "FAILED_TO_DOWNLOAD_REPLICATION_SOFTWARE", "FAILED_TO_CREATE_STAGING_DISKS", "FAILED_TO_ATTACH_STAGING_DISKS",
    "FAILED_TO_PAIR_REPLICATION_SERVER_WITH_AGENT", "FAILED_TO_CONNECT_AGENT_TO_REPLICATION_SERVER",
    "FAILED_TO_START_DATA_TRANSFER",
)  # fmt: skip
"""DataReplicationErrorString."""

# What each pair of words comes to where DRS names no error and has just seen both ends.
HALTED = {"STOPPED", "PAUSED", "STALLED", "DISCONNECTED"}
VERDICTS = {
    **{pair: "waiting" for pair in product((BUSY, NOT_READY, UNTOLD), set(REPLICATION_STATES) - HALTED)},
    **{pair: "stuck" for pair in product((BUSY, NOT_READY, UNTOLD, READY), HALTED)},
    **{(READY, state): "waiting" for state in set(REPLICATION_STATES) - HALTED},
    (READY, "CONTINUOUS"): "ready",
    (READY, NO_STATE): "ready",
    **{pair: "done" for pair in product(("FAILBACK_COMPLETED",), REPLICATION_STATES)},
    **{pair: "stuck" for pair in product(("FAILBACK_NOT_STARTED", "FAILBACK_ERROR"), REPLICATION_STATES)},
}


def described(failback: str = BUSY, state: str = "INITIAL_SYNC", **more: Any) -> RecoveryInstance:  # noqa: ANN401
    disks = (
        ReplicatedDisk(device="/dev/xvda", total=8 * GIB, replicated=2 * GIB),
        ReplicatedDisk(device="/dev/xvdb", total=24 * GIB, replicated=6 * GIB, backlogged=GIB),
    )
    fields = {
        "id": ID,
        "arn": f"arn:aws:drs:eu-west-1:111122223333:recovery-instance/{ID}",
        "source_server": "s-0a1b2c3d4e5f60718",
        "ec2_state": "RUNNING",
        "failback_state": failback,
        "replication_state": state,
        "client_seen": NOON,
        "agent_seen": NOON,
        "disks": disks,
    }
    return RecoveryInstance.model_validate({**fields, **more})


PARKED = Parked(
    run="r",
    server=ID,
    milestone="replication",
    token="t",
    since=NOON - timedelta(hours=2),
    deadline=NOON + timedelta(hours=22),
    stuck_minutes=60,
    on_stuck="fail",
)


def judged(*words: str, last: ReplicationProgress | None = None, **more: Any) -> ReplicationProgress:  # noqa: ANN401
    return judge(described(*words, **more), now=NOON, before=PARKED, last=last)


def before(**changed: Any) -> ReplicationProgress:  # noqa: ANN401
    """How it was two minutes ago: a GiB less copied."""
    seen = judged().model_copy(update={"at": NOON - timedelta(minutes=2), "replicated": 7 * GIB})
    return seen.model_copy(update=changed)


def failed(step: str) -> tuple[InitiationStep, ...]:
    done = INITIATION_STEPS[: INITIATION_STEPS.index(step)] if step in INITIATION_STEPS else ()
    return (
        *(InitiationStep(name=each, status="SUCCEEDED") for each in done),
        InitiationStep(name=step, status="FAILED"),
    )


@pytest.mark.parametrize("failback", FAILBACK_STATES)
def test_each_pair_of_words(failback: str) -> None:
    for state in REPLICATION_STATES:
        seen = judged(failback, state)
        assert seen.verdict == VERDICTS[failback, state], state
        assert seen.reason
        assert bool(seen.advice) == (seen.verdict == "stuck"), state
        assert (seen.failback, seen.state, seen.at) == (failback, state, NOON)


@pytest.mark.parametrize("error", ERRORS)
def test_a_stall_is_told_by_its_error(error: str) -> None:
    seen = judged(state="STALLED", error=error, raw_error="java.net:\n  refused")
    assert seen.verdict == "stuck"
    assert f"{error} (java.net: refused)" in seen.reason
    assert seen.advice == replication_advice.STALL_ADVICE[error]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_that_DRS_shows_while_nothing_moves_is_a_stall_but_for_the_client(error: str) -> None:
    assert judged(state="INITIATING", error=error).verdict == "stuck"
    still = judged(state="BACKLOG", error=error)
    assert still.verdict == ("waiting" if error == "FAILBACK_CLIENT_NOT_SEEN" else "stuck")
    assert error in still.reason
    assert still.advice == replication_advice.STALL_ADVICE[error]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_that_DRS_still_shows_while_bytes_arrive_is_a_remark(error: str) -> None:
    seen = judged(error=error, last=before())
    assert (seen.verdict, error in seen.reason) == ("waiting", True)
    assert seen.advice == replication_advice.STALL_ADVICE[error]


def test_each_word_has_an_advice_of_its_own() -> None:
    assert set(replication_advice.STALL_ADVICE) == set(ERRORS)
    assert set(initiation_advice.STEPS) == set(INITIATION_STEPS)
    texts = [*replication_advice.STALL_ADVICE.values(), *initiation_advice.STEPS.values()]
    assert len(set(texts)) == len(texts)
    assert all(text.endswith(".") and "  " not in text for text in texts)


@pytest.mark.parametrize("step", [*INITIATION_STEPS, "A_STEP_OF_TOMORROW"])
def test_a_step_that_failed(step: str) -> None:
    for failback in (BUSY, NOT_READY, "FAILBACK_ERROR"):
        seen = judged(failback, "INITIATING", steps=failed(step))
        assert (seen.verdict, seen.advice) == ("stuck", replication_advice.step_advice(step))
        assert step in seen.reason
    assert judged(BUSY, "CONTINUOUS", steps=failed(step)).verdict == "waiting"
    assert judged(READY, "CONTINUOUS", steps=failed(step)).verdict == "ready"


def test_a_failed_failback_is_told_by_its_error_before_its_step() -> None:
    seen = judged("FAILBACK_ERROR", "STALLED", error="UNSTABLE_NETWORK", steps=failed(INITIATION_STEPS[0]))
    assert seen.advice == replication_advice.STALL_ADVICE["UNSTABLE_NETWORK"]
    bare = judged("FAILBACK_ERROR", "STALLED")
    assert bare.advice == replication_advice.FAILED_FAILBACK


@pytest.mark.parametrize(
    ("words", "verdict", "told"),
    [
        ((READY, "A_STATE_OF_TOMORROW"), "ready", "A_STATE_OF_TOMORROW"),
        ((BUSY, "A_STATE_OF_TOMORROW"), "waiting", "A_STATE_OF_TOMORROW"),
        (("FAILBACK_OF_TOMORROW", "CONTINUOUS"), "waiting", "FAILBACK_OF_TOMORROW"),
        (("FAILBACK_OF_TOMORROW", "STALLED"), "stuck", "STALLED"),
        ((BUSY, ""), "waiting", "without a state"),
    ],
)
def test_words_that_AWS_adds_later(words: tuple[str, str], verdict: str, told: str) -> None:
    seen = judged(*words)
    assert (seen.verdict, told in seen.reason) == (verdict, True)


def test_an_error_of_tomorrow_is_told_with_where_to_look() -> None:
    seen = judged(state="STALLED", error="AN_ERROR_OF_TOMORROW")
    assert (seen.verdict, seen.advice) == ("stuck", replication_advice.UNKNOWN)
    assert "AN_ERROR_OF_TOMORROW" in seen.reason


@pytest.mark.parametrize("state", ["CONTINUOUS", NO_STATE, "A_STATE_OF_TOMORROW", "BACKLOG"])
def test_ready_for_launch_with_an_error_is_not_ready(state: str) -> None:
    assert judged(READY, state, error="UNSTABLE_NETWORK").verdict == "stuck"
    moving = judged(READY, state, error="UNSTABLE_NETWORK", last=before())
    assert moving.verdict == ("waiting" if state in {"CONTINUOUS", "BACKLOG"} else "stuck")
    assert "doesn't call it ready" not in moving.reason


def test_ready_for_launch_with_a_lag_is_ready_and_tells_it() -> None:
    seen = judged(READY, "CONTINUOUS", lag=timedelta(seconds=90))
    assert (seen.verdict, seen.lag_seconds) == ("ready", 90.0)
    assert judged(READY, "CONTINUOUS").lag_seconds is None
    assert judged(READY, "BACKLOG", lag=timedelta(seconds=90)).verdict == "waiting"


LONG_AGO, LATELY = NOON - AGENT_STALE - timedelta(seconds=1), NOON - CLIENT_STALE


@pytest.mark.parametrize(
    ("words", "seen_by", "moved", "verdict"),
    [
        ((BUSY, "INITIAL_SYNC"), {"agent_seen": LONG_AGO}, False, "stuck"),
        ((BUSY, "INITIAL_SYNC"), {"agent_seen": LONG_AGO}, True, "waiting"),
        ((BUSY, "INITIAL_SYNC"), {"agent_seen": LATELY}, False, "waiting"),
        ((BUSY, "INITIAL_SYNC"), {"agent_seen": None}, False, "waiting"),
        ((NOT_READY, "CONTINUOUS"), {"agent_seen": LONG_AGO}, False, "stuck"),
        ((READY, "CONTINUOUS"), {"agent_seen": LONG_AGO}, False, "ready"),
        ((BUSY, "INITIAL_SYNC"), {"client_seen": LONG_AGO}, False, "waiting"),
        ((BUSY, "INITIATING"), {"client_seen": LONG_AGO}, False, "stuck"),
        ((BUSY, NO_STATE), {"client_seen": LONG_AGO}, False, "stuck"),
        ((BUSY, "INITIATING"), {"client_seen": LATELY}, False, "waiting"),
        ((BUSY, "INITIATING"), {"client_seen": None}, False, "waiting"),
        ((READY, "CONTINUOUS"), {"client_seen": LONG_AGO}, False, "ready"),
    ],
)
def test_who_was_not_seen_for_long(words: tuple[str, str], seen_by: dict[str, Any], moved: bool, verdict: str) -> None:
    seen = judged(*words, last=before() if moved else None, **seen_by)
    assert seen.verdict == verdict
    if LONG_AGO in seen_by.values() and verdict != "ready":
        assert f"{LONG_AGO:%H:%M} UTC" in seen.reason
        assert seen.advice


@pytest.mark.parametrize("state", ["TERMINATED", "SHUTTING-DOWN", "NOT_FOUND", "terminated", "STOPPED", "STOPPING"])
def test_an_instance_that_does_not_run(state: str) -> None:
    seen = judged(READY, "CONTINUOUS", ec2_state=state)
    assert (seen.verdict, state.upper() in seen.reason) == ("stuck", True)
    assert seen.advice
    assert judged("FAILBACK_COMPLETED", "STOPPED", ec2_state=state).verdict == "done"


@pytest.mark.parametrize("state", ["RUNNING", "PENDING"])
def test_an_instance_that_runs_or_is_about_to(state: str) -> None:
    assert judged(ec2_state=state).verdict == "waiting"


def test_an_instance_that_is_gone_keeps_its_last_figures() -> None:
    gone = judge(None, now=NOON, before=PARKED, last=before())
    assert (gone.verdict, gone.at, gone.replicated, gone.state) == ("stuck", NOON, 7 * GIB, "INITIAL_SYNC")
    assert ID in gone.reason
    never = judge(None, now=NOON, before=PARKED)
    assert (never.verdict, never.total) == ("stuck", 0)


def test_figures_are_those_of_all_disks() -> None:
    seen = judged(to_original=True)
    assert (seen.total, seen.replicated, seen.backlogged) == (32 * GIB, 8 * GIB, GIB)
    assert share(seen) == 0.25
    assert seen.to_original


def test_a_rescan_is_measured_by_what_was_compared() -> None:
    disks = (ReplicatedDisk(device="/dev/xvda", total=8 * GIB, replicated=8 * GIB, rescanned=2 * GIB),)
    assert share(judged(state="RESCAN", disks=disks)) == 0.25
    assert share(judged(state="INITIATING", disks=())) is None


def test_when_it_is_through_is_DRS_word_or_else_our_own_estimate() -> None:
    theirs = NOON + timedelta(hours=3)
    assert judged(eta=theirs, last=before()).eta == theirs
    assert judged(last=before()).eta == NOON + timedelta(minutes=2 * 24)
    assert judged().eta is None
    assert judged(state="BACKLOG", last=before(state="BACKLOG")).eta is None
    assert judged(last=before(replicated=8 * GIB)).eta is None
    assert judged(last=before(replicated=8 * GIB - 1)).eta is None, "a thousand years aren't an estimate"


def test_what_is_worth_telling() -> None:
    seen = judged()
    assert worth_telling(seen, None)
    soon = seen.model_copy(update={"at": NOON + timedelta(seconds=10), "backlogged": 5})
    assert not worth_telling(soon, seen)
    assert worth_telling(soon.model_copy(update={"at": NOON + timedelta(minutes=1)}), seen)
    for change in ({"replicated": 9 * GIB}, {"verdict": "stuck"}, {"state": "RESCAN"}, {"reason": "other"}):
        assert worth_telling(soon.model_copy(update=change), seen)


def test_a_stall_ends_the_wait_once_it_lasts() -> None:
    seen = judged(state="STALLED", error="UNSTABLE_NETWORK")
    first = PARKED.model_copy(update={"stuck_since": stalled_since(PARKED, seen)})
    assert first.stuck_since == NOON
    assert refusal(seen, first) is None
    later = seen.model_copy(update={"at": NOON + timedelta(minutes=60)})
    assert stalled_since(first, later) == NOON
    refused = refusal(later, first)
    assert type(refused).__name__ == "ReplicationStuck"
    assert "stuck for 60 minutes" in str(refused)
    assert "UNSTABLE_NETWORK" in str(refused)
    assert seen.advice in str(refused)
    assert refusal(later, first.model_copy(update={"on_stuck": "wait"})) is None
    assert stalled_since(first, judged()) is None


@pytest.mark.parametrize("on_stuck", ["fail", "wait"])
def test_the_deadline_counts_whatever_happens(on_stuck: str) -> None:
    parked = PARKED.model_copy(update={"on_stuck": on_stuck})
    for seen in (judged(), judged(state="STALLED")):
        assert refusal(seen.model_copy(update={"at": parked.deadline - timedelta(seconds=1)}), parked) is None
        refused = refusal(seen.model_copy(update={"at": parked.deadline}), parked)
        assert type(refused).__name__ == "ReplicationTooSlow"
        assert "24 hours" in str(refused)
        assert "25%" in str(refused)
        assert "replication.deadline_hours" in str(refused)


def test_what_is_ready_at_the_deadline_is_ready() -> None:
    for words in ((READY, "CONTINUOUS"), ("FAILBACK_COMPLETED", "STOPPED")):
        assert refusal(judged(*words).model_copy(update={"at": PARKED.deadline}), PARKED) is None


words = st.sampled_from(("", "NOVEL_WORD"))
amounts = st.integers(min_value=0, max_value=1 << 50)
disk_lists = st.lists(
    st.builds(
        ReplicatedDisk, device=st.just("d"), total=amounts, replicated=amounts, rescanned=amounts, backlogged=amounts
    ),
    max_size=3,
).map(tuple)


@given(
    failback=st.sampled_from(FAILBACK_STATES) | words,
    state=st.sampled_from(REPLICATION_STATES) | words,
    error=st.sampled_from(ERRORS) | words,
    step=st.sampled_from(INITIATION_STEPS),
    disks=disk_lists,
    earlier=disk_lists,
    seconds=st.floats(min_value=0, max_value=1e6),
)
def test_whatever_is_said_there_is_one_verdict_and_it_is_safe(
    failback: str,
    state: str,
    error: str,
    step: str,
    disks: tuple[ReplicatedDisk, ...],
    earlier: tuple[ReplicatedDisk, ...],
    seconds: float,
) -> None:
    last = judged(failback, state, disks=earlier).model_copy(update={"at": NOON - timedelta(seconds=seconds)})
    seen = judged(failback, state, error=error, steps=failed(step), disks=disks, last=last)
    assert seen.reason
    assert seen.verdict != "ready" or (failback == READY and not error and state not in HALTED)
    assert seen.verdict != "stuck" or seen.advice
    assert share(seen) is None or 0 <= (share(seen) or 0) <= 1
    assert seen.eta is None or seen.eta >= NOON
    assert len(seen.reason) < 1000
    assert ReplicationProgress.model_validate_json(seen.model_dump_json()) == seen
