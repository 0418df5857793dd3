"""The gate: every fault of a request at once, nothing kept of a request that's refused, no server in two runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from failback.errors import CloudBusy, DeploymentInvalid, RequestInvalid
from failback.model.cutover import CutoverChoice
from failback.model.record import RunRecord
from failback.model.request import MOST_SERVERS, NO_FENCE, RunRequest, StartEvent
from failback.model.server import ServerOutcome
from failback.naming import server_lock
from failback.run_request import Gate, check_request, timeouts_of
from failback.settings import AllowedHooks
from tests.memory.clock import NOON, FixedClock
from tests.memory.executions import MemoryExecutions
from tests.memory.run_log import MemoryRunLog
from tests.states import event_of, state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.model.run import RunState
    from failback.model.target import Target

FUNCTIONS: dict[Any, dict[str, str]] = {"azure": {"import_image": "drs-failback-import-image-azure"}}
ONE, TWO = "i-0a1b2c3d4e5f60718", "i-0a1b2c3d4e5f60719"


class Targets:
    """One good target, and one whose parameter is broken."""

    def __init__(self) -> None:
        self.good = state_of("find_client_image").target

    def names(self) -> Sequence[str]:
        return [self.good.name, "broken"]

    def get(self, name: str) -> Target | None:
        if name == "broken":
            message = "targets/broken: location: Field required"
            raise DeploymentInvalid(message)
        return self.good if name == self.good.name else None


class BrokenLog(MemoryRunLog):
    """Is busy at one call."""

    def __init__(self, call: str, at: str = "") -> None:
        super().__init__()
        self._call, self._at = call, at

    def lease(self, name: str, holder: str, *, now: datetime, until: datetime) -> str:
        if self._call == "lease" and name == self._at:
            raise CloudBusy
        return super().lease(name, holder, now=now, until=until)

    def open(self, record: Any) -> None:  # noqa: ANN401 - never looked at
        raise CloudBusy


def prepare(**changed: object) -> StartEvent:
    """A request without servers."""
    return start(**{"request": {"goal": "prepare", "target": "azure-home"}, **changed})


def start(**changed: object) -> StartEvent:
    """The example's: two servers."""
    return StartEvent.model_validate(event_of("check_request", **changed))


def of_servers(*servers: object, goal: str = "failback", **more: object) -> StartEvent:
    wish = {"goal": goal, "target": "azure-home", "servers": list(servers), "cutover": {"fence": {"kind": "none"}}}
    return start(request={**wish, **more})


def gate_of(run_log: MemoryRunLog, **changed: Any) -> Gate:  # noqa: ANN401
    gate = Gate(
        targets=Targets(),
        functions=FUNCTIONS,
        run_log=run_log,
        decisions=run_log.decisions,
        book=run_log.servers,
        executions=MemoryExecutions(),
        hooks=AllowedHooks(),
        clock=FixedClock(),
    )
    return replace(gate, **changed)


def check(event: StartEvent, run_log: MemoryRunLog, **changed: Any) -> RunState:  # noqa: ANN401
    return check_request(event, gate_of(run_log, **changed))


def refusal(event: StartEvent, run_log: MemoryRunLog | None = None, **changed: Any) -> str:  # noqa: ANN401
    with pytest.raises(RequestInvalid) as caught:
        check(event, run_log or MemoryRunLog(), **changed)
    return str(caught.value)


def test_a_request_becomes_a_run() -> None:
    run_log = MemoryRunLog()
    state = check(prepare(), run_log)
    assert state.target == Targets().good
    assert state.home.functions == FUNCTIONS["azure"]
    assert state.client_image.iso_version == "latest"
    assert (state.servers, run_log.leases) == ((), {})
    history = run_log.read(state.run.id)
    assert history is not None
    assert (history.record.target, history.record.status) == ("azure-home", "running")


def test_a_run_of_servers_holds_their_locks_and_ids_and_knows_its_deadline() -> None:
    run_log = MemoryRunLog()
    state = check(start(), run_log)
    assert [server.id for server in state.servers] == [ONE, TWO]
    assert state.timeouts["replication"] == 14 * 24 * 3600 + 3600
    until = state.run.started + timedelta(days=91)
    assert run_log.leases == {server_lock(each): (state.run.id, until) for each in (ONE, TWO)}
    assert run_log.servers.of(state.run.id)[1].request.way == "helper"


def test_what_is_asked_of_replication_goes_along() -> None:
    wish = {"private_ip": False, "deadline_hours": 2, "on_stuck": "wait"}
    state = check(of_servers({"recovery_instance": ONE}, goal="check", replication=wish), MemoryRunLog())
    assert (state.goal, state.replication.private_ip, state.replication.on_stuck) == ("check", False, "wait")
    assert state.timeouts["replication"] == 3 * 3600


def test_the_same_request_again_changes_nothing() -> None:
    run_log = MemoryRunLog()
    first = check(start(), run_log)
    locks = dict(run_log.leases)
    assert check(start(), run_log) == first
    assert run_log.leases == locks
    assert len(run_log.recent(10)) == 1


def test_a_server_of_another_run_is_refused_and_no_lock_is_kept() -> None:
    run_log = MemoryRunLog()
    run_log.lease(server_lock(TWO), "last-week", now=NOON, until=NOON + timedelta(days=1))
    assert f"servers.1.recovery_instance: run last-week has {TWO}" in refusal(start(), run_log)
    assert set(run_log.leases) == {server_lock(TWO)}
    assert not run_log.recent(10)
    assert not run_log.servers.records


@pytest.mark.parametrize("goal", ["check", "prepare"])
def test_a_run_that_changes_no_server_neither_takes_locks_nor_minds_them(goal: str) -> None:
    run_log = MemoryRunLog()
    run_log.lease(server_lock(ONE), "last-week", now=NOON, until=NOON + timedelta(days=1))
    assert check(of_servers({"recovery_instance": ONE}, goal=goal), run_log).servers[0].id == ONE
    assert set(run_log.leases) == {server_lock(ONE)}


def test_a_lock_that_ran_out_is_taken_over() -> None:
    run_log = MemoryRunLog()
    run_log.lease(server_lock(TWO), "last-month", now=NOON - timedelta(days=92), until=NOON - timedelta(days=1))
    state = check(start(), run_log)
    assert run_log.leases[server_lock(TWO)][0] == state.run.id


@pytest.mark.parametrize("call", ["lease", "open"])
def test_what_cannot_be_noted_is_not_locked_either(call: str) -> None:
    run_log = BrokenLog(call, at=server_lock(TWO))
    with pytest.raises(CloudBusy):
        check(start(), run_log)
    assert not run_log.leases


def test_no_lock_is_taken_for_a_faulty_request() -> None:
    run_log = MemoryRunLog()
    refusal(of_servers({"recovery_instance": ONE}, {"recovery_instance": "web-01"}), run_log)
    assert not run_log.leases


def test_all_faults_are_told_at_once_and_nothing_is_noted() -> None:
    run_log = MemoryRunLog()
    text = refusal(
        start(
            name="no blanks, please",
            request={"goal": "fly", "target": "nowhere", "client_image": {"ami": "ami-1"}, "speed": 9},
        ),
        run_log,
    )
    for part in ("name: ", "goal: ", "client_image.ami: ", "speed: ", "no target 'nowhere'", "azure-home, broken"):
        assert part in text
    assert not run_log.recent(10)


def test_faults_of_servers_have_their_paths_single_ones_and_those_of_the_whole() -> None:
    data = {"device": "/dev/sdb", "lun": 3}
    text = refusal(
        of_servers(
            {"recovery_instance": ONE, "name": "web", "disks": [data, {"device": "/dev/sdc", "lun": 3}]},
            {"recovery_instance": ONE, "name": "WEB", "disks": [data, data]},
            {"recovery_instance": TWO, "disks": [{"device": "", "exclude": True}], "way": "fly"},
            {"recovery_instance": "i-0a1b2c3d4e5f60710", "disks": [{"device": "/dev/sdb", "exclude": True, "lun": 1}]},
        )
    )
    for part in (
        f"servers.0.recovery_instance: {ONE} stands there 2 times",
        f"servers.1.recovery_instance: {ONE} stands there 2 times",
        "servers.0.name: web stands there 2 times",
        "servers.1.name: WEB stands there 2 times",
        "servers.0.disks.0.lun: 3 is asked for 2 times",
        "servers.0.disks.1.lun: 3 is asked for 2 times",
        "servers.1.disks.1.device: /dev/sdb stands there 2 times",
        "servers.2.disks.0.device: ",
        "servers.2.way: ",
        "servers.3.disks.0.exclude: what's left out takes no lun",
    ):
        assert part in text
    assert "Value error" not in text


def test_choices_that_contradict_each_other_are_refused_though_each_is_sound() -> None:
    disks = [{"device": "/dev/sdb", "lun": 3}, {"device": "/dev/sdc", "lun": 3}]
    assert "servers.0.disks.1.lun" in refusal(of_servers({"recovery_instance": ONE, "disks": disks}))


@pytest.mark.parametrize("goal", ["failback", "check"])
def test_servers_are_what_such_a_goal_is_about(goal: str) -> None:
    assert f"servers: goal {goal} takes at least one recovery instance" in refusal(of_servers(goal=goal))


@pytest.mark.parametrize("servers", ["i-0a1b2c3d4e5f60718", 5, [7], [{"recovery_instance": ONE, "disks": 3}], {"a": 1}])
def test_servers_of_no_shape_are_told(servers: object) -> None:
    text = refusal(start(request={"goal": "failback", "target": "azure-home", "servers": servers}))
    assert "servers" in text
    assert "Nothing was made" in text


def test_more_servers_than_drs_takes_are_refused_in_a_text_that_a_cause_can_hold() -> None:
    servers = [{"recovery_instance": f"no-{number:08x}"} for number in range(MOST_SERVERS)]
    assert len(refusal(of_servers(*servers))) < 30_000
    many = [{"recovery_instance": f"i-{number:08x}"} for number in range(MOST_SERVERS + 1)]
    assert "servers: Tuple should have at most 500 items" in refusal(of_servers(*many))


def test_an_empty_request_names_what_is_missing() -> None:
    text = refusal(start(request={}))
    assert "goal: Field required" in text
    assert "target: Field required" in text


def test_a_broken_target_is_told_with_its_faults() -> None:
    assert "target: targets/broken: location" in refusal(start(request={"goal": "prepare", "target": "broken"}))


def test_a_home_that_is_not_deployed_is_told() -> None:
    run_log = MemoryRunLog()
    assert "nothing is deployed" in refusal(start(), run_log, functions={})


FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:stop-it"


@pytest.mark.parametrize("goal", ["failback", "rehearse"])
def test_goals_that_change_something_take_locks_and_keep_what_was_asked(goal: str) -> None:
    run_log = MemoryRunLog()
    event = of_servers({"recovery_instance": ONE, "wave": "late"}, goal=goal)
    state = check(event, run_log)
    assert set(run_log.leases) == {server_lock(ONE)}
    assert run_log.records[state.run.id].request == RunRequest.model_validate(event.request)
    assert state.cutover == CutoverChoice.model_validate(event.request["cutover"])
    assert [wave.name for wave in state.waves] == ["late"]


def test_each_wait_has_a_bound_of_its_own() -> None:
    cutover = {
        "launch": {"approval_hours": 2, "lag_minutes": 30, "minutes": 90},
        "commit": {"hours": 5, "by": "policy", "after_hours": 7},
        "hold_hours": 4,
    }
    wish = {"goal": "prepare", "target": "azure-home", "replication": {"deadline_hours": 1}, "cutover": cutover}
    timeouts = timeouts_of(RunRequest.model_validate(wish))
    assert {name: seconds / 3600 - 1 for name, seconds in timeouts.items()} == {
        "replication": 1, "approval": 2, "launch": 2, "commit": 7, "hold": 4
    }  # fmt: skip


def test_what_contradicts_itself_is_told_all_at_once() -> None:
    text = refusal(
        start(
            request={
                "goal": "failback",
                "target": "azure-home",
                "clean_up": "x",
                "waves": [{"name": "a"}, {"name": "A"}, {"name": "b c"}],
                "servers": [
                    {"recovery_instance": ONE, "way": "new", "original": "web-1"},
                    {"recovery_instance": TWO, "overwrite": True, "original": "WEB-1"},
                ],
            }
        )
    )
    for part in (
        NO_FENCE,
        "clean_up: goal clean_up names the run",
        "waves.0.name: a stands there 2 times",
        "waves.1.name: A stands there 2 times",
        "waves.2.name: ",
        "servers.0.original: way new makes a machine of its own",
        "servers.1.overwrite: only way original",
        "servers.1.original: WEB-1 stands there 2 times",
    ):
        assert part in text
    assert text.count("cutover.fence") == 1


@pytest.mark.parametrize("cutover", [None, {}, {"fence": None}, 5])
def test_a_failback_says_what_stops_the_workload(cutover: object) -> None:
    assert NO_FENCE in refusal(of_servers({"recovery_instance": ONE}, cutover=cutover))
    if isinstance(cutover, dict):
        check(of_servers({"recovery_instance": ONE}, goal="check", cutover=cutover), MemoryRunLog())


def test_a_rehearsal_touches_no_original() -> None:
    servers = ({"recovery_instance": ONE, "way": "original"}, {"recovery_instance": TWO, "original": "web-1"})
    text = refusal(of_servers(*servers, goal="rehearse"))
    assert "servers.0.way: a rehearsal" in text
    assert "servers.1.original: a rehearsal" in text


def test_only_what_the_deployment_names_is_called() -> None:
    lambda_fence = {"kind": "lambda", "function": FUNCTION}
    cutover = {"fence": lambda_fence, "traffic": f"{FUNCTION}-2", "verify": {"function": f"{FUNCTION}-3"}}
    event = of_servers({"recovery_instance": ONE}, cutover=cutover)
    text = refusal(event)
    for path, name in (
        ("fence.function", FUNCTION),
        ("traffic", f"{FUNCTION}-2"),
        ("verify.function", f"{FUNCTION}-3"),
    ):
        assert f"cutover.{path}: this deployment may not call {name}; put it into hooks" in text
    check(event, MemoryRunLog(), hooks=AllowedHooks(functions=(FUNCTION, f"{FUNCTION}-2", f"{FUNCTION}-3")))
    ssm = {"fence": {"kind": "ssm", "document": "Stop", "lift_document": "Start"}}
    text = refusal(of_servers({"recovery_instance": ONE}, cutover=ssm), hooks=AllowedHooks(documents=("Stop",)))
    assert "cutover.fence.lift_document: this deployment may not call Start; put it into documents" in text
    assert "call Stop" not in text


def ended(run_log: MemoryRunLog, run: str, *ends: str, status: str = "failed", **asked: object) -> None:
    """An earlier run of as many servers, which ended so."""
    names = [f"i-0000000{number}" for number in range(len(ends))]
    wish = {
        "goal": "failback", "target": "azure-home", "replication": {"deadline_hours": 9},
        "servers": [{"recovery_instance": name, "way": "helper"} for name in names],
        "cutover": {"fence": {"kind": "security-group", "group": "sg-0a1b2c3d"}}, **asked,
    }  # fmt: skip
    request = RunRequest.model_validate(wish)
    run_log.open(
        RunRecord(
            run=run,
            execution=f"arn:{run}",
            goal=request.goal,
            target="azure-home",
            home="azure",
            started=NOON,
            request=request,
            status=status,
        )
    )
    run_log.servers.enlist(run, request.servers)
    for name, end in zip(names, ends, strict=True):
        if end != "nothing":
            outcome = ServerOutcome.model_validate({"outcome": end, "at": NOON})
            run_log.servers.settle(run, name, outcome)


def test_a_run_is_resumed_by_its_servers_that_are_not_home() -> None:
    run_log = MemoryRunLog()
    ended(run_log, "last-week", "home", "failed", "skipped", "launched", "nothing", "rehearsed")
    state = check(start(request={"resume": "last-week"}), run_log)
    assert [server.id for server in state.servers] == ["i-00000001", "i-00000002", "i-00000004"]
    assert (state.goal, state.replication.deadline_hours) == ("failback", 9)
    assert state.cutover.fence is not None
    assert state.cutover.fence.kind == "security-group"
    request = run_log.records[state.run.id].request
    assert request is not None
    assert (request.resume, request.servers[0].way) == ("last-week", "helper")


def test_what_is_given_counts_before_the_earlier_request() -> None:
    run_log = MemoryRunLog()
    ended(run_log, "last-week", "failed", "failed")
    given = {"resume": "last-week", "replication": {"deadline_hours": 3}, "servers": [{"recovery_instance": ONE}]}
    state = check(start(request=given), run_log)
    assert [server.id for server in state.servers] == [ONE]
    assert state.replication.deadline_hours == 3


def test_a_resumed_run_can_be_resumed() -> None:
    run_log = MemoryRunLog()
    ended(run_log, "first", "failed", resume="before")
    assert check(start(request={"resume": "first"}), run_log).servers[0].id == "i-00000000"


@pytest.mark.parametrize(
    ("run", "part"),
    [
        ("nobody", "there is no run 'nobody'"),
        ("under-way", "is under way still"),
        ("through", "there's nothing left"),
        ("old", "nothing is known any more"),
        (7, "resume: "),
    ],
    ids=["unknown", "under-way", "nothing-left", "old", "no-text"],
)
def test_what_cannot_be_resumed_is_told(run: object, part: str) -> None:
    run_log = MemoryRunLog()
    ended(run_log, "under-way", "failed", status="running")
    ended(run_log, "through", "home", "launched", status="done")
    ended(run_log, "old", "failed")
    run_log.records["old"] = run_log.records["old"].model_copy(update={"request": None})
    assert part in refusal(start(request={"resume": run, "goal": "fly"}), run_log)


def clean(run: object = "broken-off", **changed: object) -> StartEvent:
    wish = {"goal": "clean_up", "target": "azure-home", "clean_up": run, **changed}
    return start(name=f"clean-up-{run}", execution="arn:new", request=wish)


def test_a_broken_off_run_is_cleaned_up_under_its_own_name() -> None:
    run_log = MemoryRunLog()
    ended(run_log, "broken-off", "home", "nothing", status="running")
    before = (dict(run_log.records), dict(run_log.servers.records), dict(run_log.leases))
    state = check(clean(), run_log)
    assert (state.run.id, state.run.execution, state.run.started) == ("broken-off", "arn:new", NOON)
    assert (state.goal, state.waves) == ("clean_up", ())
    assert [server.id for server in state.servers] == ["i-00000000", "i-00000001"]
    assert state.cutover.fence is not None
    assert state.cutover.fence.kind == "security-group"
    assert (run_log.records, run_log.servers.records, run_log.leases) == before


def test_a_run_that_nobody_kept_the_request_of_is_cleaned_up_too() -> None:
    run_log = MemoryRunLog()
    ended(run_log, "broken-off", "nothing", status="running")
    run_log.records["broken-off"] = run_log.records["broken-off"].model_copy(update={"request": None})
    assert len(check(clean(), run_log).servers) == 1


@pytest.mark.parametrize(
    ("event", "part"),
    [
        (clean("nobody"), "there is no run 'nobody'"),
        (clean("over"), "came to its own end"),
        (clean(target="broken"), "one of target 'azure-home'"),
        (clean(None), "clean_up: goal clean_up names the run"),
        (clean(7), "clean_up: "),
    ],
    ids=["unknown", "over", "target", "none", "no-text"],
)
def test_what_cannot_be_cleaned_up_after_is_told(event: StartEvent, part: str) -> None:
    run_log = MemoryRunLog()
    ended(run_log, "broken-off", "nothing", status="running")
    ended(run_log, "over", "failed")
    assert part in refusal(event, run_log)


def test_a_run_that_goes_on_is_not_cleaned_up_after() -> None:
    run_log = MemoryRunLog()
    ended(run_log, "broken-off", "nothing", status="running")
    executions = MemoryExecutions(going_on={"arn:broken-off"})
    with pytest.raises(CloudBusy, match="goes on still"):
        check(clean(), run_log, executions=executions)


def test_names_of_those_that_clean_up_are_no_names_of_runs() -> None:
    assert "doesn't begin with clean-up-" in refusal(prepare(name="clean-up-everything"))
