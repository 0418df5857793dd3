"""Runs for several targets: a part for each, one gate, waves across them, decisions, the end, and going on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from failback.clean_up import CleanUpDesk, ExecutionEnd, clean_up
from failback.decision_request import decide
from failback.errors import RequestInvalid, Stopped
from failback.model.ending import Outcome
from failback.model.record import StageEntry
from failback.model.report import RunReport
from failback.model.request import RunRequest, StartEvent
from failback.model.server import ServerOutcome
from failback.naming import server_lock
from failback.parts import LATEST_BEGIN
from failback.progress import run_progress
from failback.report import write_report
from failback.report_page import report_page
from failback.run_request import Gate, check_request
from failback.settings import AllowedHooks
from failback.waves import LONGEST_WAIT, SHORTEST_WAIT, begin_wave
from tests.lambdas.surroundings import Surroundings
from tests.memory.clock import NOON, FixedClock
from tests.memory.executions import MemoryExecutions
from tests.memory.objects import MemoryObjects
from tests.memory.run_log import MemoryRunLog
from tests.states import state_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.model.record import RunHistory
    from failback.model.run import RunState
    from failback.model.stage import StageResult
    from failback.model.target import Target
    from failback.model.way_home import WaveStart

MACHINE = "arn:aws:states:eu-west-1:111122223333:stateMachine:drs-failback"
EXECUTIONS = "arn:aws:states:eu-west-1:111122223333:execution:drs-failback"
RUN, NORTH, SOUTH = "evening", "evening.north", "evening.south"
WEB, MAIL, DATA = "i-0000000a", "i-0000000b", "i-0000000c"
SERVERS = (
    {"recovery_instance": DATA, "wave": "data", "target": "south", "way": "new"},
    {"recovery_instance": WEB, "wave": "web"},
    {"recovery_instance": MAIL, "wave": "web", "target": "south"},
)
WAVES = ({"name": "data"}, {"name": "web"})


class Targets:
    """Two good ones."""

    def names(self) -> Sequence[str]:
        return ["north", "south"]

    def get(self, name: str) -> Target | None:
        return state_of("find_client_image").target.model_copy(update={"name": name}) if name in self.names() else None


@dataclass
class Evening:
    """A run for two targets, and what's known of it."""

    log: MemoryRunLog = field(default_factory=MemoryRunLog)
    executions: MemoryExecutions = field(default_factory=MemoryExecutions)
    clock: FixedClock = field(default_factory=FixedClock)

    def check(self, name: str = RUN, **request: object) -> RunState:
        cutover = {"fence": {"kind": "none"}, "launch": {"per": "run"}}
        asked = {"goal": "failback", "target": "north", "servers": SERVERS, "waves": WAVES, "cutover": cutover}
        return self.ask(name, {**asked, **request})

    def ask(self, name: str, request: Mapping[str, object]) -> RunState:
        gate = Gate(
            targets=Targets(),
            functions={"azure": {"import_image": "import"}},
            run_log=self.log,
            decisions=self.log.decisions,
            book=self.log.servers,
            executions=self.executions,
            hooks=AllowedHooks(),
            clock=self.clock,
        )
        event = {"execution": f"{EXECUTIONS}:{name}", "name": name, "started": NOON.isoformat(), "request": request}
        # As it comes by the state machine.
        return check_request(StartEvent.model_validate(json.loads(json.dumps(event))), gate)

    def refusal(self, name: str = RUN, **request: object) -> str:
        with pytest.raises(RequestInvalid) as caught:
            self.check(name, **request)
        return str(caught.value)

    def begun(self) -> dict[str, RunState]:
        """The run and its parts, each of which is begun."""
        state = self.check()
        return {RUN: state, **{part.name: self.ask(part.name, part.request) for part in state.parts}}

    def ends(self, run: str, server: str, end: str) -> None:
        outcome = ServerOutcome.model_validate({"outcome": end, "at": NOON, "cause": "the line is cut"})
        self.log.servers.settle(run, server, outcome)

    def history(self, run: str = RUN) -> RunHistory:
        history = self.log.read(run)
        assert history is not None
        return history

    def begin_wave(self, state: RunState, name: str, now: datetime = NOON) -> StageResult[WaveStart, None]:
        wave = next(each for each in state.waves if each.name == name)
        state = state.model_copy(update={"wave": wave})
        return begin_wave(state, run_log=self.log, book=self.log.servers, decisions=self.log.decisions, now=now)


def test_each_target_has_a_part_with_its_own_servers() -> None:
    evening = Evening()
    runs = evening.begun()
    whole, north, south = runs.values()
    assert [part.name for part in whole.parts] == [SOUTH, NORTH]
    assert (whole.servers, whole.waves) == ((), ())
    assert ([each.id for each in north.servers], north.target.name) == ([DATA, MAIL], "south")
    assert ([each.id for each in south.servers], south.target.name) == ([WEB], "north")
    assert [wave.name for wave in north.waves] == ["data", "web"]
    assert {name: holder for name, (holder, _) in evening.log.leases.items()} == {
        server_lock(WEB): NORTH,
        server_lock(MAIL): SOUTH,
        server_lock(DATA): SOUTH,
    }
    history = evening.history()
    assert [each.record.run for each in history.parts] == [SOUTH, NORTH]
    assert [each.record.id for each in history.all_servers] == [MAIL, DATA, WEB]
    assert history.record.destination == "south, north"
    request = evening.history(SOUTH).record.request
    assert request is not None
    assert (request.part_of, request.servers[0].way, request.servers[0].target) == (RUN, "new", None)


def test_servers_that_all_go_to_the_runs_target_make_no_parts() -> None:
    servers = [{"recovery_instance": WEB, "target": "north"}, {"recovery_instance": MAIL}]
    state = Evening().check(servers=servers)
    assert (state.parts, len(state.servers)) == ((), 2)
    assert [part.target for part in Evening().check(servers=[{**servers[0], "target": "south"}]).parts] == ["south"]


def test_all_faults_of_all_parts_are_told_before_anything_is_begun() -> None:
    evening = Evening()
    evening.log.lease(server_lock(MAIL), "another", now=NOON, until=NOON + timedelta(days=1))
    text = evening.refusal()
    assert f"servers.2.recovery_instance: run another has {MAIL}" in text
    assert {holder for holder, _ in evening.log.leases.values()} == {"another"}
    text = evening.refusal(servers=[*SERVERS, {"recovery_instance": "i-0000000d", "target": "west"}])
    assert "servers.3.target: there is no target 'west'; this deployment has: north, south" in text
    text = evening.refusal("r" * 60)
    assert (
        f"the part for target south would be called '{'r' * 60}.south', which has 66 characters of at most 64" in text
    )
    assert not evening.log.records


def test_nobody_else_begins_a_part() -> None:
    evening = Evening()
    state = evening.check()
    servers = [{"recovery_instance": "i-0000000d"}]
    assert f"part_of: run '{RUN}' has no part 'other'" in evening.refusal("other", servers=servers, part_of=RUN)
    assert "part_of: run 'never' has no part" in evening.refusal(SOUTH, servers=servers, part_of="never")
    part = state.parts[0]
    evening.log.decisions.kept.clear()
    told = clean_up(end_of(RUN), machine=MACHINE, desk=desk_of(evening))
    assert told.execution == f"clean-up-{RUN}"
    with pytest.raises(Stopped):
        evening.ask(part.name, part.request)
    assert evening.history(part.name).record.status == "failed"


def end_of(run: str) -> ExecutionEnd:
    fields = {"executionArn": f"{EXECUTIONS}:{run}", "stateMachineArn": MACHINE, "name": run, "status": "ABORTED"}
    return ExecutionEnd.model_validate(fields)


def desk_of(evening: Evening) -> CleanUpDesk:
    return CleanUpDesk(evening.log, evening.log.decisions, evening.executions, evening.clock)


def test_what_ends_a_run_from_outside_ends_its_parts() -> None:
    evening = Evening()
    evening.begun()
    clean_up(end_of(RUN), machine=MACHINE, desk=desk_of(evening))
    assert list(evening.executions.stopped) == [f"{EXECUTIONS}:{SOUTH}", f"{EXECUTIONS}:{NORTH}"]
    wish = json.loads(evening.executions.started[f"clean-up-{RUN}"])
    cleaning = evening.ask(f"clean-up-{RUN}", wish)
    assert (cleaning.goal, cleaning.parts, cleaning.servers) == ("clean_up", (), ())


def test_what_a_part_has_left_is_cleaned_up_by_its_own_name() -> None:
    evening = Evening()
    evening.begun()
    evening.log.close(RUN, Outcome(outcome="failed", error="PartsFailed"), NOON)
    with pytest.raises(RequestInvalid, match=f"name the part that did: {SOUTH}, {NORTH}"):
        evening.ask("clean-up-again", {"goal": "clean_up", "target": "north", "clean_up": RUN})


def test_a_wave_waits_for_the_earlier_one_of_another_part() -> None:
    evening = Evening()
    north = evening.begun()[NORTH]
    waits = evening.begin_wave(north, "web")
    assert (waits.status, waits.wait_seconds) == ("pending", SHORTEST_WAIT)
    assert waits.progress is not None
    assert waits.progress.note == f"wave data comes first, and is under way: {DATA}"
    assert evening.begin_wave(north, "web", NOON + timedelta(days=20)).wait_seconds == LONGEST_WAIT
    evening.ends(SOUTH, DATA, "home")
    begun = evening.begin_wave(north, "web")
    assert begun.facts is not None
    assert begun.facts.begun


def test_a_wave_is_kept_from_beginning_by_what_another_part_did_not_bring_home() -> None:
    evening = Evening()
    north = evening.begun()[NORTH]
    evening.ends(SOUTH, DATA, "failed")
    kept = evening.begin_wave(north, "web").facts
    assert kept is not None
    assert not kept.begun
    assert f"not all of its servers came home: {DATA}" in kept.why


@pytest.mark.parametrize("how", ["refused", "ended"])
def test_nobody_waits_for_a_part_that_brings_nothing_home_any_more(how: str) -> None:
    evening = Evening()
    whole = evening.check()
    if how == "ended":
        evening.ask(SOUTH, whole.parts[0].request)
        evening.log.close(SOUTH, Outcome(outcome="failed", error="NotReady", cause="no disk"), NOON)
    north = evening.ask(NORTH, whole.parts[1].request)
    if how == "refused":
        assert evening.begin_wave(north, "web").status == "pending"
    kept = evening.begin_wave(north, "web", NOON + LATEST_BEGIN).facts
    assert kept is not None
    assert not kept.begun


def test_a_part_does_not_wait_for_itself() -> None:
    evening = Evening()
    south = evening.begun()[SOUTH]
    kept = evening.begin_wave(south, "web").facts
    assert kept is not None
    assert DATA in kept.why


class Office(Surroundings):
    """Where decisions on the run are made."""

    def __init__(self, evening: Evening) -> None:
        super().__init__("office")
        self.evening = evening
        self.run_log, self.servers = evening.log, evening.log.servers
        self.decisions = evening.log.decisions

    def say(self, subject: str, verdict: str, **more: object) -> dict[str, list[str]]:
        """The scopes that are noted for each run."""
        fields: dict[str, Any] = {"run": RUN, "subject": subject, "verdict": verdict, "actor": "kim", **more}
        decide(fields, self, request_id="r-1")
        return {run: [each.scope for each in kept] for run, kept in self.decisions.kept.items()}

    def faults(self, subject: str, verdict: str, **more: object) -> str:
        with pytest.raises(RequestInvalid) as caught:
            self.say(subject, verdict, **more)
        assert not self.decisions.kept
        return str(caught.value)


@pytest.fixture
def office() -> Office:
    """Of a run whose parts have begun."""
    evening = Evening()
    evening.begun()
    return Office(evening)


def test_what_is_decided_on_a_run_is_decided_on_its_parts(office: Office) -> None:
    assert office.say("approval", "approve") == {SOUTH: ["run"], NORTH: ["run"]}


def test_a_wave_is_decided_where_it_is(office: Office) -> None:
    assert office.say("approval", "approve", wave="data") == {SOUTH: ["wave:data"]}


def test_servers_are_decided_in_their_part(office: Office) -> None:
    assert office.say("approval", "approve", servers=[WEB, DATA]) == {SOUTH: [DATA], NORTH: [WEB]}


def test_a_stop_is_for_all_also_for_those_that_have_not_begun() -> None:
    evening = Evening()
    evening.check()
    assert Office(evening).say("stop", "stop") == {RUN: ["run"], SOUTH: ["run"], NORTH: ["run"]}


def test_nothing_is_decided_before_a_part_has_begun() -> None:
    evening = Evening()
    evening.check()
    assert "no part of run evening has begun yet" in Office(evening).faults("approval", "approve")


def test_what_fits_no_part_is_refused(office: Office) -> None:
    assert f"run {RUN} has no server i-00000000" in office.faults("approval", "approve", servers=[WEB, "i-00000000"])
    assert "no wave 'nothing'" in office.faults("approval", "approve", wave="nothing")
    assert "waits for that now" in office.faults("commit", "accept")
    office.evening.ends(NORTH, WEB, "home")
    assert f"the part of {WEB} in run {NORTH} has ended" in office.faults("approval", "approve", servers=[WEB, DATA])


def test_a_decision_goes_to_the_parts_that_wait_for_it(office: Office) -> None:
    waits = StageEntry(stage="await_commit", status="pending", began=NOON, updated=NOON)
    office.evening.log.note(SOUTH, waits, server=DATA)
    assert office.say("commit", "accept") == {SOUTH: ["run"]}


@pytest.mark.parametrize("end", ["done", "failed", "refused"])
def test_a_run_ends_as_its_parts_do(end: str) -> None:
    evening, objects = Evening(), MemoryObjects()
    whole = evening.check()
    for part in whole.parts[: 1 if end == "refused" else 2]:
        evening.ask(part.name, part.request)
        evening.log.close(part.name, Outcome(outcome="done"), NOON)
    if end == "failed":
        evening.log.close(NORTH, Outcome(outcome="failed", error="NotReady", cause="no disk\nis left"), NOON)
    outcome = write_report(whole, objects=objects, run_log=evening.log, now=NOON)
    expected = {"done": "", "failed": f"1 of 2 parts failed. {NORTH}: no disk is left",
                "refused": f"1 of 2 parts failed. {NORTH}: it was refused"}[end]  # fmt: skip
    assert outcome.outcome == ("done" if end == "done" else "failed")
    assert outcome.cause.startswith(expected)
    assert outcome.error == {"done": "", "failed": "NotReady", "refused": "PartsFailed"}[end]
    assert evening.history().record.status == outcome.outcome


def test_the_report_has_the_servers_of_all_parts() -> None:
    evening, objects = Evening(), MemoryObjects()
    whole = evening.begun()[RUN]
    for run, server in ((SOUTH, DATA), (SOUTH, MAIL), (NORTH, WEB)):
        evening.ends(run, server, "home")
    evening.log.note(NORTH, StageEntry(stage="cut_over", status="done", began=NOON, updated=NOON), server=WEB)
    outcome = write_report(whole, objects=objects, run_log=evening.log, now=NOON)
    report = json.loads(b"".join(objects.contents[outcome.report].pieces))
    assert [each["record"]["id"] for each in report["servers"]] == [MAIL, DATA, WEB]
    assert [(each["server"], each["stage"]) for each in report["timeline"]] == [(WEB, "cut_over")]
    assert "3 of 3 servers: home" in report["findings"]
    assert [each["servers"] for each in report["history"]["parts"]] == [[], []]
    page = report_page(RunReport.model_validate(report))
    assert "south, north" in page
    assert f"{SOUTH}, {NORTH}" in page


def test_parts_are_watched_as_stages_of_their_run() -> None:
    evening = Evening()
    whole = evening.check()
    rows = run_progress(evening.history(), known={}, now=NOON).stages
    assert [(row.stage, row.status) for row in rows] == [
        (SOUTH, "to come"),
        (NORTH, "to come"),
        ("write_report", "to come"),
    ]
    evening.ask(SOUTH, whole.parts[0].request)
    evening.log.close(SOUTH, Outcome(outcome="failed", error="NotReady"), NOON + timedelta(minutes=3))
    seen = run_progress(evening.history(), known={}, now=NOON + timedelta(hours=1))
    assert (seen.stages[0].status, seen.stages[0].seconds, seen.stages[0].note) == ("failed", 180, "NotReady")
    assert [each.server for each in seen.servers] == [MAIL, DATA]
    assert seen.target == "south, north"


def test_a_run_is_resumed_with_what_no_part_brought_home() -> None:
    evening = Evening()
    evening.begun()
    evening.ends(SOUTH, DATA, "home")
    failed = Outcome(outcome="failed", error="PartsFailed")
    evening.log.close(RUN, failed, NOON)
    evening.log.close(NORTH, failed, NOON)
    with pytest.raises(RequestInvalid, match=f"run {SOUTH} is under way still"):
        evening.ask("again", {"resume": RUN})
    evening.log.close(SOUTH, failed, NOON)
    evening.log.leases.clear()
    again = evening.ask("again", {"resume": RUN})
    asked = {part.target: RunRequest.model_validate(part.request) for part in again.parts}
    assert {target: list(request.targets) for target, request in asked.items()} == {"north": [WEB], "south": [MAIL]}
    assert {request.resume for request in asked.values()} == {None}
