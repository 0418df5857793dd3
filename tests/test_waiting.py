"""Waiting: taken in with a token, answered once, whatever is interrupted in between, whatever it waits for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from failback.errors import FailbackError, ReplicationStuck
from failback.milestones import Case, Judgement
from failback.model.cutover import CommitChoice, CutoverChoice, LaunchChoice
from failback.model.decision import Decision
from failback.model.ending import Failure
from failback.model.request import ServerRequest
from failback.model.run import RunState
from failback.model.server import (
    Awaited,
    Parked,
    ReplicationProgress,
    ServerOutcome,
    ServerPlan,
    ServerRecord,
)
from failback.model.stage import StageResult
from failback.model.way_home import Approval, Commitment, HoldEnd, Launched, Verified
from failback.parking import STAGES, TAKEN_UP, parked_of
from failback.waiting import ParkEvent, answer, take_in, tell_progress
from tests.lambdas.surroundings import Surroundings
from tests.memory.clock import NOON
from tests.states import event_of

if TYPE_CHECKING:
    from failback.model.facts import Facts
    from failback.model.record import StageEntry

STATE = RunState.model_validate(event_of("await_replication")["state"])
RUN, SERVER = STATE.run.id, STATE.one
MILESTONES: tuple[Awaited, ...] = ("replication", "approval", "launch", "commit", "hold")
READY = ReplicationProgress(
    at=NOON, verdict="ready", state="CONTINUOUS", failback="FAILBACK_READY_FOR_LAUNCH", total=8, replicated=8
)
STUCK = READY.model_copy(update={"verdict": "stuck", "state": "STALLED", "reason": "stalled"})
REFUSAL = ReplicationStuck("it has been stuck for an hour")
ENDS: dict[Awaited, Facts] = {
    "replication": READY,
    "approval": Approval(actor="kim", known_by="a test", at=NOON),
    "launch": Launched(job="drsjob-1", at=NOON),
    "commit": Commitment(accepted=True, actor="kim", at=NOON),
    "hold": HoldEnd(next="give_back", at=NOON),
}
LEFT_AT_HOME = Commitment(accepted=False, at=NOON, why="nobody accepted it within 168 hours")


class Interrupted(Exception):
    """The function ends here."""


def state_of(milestone: Awaited, **cutover: object) -> RunState:
    """A state in which the server comes to wait for that; `cutover` is the request's choice."""
    stage = STAGES[milestone]
    state = RunState.model_validate(event_of(stage)["state"])
    return state.model_copy(update={"cutover": CutoverChoice.model_validate(cutover)}) if cutover else state


class Hall(Surroundings):
    """A waiting server, and everything that's asked for in answering it; `cut` ends before a step, or after it."""

    def __init__(self, milestone: Awaited = "replication", *, token: str = "t", **cutover: object) -> None:
        super().__init__("hall")
        self.milestone, self.stage = milestone, STAGES[milestone]
        self.task_tokens.waiting = {token}
        self.servers.enlist(RUN, [ServerRequest(recovery_instance=SERVER)])
        self.event = ParkEvent(token=token, state=state_of(milestone, **cutover))
        self.parked = parked_of(self.event.state, token, milestone, now=NOON)
        self.waiting_room.park(self.parked)

    def take_in(self, **update: object) -> StageResult[Any, None]:
        return take_in(self.event.model_copy(update=update), self.milestone, self)

    def answer(self, refusal: FailbackError | None = None, *, facts: Facts | None = None) -> bool:
        progress = STUCK if refusal else READY
        case = Case(self.parked, NOON, self.servers.find(RUN, SERVER), progress=progress)
        facts = None if refusal else facts or ENDS[self.milestone]
        return answer(case, Judgement("so it ended", facts, refusal), self)

    @property
    def entry(self) -> StageEntry:
        return self.run_log.server_entries[RUN, SERVER][self.stage]

    @property
    def record(self) -> ServerRecord:
        found = self.servers.find(RUN, SERVER)
        assert found is not None
        return found

    @property
    def waiting(self) -> list[Parked]:
        return list(self.waiting_room.everyone())

    def decide(self, subject: str, verdict: str, scope: str = SERVER) -> None:
        own = {"subject": subject, "verdict": verdict, "scope": scope, "actor": "kim", "known_by": "a test"}
        self.decisions.decide(RUN, Decision.model_validate({**own, "at": self.clock.now()}))

    def cut(self, place: str, *, after: bool) -> None:
        """Let the next call of `place` (`servers.settle`, ...) be interrupted, before or after it has worked."""
        owner, name = place.split(".")
        port = getattr(self, owner)
        real = getattr(port, name)

        def interrupted(*given: Any, **named: Any) -> None:  # noqa: ANN401
            delattr(port, name)
            if after:
                real(*given, **named)
            raise Interrupted

        setattr(port, name, interrupted)


def parked(milestone: Awaited, *, record: ServerRecord | None = None, **update: object) -> Parked:
    """How a server is parked whose state has these members besides."""
    state = state_of(milestone).model_copy(update=update)
    return parked_of(state, "t", milestone, now=NOON, record=record)


def test_parking_for_replication_takes_the_bounds_of_the_request() -> None:
    one = parked("replication")
    assert one.deadline - one.since == timedelta(hours=STATE.replication.deadline_hours)
    assert (one.run, one.server, one.token, one.since) == (RUN, SERVER, "t", NOON)
    assert (one.stuck_minutes, one.on_stuck, one.stuck_since) == (60, "fail", None)


@pytest.mark.parametrize(
    ("per", "scopes"),
    [
        pytest.param("server", (SERVER,), id="server"),
        pytest.param("wave", (SERVER, "wave:databases"), id="wave"),
        pytest.param("run", (SERVER, "wave:databases", "run"), id="run"),
    ],
)
def test_parking_for_an_approval(per: str, scopes: tuple[str, ...]) -> None:
    choice = LaunchChoice.model_validate({"per": per, "approval_hours": 5})
    one = parked("approval", cutover=CutoverChoice(launch=choice))
    assert (one.scopes, one.deadline - NOON, one.not_before) == (scopes, timedelta(hours=5), None)
    automatic = choice.model_copy(update={"mode": "automatic"})
    assert parked("approval", cutover=CutoverChoice(launch=automatic)).not_before == NOON


def test_parking_for_a_launch_has_two_bounds() -> None:
    choice = LaunchChoice(lag_minutes=30, minutes=100)
    one = parked("launch", cutover=CutoverChoice(launch=choice))
    assert (one.lag_until, one.deadline) == (NOON + timedelta(minutes=30), NOON + timedelta(minutes=130))


@pytest.mark.parametrize(
    ("by", "verified", "not_before"),
    [
        pytest.param("policy", True, NOON + timedelta(hours=2), id="proven"),
        pytest.param("policy", False, None, id="not-proven"),
        pytest.param("policy", None, None, id="not-looked-at"),
        pytest.param("person", True, None, id="a-person"),
    ],
)
def test_parking_for_a_commit(by: str, verified: bool | None, not_before: object) -> None:
    choice = CommitChoice.model_validate({"by": by, "hours": 9, "after_hours": 2})
    proof: Any = None if verified is None else StageResult(status="done", facts=Verified(verified=verified))
    one = parked("commit", cutover=CutoverChoice(commit=choice), verify_server=proof)
    assert (one.not_before, one.deadline) == (not_before, NOON + timedelta(hours=9))
    assert one.scopes == (SERVER, "wave:databases", "run")


def test_a_policy_that_takes_longer_than_a_person_may_has_its_time() -> None:
    choice = CommitChoice(by="policy", hours=2, after_hours=9)
    proof: Any = StageResult(status="done", facts=Verified(verified=True))
    one = parked("commit", cutover=CutoverChoice(commit=choice), verify_server=proof)
    assert one.deadline == one.not_before == NOON + timedelta(hours=9)


def held(*, error: str = "NotLevel", on_failure: str = "hold", launched: bool = False, plan: bool = True) -> Parked:
    """One that has failed, of that policy."""
    book = Hall().servers
    if plan:
        book.plan(RUN, plan_of(on_failure))
    if launched:
        book.reach(RUN, SERVER, "launched", NOON)
    choice = CutoverChoice.model_validate({"on_failure": on_failure if not plan else "hold", "hold_hours": 3})
    failed = {"await_launch": Failure(Error=error)}
    return parked("hold", record=book.find(RUN, SERVER), cutover=choice, failed=failed)


def plan_of(on_failure: str) -> ServerPlan:
    plan = {"id": SERVER, "source_server": "s-1", "hostname": "web", "os": "linux", "firmware": "bios", "way": "new"}
    plan |= {"client_firmware": "bios", "machine": "web", "size": "x", "group": "sg-1", "on_failure": on_failure}
    return ServerPlan.model_validate({**plan, "disks": (), "private_ip": True, "bandwidth_mbps": 0, "to_copy": 1})


@pytest.mark.parametrize(
    ("one", "at_once"),
    [
        pytest.param(held(), False, id="hold"),
        pytest.param(held(on_failure="give_back"), True, id="give-back"),
        pytest.param(held(on_failure="give_back", plan=False), True, id="give-back-without-a-plan"),
        pytest.param(held(plan=False), False, id="hold-without-a-plan"),
        pytest.param(held(on_failure="give_back", launched=True), False, id="give-back-but-launched"),
        pytest.param(held(error="GivenBack", launched=True), True, id="given-back-by-a-person"),
    ],
)
def test_parking_one_that_has_failed(one: Parked, at_once: bool) -> None:
    assert one.not_before == (NOON if at_once else None)
    assert (one.stage, one.deadline) == ("await_launch", NOON + timedelta(hours=3))


@pytest.mark.parametrize("names", [(), ("quiesce", "cut_over"), ("give_back",)], ids=["none", "two", "not-its-own"])
def test_one_is_held_for_one_failure_of_its_own(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="failed once"):
        parked("hold", failed={name: Failure(Error="X") for name in names})


def test_the_state_machine_holds_what_can_be_taken_up_again() -> None:
    machine = json.loads((Path(__file__).parents[1] / "statemachine/failback.asl.json").read_text(encoding="utf-8"))
    states = machine["States"]["waves"]["ItemProcessor"]["States"]["servers"]["ItemProcessor"]["States"]
    leading = {name for name, one in states.items() for c in one.get("Catch", ()) if c["Next"] == "hold_server"}
    assert leading == set(TAKEN_UP)
    choices = {choice["StringEquals"] for choice in states["taken_up"]["Choices"]} | {states["taken_up"]["Default"]}
    assert choices == set(TAKEN_UP)
    assert {*STAGES.values()} <= set(states)


def test_a_state_without_a_wave_has_no_decisions_of_one() -> None:
    one = parked("approval", wave=None, cutover=CutoverChoice(launch=LaunchChoice(per="wave")))
    assert set(one.scopes) == {SERVER}


@pytest.mark.parametrize("milestone", MILESTONES)
def test_taking_in_is_noted_before_it_is_parked(milestone: Awaited) -> None:
    hall = Hall(milestone)
    hall.waiting_room.leave(hall.parked)
    hall.cut("waiting_room.park", after=False)
    with pytest.raises(Interrupted):
        hall.take_in()
    assert hall.entry.status == "pending"
    hall.clock.forward(seconds=30)
    result = hall.take_in()
    assert (result.status, hall.entry.calls, hall.entry.began) == ("pending", 2, NOON)
    assert hall.entry.progress is not None
    assert hall.entry.progress.note
    (one,) = hall.waiting
    assert (one.token, one.milestone, one.since) == ("t", milestone, hall.clock.now())
    assert hall.task_tokens.waiting == {"t"}


@pytest.mark.parametrize("milestone", MILESTONES)
def test_taken_in_again_it_waits_as_before(milestone: Awaited) -> None:
    hall = Hall(milestone)
    hall.take_in()
    before = hall.waiting
    assert hall.take_in().status == "pending"
    assert hall.waiting == before


@pytest.mark.parametrize(
    ("milestone", "decision", "end"),
    [
        pytest.param("approval", ("approval", "approve"), ("actor", "kim"), id="approved-before"),
        pytest.param("approval", ("approval", "approve", "wave:databases"), ("actor", "kim"), id="its-wave-approved"),
        pytest.param("commit", ("stop", "stop", "run"), ("accepted", False), id="commit-of-a-stopped-run"),
        pytest.param("hold", ("stop", "stop", "run"), ("next", "give_back"), id="failed-in-a-stopped-run"),
    ],
)
def test_what_is_decided_already_is_answered_at_once(
    milestone: Awaited, decision: tuple[str, ...], end: tuple[str, object]
) -> None:
    hall = Hall(milestone)
    hall.decide(*decision)
    assert hall.take_in().status == "pending"
    assert json.loads(hall.task_tokens.succeeded["t"])["facts"][end[0]] == end[1]
    assert (hall.waiting, hall.entry.status, hall.entry.calls) == ([], "done", 1)


def test_an_automatic_launch_is_approved_at_once() -> None:
    hall = Hall("approval", launch={"mode": "automatic"})
    hall.take_in()
    assert json.loads(hall.task_tokens.succeeded["t"])["facts"]["actor"] == "policy"


def test_one_that_is_given_back_at_once_is_not_held() -> None:
    hall = Hall("hold", on_failure="give_back")
    hall.take_in()
    facts = json.loads(hall.task_tokens.succeeded["t"])["facts"]
    assert (facts["next"], facts["actor"]) == ("give_back", "policy")


def test_a_proven_server_is_accepted_at_once_where_the_policy_says_so() -> None:
    hall = Hall("commit", commit={"by": "policy"})
    hall.take_in()
    assert json.loads(hall.task_tokens.succeeded["t"])["facts"]["accepted"] is True


@pytest.mark.parametrize("milestone", MILESTONES)
def test_success_is_what_the_state_machine_keeps_as_the_stages_result(milestone: Awaited) -> None:
    hall = Hall(milestone)
    assert hall.answer()
    said = json.loads(hall.task_tokens.succeeded["t"])
    state = RunState.model_validate({**hall.event.state.model_dump(), hall.stage: said})
    result = getattr(state, hall.stage)
    assert (result.status, result.since, result.facts) == ("done", NOON, ENDS[milestone])
    assert (hall.record.progress, hall.record.outcome) == (READY, None)
    assert (hall.entry.status, hall.entry.facts) == ("done", ENDS[milestone].model_dump(mode="json"))
    assert hall.entry.progress is not None
    assert hall.entry.progress.note == "so it ended"
    assert not hall.waiting


@pytest.mark.parametrize("milestone", MILESTONES)
def test_failure_is_told_as_a_function_tells_its_errors(milestone: Awaited) -> None:
    hall = Hall(milestone)
    assert hall.answer(REFUSAL)
    error, cause = hall.task_tokens.failed["t"]
    assert error == "ReplicationStuck"
    assert json.loads(cause) == {"errorType": "ReplicationStuck", "errorMessage": str(REFUSAL)}
    assert (hall.record.progress, hall.record.outcome) == (STUCK, None), "the outcome is giving back's to write"
    assert (hall.entry.status, hall.entry.error, hall.entry.advice) == ("failed", error, str(REFUSAL))
    assert not hall.waiting


def test_one_that_nobody_accepted_has_its_outcome_before_it_is_told() -> None:
    hall = Hall("commit")
    hall.cut("task_tokens.succeed", after=False)
    with pytest.raises(Interrupted):
        hall.answer(facts=LEFT_AT_HOME)
    expected = ServerOutcome(outcome="launched", at=NOON, stage="await_commit", cause=LEFT_AT_HOME.why)
    assert hall.record.outcome == expected
    assert hall.answer(facts=LEFT_AT_HOME)
    assert (hall.record.outcome, hall.waiting, hall.entry.status) == (expected, [], "done")


STEPS = ("servers.progress", "run_log.note", "task_tokens.succeed", "waiting_room.leave")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("milestone", MILESTONES)
def test_an_interrupted_success_is_finished_by_the_next_sweep(milestone: Awaited, step: str, after: bool) -> None:
    hall = Hall(milestone)
    hall.cut(step, after=after)
    with pytest.raises(Interrupted):
        hall.answer()
    left = not hall.waiting
    assert left == ((step, after) == ("waiting_room.leave", True)), "it stays in the room until all else is done"
    if hall.task_tokens.succeeded:
        assert hall.entry.status == "done", "the report may read it as soon as the token is answered"
    if not left:
        assert hall.answer() == (step != "waiting_room.leave" and (step, after) != ("task_tokens.succeed", True))
    assert list(hall.task_tokens.succeeded) == ["t"]
    assert (hall.record.progress, hall.entry.status, hall.waiting) == (READY, "done", [])


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["servers.progress", "run_log.note", "task_tokens.fail", "waiting_room.leave"])
def test_an_interrupted_failure_is_finished_by_the_next_sweep(step: str, after: bool) -> None:
    hall = Hall()
    hall.cut(step, after=after)
    with pytest.raises(Interrupted):
        hall.answer(REFUSAL)
    if hall.waiting:
        hall.answer(REFUSAL)
    assert list(hall.task_tokens.failed) == ["t"]
    assert (hall.entry.status, hall.waiting) == ("failed", [])


def test_ready_at_last_that_stalls_before_it_was_told_fails() -> None:
    """The first sweep ended before the token was answered; what it wrote down isn't the last word."""
    hall = Hall()
    hall.cut("task_tokens.succeed", after=False)
    with pytest.raises(Interrupted):
        hall.answer()
    assert hall.answer(REFUSAL)
    assert (list(hall.task_tokens.failed), hall.task_tokens.succeeded) == (["t"], {})
    assert hall.entry.status == "failed"


@pytest.mark.parametrize("milestone", MILESTONES)
def test_a_new_token_takes_the_old_ones_place(milestone: Awaited) -> None:
    hall = Hall(milestone)
    hall.task_tokens.waiting = {"t2"}
    hall.clock.forward(minutes=1)
    hall.take_in(token="t2")
    (new,) = hall.waiting
    assert new.token == "t2"
    assert not hall.answer()
    assert hall.waiting == [new], "the new one stays"
    hall.parked = new
    assert hall.answer()
    assert not hall.waiting


def test_one_that_was_given_back_meanwhile_keeps_its_outcome() -> None:
    hall = Hall()
    hall.task_tokens.waiting.clear()
    over = ServerOutcome(outcome="failed", at=NOON, stage="await_replication", error="States.Timeout")
    hall.servers.settle(RUN, SERVER, over)
    assert not hall.answer()
    assert (hall.record.outcome, hall.record.progress) == (over, None)
    assert not hall.waiting


def test_one_that_the_book_does_not_know_is_only_told() -> None:
    hall = Hall()
    hall.servers.records.clear()
    assert hall.answer()
    assert not hall.waiting


@pytest.mark.parametrize(
    ("milestone", "noted"),
    [("replication", False), ("approval", True), ("launch", True), ("commit", False), ("hold", False)],
)
def test_progress_is_kept_and_noted_where_the_note_is_about_it(milestone: Awaited, noted: bool) -> None:
    hall = Hall(milestone)
    hall.take_in()
    assert hall.entry.progress is not None
    before = hall.entry.progress.note
    case = Case(hall.parked, NOON, hall.record, progress=READY)
    tell_progress(case, "nothing left to copy", hall)
    assert hall.record.progress == READY
    assert (hall.entry.progress.note == "nothing left to copy") == noted
    assert (hall.entry.status, hall.entry.calls, bool(before)) == ("pending", 1, True)
    tell_progress(replace(case, record=hall.record), "the same a second later", hall)
    assert (hall.entry.progress.note == "the same a second later") == (milestone == "launch")
    tell_progress(replace(case, record=None), "of nobody", hall)
    assert hall.entry.progress.note != "of nobody"
