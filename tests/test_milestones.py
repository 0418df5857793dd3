"""Each milestone's judgement, as tables of what's known and what it comes to."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest

from failback.decisions import newest
from failback.errors import ApprovalRefused, ApprovalTimedOut, GivenBack, ReplicationStuck, ReplicationTooSlow, Stopped
from failback.milestones import POLICY, Case, Judgement, judge
from failback.model.decision import VERDICTS, Decision, wave_scope
from failback.model.request import ServerRequest
from failback.model.server import Awaited, Milestones, Parked, ReplicationProgress, ServerOutcome, ServerRecord
from failback.model.way_home import Approval, Commitment, HoldEnd
from failback.waiting_words import approval_words, full_sync_words, left_to_copy
from tests.memory.clock import NOON

RUN, SERVER, WAVE = "run-1", "i-0a1b2c3d4e5f60718", wave_scope("first")
BEFORE, MEANWHILE, NOW = NOON - timedelta(minutes=1), NOON + timedelta(minutes=1), NOON + timedelta(minutes=2)
LATE, LONG_AGO = NOON + timedelta(hours=1), timedelta(days=1)
RECORD = ServerRecord(id=SERVER, request=ServerRequest(recovery_instance=SERVER))
LAUNCHED = RECORD.model_copy(update={"milestones": Milestones(fenced=BEFORE, launched=BEFORE)})
READY = ReplicationProgress(
    at=NOW, verdict="ready", state="CONTINUOUS", failback="FAILBACK_READY_FOR_LAUNCH", total=8, replicated=8
)


def decided(said: str, *, at: datetime = MEANWHILE, scope: str = SERVER, **more: object) -> Decision:
    """A decision in two words: subject and verdict."""
    subject, verdict = said.split()
    own = {"subject": subject, "verdict": verdict, "scope": scope, "at": at, "actor": "kim", "known_by": "a test"}
    return Decision.model_validate({**own, **more})


STOP = decided("stop stop", scope="run")


def case(milestone: Awaited, *decisions: Decision, now: datetime = NOW, **more: Any) -> Case:  # noqa: ANN401
    """One parked at noon for an hour; `more` are a case's own members, or else the parked one's."""
    known = {name: more.pop(name) for name in ("record", "progress") if name in more}
    own: dict[str, Any] = {"run": RUN, "server": SERVER, "milestone": milestone, "token": "t", "since": NOON}
    scopes = (SERVER, WAVE, "run")
    parked = Parked.model_validate({**own, "deadline": LATE, "scopes": scopes, "stage": "await_launch", **more})
    return Case(parked, now, known.get("record", RECORD), decisions, known.get("progress"))


def short(judgement: Judgement) -> str:
    """An error's name, or what the facts say, or `waits`."""
    match judgement.facts:
        case Approval(actor=actor):
            return f"approved by {actor}"
        case Commitment(accepted=accepted, actor=actor):
            return f"accepted by {actor}" if accepted else "not accepted"
        case HoldEnd(next=upon, actor=actor):
            return f"{upon} by {actor}"
        case ReplicationProgress():
            return "replicated"
    return type(judgement.refusal).__name__ if judgement.refusal else "waits"


def progress(**update: object) -> ReplicationProgress:
    return READY.model_copy(update=update)


STUCK = progress(verdict="stuck", state="STALLED", reason="stalled")
COPYING_LATE = progress(verdict="waiting", at=LATE)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(case("replication"), "waits", id="nothing-known"),
        pytest.param(case("replication", progress=progress(verdict="waiting")), "waits", id="going-on"),
        pytest.param(case("replication", progress=READY), "replicated", id="ready"),
        pytest.param(case("replication", progress=progress(verdict="done")), "replicated", id="launched-by-somebody"),
        pytest.param(case("replication", progress=STUCK), "waits", id="just-stuck"),
        pytest.param(
            case("replication", progress=STUCK, stuck_since=NOON - timedelta(hours=1)), "ReplicationStuck", id="stuck"
        ),
        pytest.param(
            case("replication", now=LATE, progress=COPYING_LATE),
            "ReplicationTooSlow",
            id="late",
        ),
        pytest.param(case("replication", STOP, progress=READY), "Stopped", id="stopped"),
        pytest.param(case("replication", decided("approval refuse"), progress=READY), "replicated", id="not-its-own"),
    ],
)
def test_replication(one: Case, expected: str) -> None:
    assert short(judge(one)) == expected


APPROVE, REFUSE = decided("approval approve"), decided("approval refuse")


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(case("approval"), "waits", id="nobody-said-anything"),
        pytest.param(case("approval", APPROVE), "approved by kim", id="approved"),
        pytest.param(case("approval", decided("approval approve", at=BEFORE)), "approved by kim", id="beforehand"),
        pytest.param(case("approval", REFUSE), "ApprovalRefused", id="refused"),
        pytest.param(case("approval", decided("approval refuse", at=BEFORE)), "waits", id="refused-an-earlier-time"),
        pytest.param(
            case(
                "approval", decided("approval approve", at=BEFORE - timedelta(1)), decided("approval refuse", at=BEFORE)
            ),
            "waits",
            id="approved-then-refused-an-earlier-time",
        ),
        pytest.param(case("approval", REFUSE, APPROVE), "approved by kim", id="thought-better"),
        pytest.param(case("approval", APPROVE, REFUSE), "ApprovalRefused", id="thought-worse"),
        pytest.param(case("approval", decided("approval approve", scope=WAVE)), "approved by kim", id="its-wave"),
        pytest.param(
            case("approval", decided("approval approve", scope=WAVE), scopes=(SERVER,)), "waits", id="too-wide"
        ),
        pytest.param(case("approval", decided("approval approve", scope="i-00000000")), "waits", id="another-server"),
        pytest.param(case("approval", not_before=NOON), "approved by policy", id="automatic"),
        pytest.param(case("approval", now=LATE), "ApprovalTimedOut", id="too-late"),
        pytest.param(case("approval", APPROVE, now=LATE), "approved by kim", id="at-the-last-moment"),
        pytest.param(case("approval", APPROVE, STOP), "Stopped", id="stopped"),
        pytest.param(case("approval", STOP, not_before=NOON), "Stopped", id="automatic-but-stopped"),
    ],
)
def test_approval(one: Case, expected: str) -> None:
    assert short(judge(one)) == expected


ACCEPT, BACK = decided("commit accept"), decided("commit give_back", discard=True)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(case("commit"), "waits", id="nobody-said-anything"),
        pytest.param(case("commit", ACCEPT), "accepted by kim", id="accepted"),
        pytest.param(case("commit", decided("commit accept", at=BEFORE)), "waits", id="before-it-came-up"),
        pytest.param(case("commit", decided("commit accept", scope="run")), "accepted by kim", id="all-of-the-run"),
        pytest.param(case("commit", BACK), "GivenBack", id="given-back"),
        pytest.param(case("commit", decided("commit give_back")), "waits", id="given-back-without-saying-what-is-lost"),
        pytest.param(case("commit", BACK, ACCEPT), "accepted by kim", id="thought-better"),
        pytest.param(case("commit", not_before=NOW), "accepted by policy", id="by-the-policy"),
        pytest.param(case("commit", not_before=NOW + timedelta(seconds=1)), "waits", id="not-yet-by-the-policy"),
        pytest.param(case("commit", BACK, not_before=NOON), "GivenBack", id="a-person-before-the-policy"),
        pytest.param(case("commit", STOP), "not accepted", id="stopped"),
        pytest.param(case("commit", STOP, not_before=NOON), "not accepted", id="stopped-before-the-policy"),
        pytest.param(case("commit", ACCEPT, STOP), "accepted by kim", id="accepted-then-stopped"),
        pytest.param(case("commit", now=LATE), "not accepted", id="too-late"),
    ],
)
def test_commit(one: Case, expected: str) -> None:
    assert short(judge(one)) == expected


RETRY, RETURN = decided("hold retry"), decided("hold give_back")


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(case("hold"), "waits", id="nobody-said-anything"),
        pytest.param(case("hold", RETRY), "await_launch by kim", id="tried-again"),
        pytest.param(case("hold", RETURN), "give_back by kim", id="given-back"),
        pytest.param(case("hold", decided("hold retry", at=BEFORE)), "waits", id="about-an-earlier-failure"),
        pytest.param(case("hold", RETRY, RETURN), "give_back by kim", id="thought-worse"),
        pytest.param(case("hold", not_before=NOON), "give_back by policy", id="by-the-policy"),
        pytest.param(case("hold", now=LATE), "give_back by policy", id="too-late"),
        pytest.param(case("hold", STOP), "give_back by policy", id="stopped"),
        pytest.param(case("hold", RETRY, STOP), "give_back by policy", id="stopped-after-all"),
        pytest.param(case("hold", STOP, record=LAUNCHED), "waits", id="stopped-but-launched"),
        pytest.param(case("hold", STOP, RETRY, record=LAUNCHED), "await_launch by kim", id="launched-and-tried-again"),
        pytest.param(case("hold", now=LATE, record=LAUNCHED), "give_back by policy", id="launched-and-too-late"),
        pytest.param(case("hold", STOP, record=None), "give_back by policy", id="stopped-and-unknown"),
    ],
)
def test_hold(one: Case, expected: str) -> None:
    assert short(judge(one)) == expected


EVERYTHING = [
    decided(f"{subject} {verdict}", scope="run") for subject, verdicts in VERDICTS.items() for verdict in verdicts
]


@pytest.mark.parametrize("milestone", ["replication", "approval", "commit", "hold"])
def test_nobody_waits_for_ever_and_no_foreign_decision_counts(milestone: Awaited) -> None:
    """Whatever two decisions there are: after its deadline a wait is over, and it never ends well by a foreign one."""
    for some in itertools.product(EVERYTHING, repeat=2):
        late = judge(case(milestone, *some, now=LATE, progress=COPYING_LATE))
        assert late.is_over
        assert (late.facts is None) != (late.refusal is None)
        foreign = [each for each in some if each.subject not in {milestone, "stop"}]
        early = judge(case(milestone, *foreign, progress=progress(verdict="waiting", reason="being copied")))
        assert short(early) == "waits"
        assert early.note


def test_one_whose_part_of_the_run_is_over_is_let_out() -> None:
    for outcome in ("failed", "home", "skipped", "rehearsed"):
        over = RECORD.model_copy(update={"outcome": ServerOutcome.model_validate({"outcome": outcome, "at": NOON})})
        for milestone in ("replication", "approval", "commit", "hold", "launch"):
            known: Any = milestone
            assert short(judge(case(known, APPROVE, ACCEPT, RETRY, record=over))) == "Stopped"
    kept = RECORD.model_copy(update={"outcome": ServerOutcome(outcome="launched", at=NOON)})
    assert short(judge(case("commit", record=kept, now=LATE))) == "not accepted"


def test_a_refusal_says_who_why_and_what_to_do() -> None:
    said = {
        ApprovalRefused: judge(case("approval", decided("approval refuse", why="not today"))),
        Stopped: judge(case("approval", decided("stop stop", scope="run", why="wrong target"))),
        GivenBack: judge(case("commit", decided("commit give_back", discard=True, why="orders are missing"))),
    }
    for kind, judgement in said.items():
        assert isinstance(judgement.refusal, kind)
        assert "by kim (" in str(judgement.refusal)
        assert SERVER in str(judgement.refusal)
    late = judge(case("approval", now=LATE)).refusal
    assert isinstance(late, ApprovalTimedOut)
    assert "within 1 hours" in str(late)
    assert "approval_hours" in str(late)


def test_facts_keep_who_when_and_why() -> None:
    last = decided("approval approve", why="in the window")
    backlog = progress(backlogged=5, replicated=6)
    assert judge(case("approval", last, progress=backlog)).facts == Approval(
        actor="kim", known_by="a test", at=MEANWHILE, why="in the window", to_copy=7
    )
    policy = judge(case("commit", not_before=NOON)).facts
    assert policy == Commitment(
        accepted=True,
        actor=POLICY,
        known_by="the request: cutover.commit.by is policy, and the server is proven",
        at=NOW,
    )
    left = judge(case("commit", now=LATE)).facts
    assert left == Commitment(accepted=False, at=LATE, why="nobody accepted it within 1 hours")
    end = judge(case("hold", decided("hold retry", why="the disk is larger now"))).facts
    assert end == HoldEnd(
        next="await_launch", actor="kim", known_by="a test", at=MEANWHILE, why="the disk is larger now"
    )


def test_the_errors_are_those_of_replication() -> None:
    stuck = judge(case("replication", progress=STUCK, stuck_since=NOON - timedelta(hours=1)))
    slow = judge(case("replication", now=LATE, progress=COPYING_LATE))
    assert isinstance(stuck.refusal, ReplicationStuck)
    assert isinstance(slow.refusal, ReplicationTooSlow)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        pytest.param(case("approval"), f"failback approve {RUN} {SERVER}", id="approval"),
        pytest.param(case("commit"), f"failback accept {RUN} {SERVER}", id="commit"),
        pytest.param(case("commit", not_before=LATE), "the policy accepts it at 2026-11-22 13:00 UTC", id="policy"),
        pytest.param(case("hold"), f"failback retry {RUN} {SERVER}, or failback give-back {RUN} {SERVER}", id="hold"),
        pytest.param(case("hold"), "failed in await_launch, kept until 2026-11-22 13:00 UTC", id="held-until"),
        pytest.param(case("approval", progress=READY), "nothing left to copy", id="level"),
        pytest.param(
            case("approval", progress=progress(total=3 * 2**30, replicated=2**30, backlogged=2**19, lag_seconds=7.4)),
            "2.0 GiB left to copy; 7 s behind",
            id="behind",
        ),
        pytest.param(case("approval", progress=progress(backlogged=2**20)), "1.0 MiB left to copy", id="a-little"),
    ],
)
def test_what_is_waited_for_stands_in_words(one: Case, said: str) -> None:
    assert said in judge(one).note


def with_way(way: str) -> ServerRecord:
    plan = {"id": SERVER, "source_server": "s-1", "hostname": "web", "os": "linux", "firmware": "bios"}
    plan |= {"client_firmware": "bios", "machine": "web", "size": "x", "group": "sg-1", "way": way}
    more = {"disks": (), "private_ip": True, "bandwidth_mbps": 0, "to_copy": 1}
    return ServerRecord.model_validate({**RECORD.model_dump(), "plan": {**plan, **more}})


def test_a_full_sync_where_less_was_promised_is_told_in_bytes_and_hours() -> None:
    copying = progress(verdict="waiting", total=100 * 2**30, replicated=2**30, eta=NOW + timedelta(hours=5, minutes=30))
    words = full_sync_words(with_way("original"), copying, now=NOW)
    assert "all 100.0 GiB are sent" in words
    assert "for about 5.5 hours more" in words
    assert words in approval_words(with_way("original"), copying, now=NOW)
    assert words in judge(case("approval", record=with_way("original"), progress=copying)).note
    assert "hours" not in full_sync_words(with_way("original"), progress(total=2**30), now=NOW)
    promised = copying.model_copy(update={"to_original": True})
    assert full_sync_words(with_way("original"), promised, now=NOW) == ""
    assert full_sync_words(with_way("new"), copying, now=NOW) == ""
    assert full_sync_words(None, copying, now=NOW) == ""
    assert (left_to_copy(None), left_to_copy(copying), approval_words(None, None, now=NOW)) == (0, 99 * 2**30, "")


def test_the_newest_fitting_decision_counts() -> None:
    first, second = decided("hold retry", at=BEFORE), decided("hold give_back", at=MEANWHILE, scope="run")
    third = decided("commit accept", at=NOW)
    known = [first, second, third]
    assert newest(known, "hold", (SERVER, "run")) == second
    assert newest(known, "hold", (SERVER,)) == first
    assert newest(known, "hold", (SERVER,), since=NOON) is None
    assert newest(known, "approval", (SERVER, "run")) is None
