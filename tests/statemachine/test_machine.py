"""The state machine's definition keeps the rules that it was laid down by."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from failback import errors
from failback.contracts import read_contract
from failback.model.run import WAIT_MARGIN_SECONDS, Part, RunState
from failback.model.server import ServerOutcome
from failback.waves import LONGEST_WAIT

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "statemachine" / "failback.asl.json").read_text(encoding="utf-8")
MACHINE: dict[str, Any] = json.loads(TEXT)


def levels(machine: dict[str, Any]) -> list[dict[str, Any]]:
    """The machine and those inside of it: each runs from its own start among its own states."""
    inner = [state["ItemProcessor"] for state in machine["States"].values() if "ItemProcessor" in state]
    return [machine, *(level for each in inner for level in levels(each))]


LEVELS = levels(MACHINE)
PARTS, WAVES, SERVERS = LEVELS[1:]
LEVEL_NAMES = ["machine", "part", "wave", "server"]
STATES: dict[str, dict[str, Any]] = {name: state for level in LEVELS for name, state in level["States"].items()}
RUN_PART = STATES["run_part"]
"""The one task that calls no function."""
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task" and state is not RUN_PART}
STAGES = {path.parent.name: read_contract(path.parent) for path in (ROOT / "lambdas" / "stages").glob("*/stage.json")}
STAGE_OF = {name: "give_back" if name == "give_back_server" else name for name in TASKS}
"""The stage that a task calls: giving back is one stage for a run and for one server of it."""
WAITING = {name for name, task in TASKS.items() if task["Resource"].endswith(".waitForTaskToken")}

# Step Functions developer guide, "Handling errors": its own names, and those of Lambda that invoke passes on.
STEP_FUNCTIONS = re.compile(r"^(States|StepFunctions|Lambda|Runtime|Sandbox)\.[A-Za-z]+$")
RETRIED = {
    "CloudBusy",
    "CloudUnreachable",
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
}
# Where a stage's failure leads; all others give back what the run has made.
CAUGHT_BY = {
    **{name: "hold_server" for name in SERVERS["States"] if name in TASKS},
    "check_request": "request_refused",
    "give_back": "write_report",
    "write_report": "report_failed",
    "begin_wave": "wave_broken",
    "hold_server": "give_back_server",
    "give_back_server": "server_failed",
    # It's home by then; what couldn't be removed is told.
    "close_server": "server_home",
}
BOUNDS = {
    "await_replication": "replication",
    "await_approval": "approval",
    "await_launch": "launch",
    "await_commit": "commit",
    "hold_server": "hold",
}
"""Which of the run's time-outs bounds a wait."""


def nexts(state: dict[str, Any]) -> set[str]:
    """Where a state can lead."""
    rules = [state, *state.get("Choices", ()), *state.get("Catch", ())]
    return {rule["Next"] for rule in rules if "Next" in rule} | ({state["Default"]} if "Default" in state else set())


def error_names() -> set[str]:
    """The errors that the definition catches or tries again."""
    rules = [rule for state in TASKS.values() for rule in (*state["Retry"], *state["Catch"])]
    return {name for rule in rules for name in rule["ErrorEquals"]}


def test_every_stage_is_a_task_and_every_task_a_stage() -> None:
    assert set(STAGE_OF.values()) == set(STAGES)
    assert sum(len(level["States"]) for level in LEVELS) == len(STATES), "a name stands for two states"


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_calls_its_own_function(name: str) -> None:
    task, stage = TASKS[name], STAGE_OF[name]
    assert task["Resource"].removesuffix(".waitForTaskToken") == "arn:aws:states:::lambda:invoke"
    called = task["Parameters"].get("FunctionName.$", task["Parameters"].get("FunctionName"))
    assert called == (f"$.home.functions.{stage}" if STAGES[stage].side == "home" else f"${{{stage}}}")


@pytest.mark.parametrize("name", sorted(set(STAGES) & set(TASKS) - WAITING))
def test_a_task_says_what_its_stage_does(name: str) -> None:
    assert TASKS[name]["Comment"] == STAGES[name].summary


@pytest.mark.parametrize("name", sorted(set(TASKS) - WAITING))
def test_a_task_outlasts_its_function_by_a_little(name: str) -> None:
    timeout = STAGES[STAGE_OF[name]].timeout_seconds
    assert 0 < TASKS[name]["TimeoutSeconds"] - timeout <= 60


@pytest.mark.parametrize("name", sorted(WAITING))
def test_a_wait_has_an_end_of_its_own_and_isnt_begun_again(name: str) -> None:
    """The watcher answers at the deadline; where it doesn't, the wait ends once, a little later."""
    task = TASKS[name]
    assert task["TimeoutSecondsPath"] == f"$.timeouts.{BOUNDS[name]}"
    assert "TimeoutSeconds" not in task
    assert not {"States.Timeout", "States.ALL"} & {error for rule in task["Retry"] for error in rule["ErrorEquals"]}
    assert task["Parameters"]["Payload"] == {"token.$": "$$.Task.Token", "state.$": "$"}
    assert WAIT_MARGIN_SECONDS >= 5 * 60, "the watcher looks once a minute, and may be late"


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_tries_again_with_growing_waits(name: str) -> None:
    rules = TASKS[name]["Retry"]
    assert {error for rule in rules for error in rule["ErrorEquals"]} >= RETRIED
    for rule in rules:
        assert rule["BackoffRate"] > 1
        assert rule["JitterStrategy"] == "FULL"
        assert 1 <= rule["MaxAttempts"] <= 10
        # What was refused for good isn't tried again.
        assert not {"States.ALL", "States.TaskFailed"} & set(rule["ErrorEquals"])


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_catches_everything(name: str) -> None:
    (catch,) = TASKS[name]["Catch"]
    assert catch["ErrorEquals"] == ["States.ALL"]
    assert catch["Next"] == CAUGHT_BY.get(name, "give_back")
    # Otherwise the error would take the place of the whole state.
    assert catch["ResultPath"] in {f"$.failed.{STAGE_OF[name]}", "$.refused"}


@pytest.mark.parametrize("name", sorted(set(TASKS) - {"check_request"} - WAITING))
def test_a_task_that_isnt_done_is_called_again(name: str) -> None:
    judged = STATES[TASKS[name]["Next"]]
    waits = STATES[judged["Default"]]
    assert waits["Type"] == "Wait"
    assert waits["Next"] == name
    assert {rule["StringEquals"]: rule["Next"] for rule in judged["Choices"]}["more"] == name


def test_every_choice_has_a_default() -> None:
    assert [name for name, state in STATES.items() if state["Type"] == "Choice" and "Default" not in state] == []


@pytest.mark.parametrize("level", LEVELS, ids=LEVEL_NAMES)
def test_every_next_exists_and_every_state_is_reached(level: dict[str, Any]) -> None:
    states = level["States"]
    reached, waiting = set(), [level["StartAt"]]
    while waiting:
        name = waiting.pop()
        assert name in states, f"{name} is led to, and isn't there"
        if name not in reached:
            reached.add(name)
            waiting += sorted(nexts(states[name]))
    assert reached == set(states)


@pytest.mark.parametrize("level", LEVELS, ids=LEVEL_NAMES)
def test_every_state_can_end(level: dict[str, Any]) -> None:
    states = level["States"]
    ends = {name for name, state in states.items() if state["Type"] in {"Succeed", "Fail"} or state.get("End")}
    while grown := {name for name, state in states.items() if nexts(state) & ends} - ends:
        ends |= grown
    assert ends == set(states)


def test_a_server_never_fails_its_map() -> None:
    """Whatever happens to one, its child succeeds and says how it ended; the Map's own failure gives back the run."""
    assert not [name for name, state in SERVERS["States"].items() if state["Type"] == "Fail"]
    ends = [state for state in SERVERS["States"].values() if state.get("End")]
    known = set(get_args(ServerOutcome.model_fields["outcome"].annotation))
    assert {end["Parameters"]["outcome"] for end in ends} == known - {"skipped"}
    servers, waves = STATES["servers"], STATES["waves"]
    assert servers["ToleratedFailurePercentage"] == 100.0
    assert servers["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    # What breaks this Map breaks its wave, and so the Map of the waves.
    assert "Catch" not in servers
    assert [rule["Next"] for rule in waves["Catch"]] == ["give_back"]
    assert waves["MaxConcurrency"] == 1
    assert {servers["ResultPath"], waves["ResultPath"]} == {None}


def test_a_part_is_a_run_of_this_machine_and_never_fails_the_others() -> None:
    assert RUN_PART["Resource"] == "arn:aws:states:::states:startExecution.sync:2"
    assert RUN_PART["Parameters"]["StateMachineArn.$"] == "$$.StateMachine.Id"
    assert set(PARTS["States"]) == {"run_part", "part_failed"}
    (catch,) = RUN_PART["Catch"]
    assert (catch["ErrorEquals"], catch["Next"]) == (["States.ALL"], "part_failed")
    # A name that's been started can be waited for again; what has failed can't be begun again under it.
    assert not {"States.ALL", "States.TaskFailed", "States.Timeout"} & set(RUN_PART["Retry"][0]["ErrorEquals"])
    assert [rule["Next"] for rule in STATES["parts"]["Catch"]] == ["write_report"]
    assert STATES["parts"]["ResultPath"] is None
    part = Part(name="run-1.azure-home", target="azure-home", request={"goal": "check"})
    asked = selection(STATES["parts"], {}, part.model_dump())
    chosen = filled(RUN_PART["Parameters"], asked, None)
    assert (chosen["Name"], chosen["Input"]) == (part.name, part.request)


def test_a_wave_may_wait_for_other_parts_as_long_as_the_machine_lives() -> None:
    assert STAGES["begin_wave"].deadline_minutes * 60 == MACHINE["TimeoutSeconds"]
    # Entered and left: the task, the choice and the wait; scheduled, started and ended: the task.
    assert 30 * 24 * 3600 / LONGEST_WAIT * 9 < 25_000 * 0.6, "a month, and the run's own events, are within its history"


def test_a_childs_state_is_all_that_its_stages_need() -> None:
    """What both Maps select, filled from a run's state as it is when the first one begins."""
    example = json.loads((ROOT / "lambdas/stages/boot_test/example.json").read_text(encoding="utf-8"))
    servers = [{"id": "i-0123456789abcdef0"}, {"id": "i-0123456789abcdef1"}]
    wave = {"name": "first", "on_failure": "stop", "servers": servers}
    more = {"timeouts": {"hold": 7200}, "replication": {}, "cutover": {}, "servers": servers, "waves": [wave]}
    parent = {**example["event"], **more}
    of_wave = selection(STATES["waves"], parent, wave)
    child = selection(STATES["servers"], of_wave, servers[0])
    state, whole = RunState.model_validate(child), RunState.model_validate(parent)
    assert state.one == "i-0123456789abcdef0"
    assert (state.run, state.target, state.home, state.plan) == (whole.run, whole.target, whole.home, whole.plan)
    assert state.timeouts == {"hold": 7200}
    assert state.failed == {}
    assert state.wave is not None
    assert state.wave.name == "first"
    # A child tells its own story: the run's other servers and finished stages aren't in it.
    assert (state.servers, state.waves, state.wave.servers) == ((), (), ())
    assert len(json.dumps(child)) < 20_000


def test_what_a_person_has_tried_again_begins_at_any_stage_that_can_fail() -> None:
    again = {rule["StringEquals"]: rule["Next"] for rule in STATES["taken_up"]["Choices"]}
    held = {name for name, way in CAUGHT_BY.items() if way == "hold_server"}
    assert {*again, STATES["taken_up"]["Default"]} == held
    assert all(name == stage for name, stage in again.items())


def selection(state: dict[str, Any], parent: dict[str, Any], item: object) -> dict[str, Any]:
    """What a Map gives to its child for an item."""
    return filled(state["ItemSelector"], parent, item)


def filled(template: dict[str, Any], parent: dict[str, Any], item: object) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in template.items():
        if name.endswith(".$"):
            made[name.removesuffix(".$")] = selected(value, parent, item)
        else:
            made[name] = filled(value, parent, item) if isinstance(value, dict) else value
    return made


def selected(path: str, parent: dict[str, Any], item: object) -> object:
    """What a path selects for a child."""
    if path.startswith("$$."):
        return item
    value: Any = parent
    for name in path.removeprefix("$.").split("."):
        value = value[name]
    return value


def test_every_error_name_is_known() -> None:
    ours = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)}
    assert {name for name in error_names() if name not in ours and not STEP_FUNCTIONS.match(name)} == set()


def test_what_is_worth_trying_again_is_tried_again() -> None:
    busy = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.CloudBusy)}
    assert busy <= error_names()


def test_the_machine_knows_no_home_and_no_service() -> None:
    assert "aws-sdk:" not in TEXT
    assert not re.search("azure|google|gcp", TEXT, re.IGNORECASE)
    assert MACHINE["TimeoutSeconds"] > 0


def test_failures_say_what_and_why() -> None:
    for name, state in STATES.items():
        if state["Type"] == "Fail":
            assert {"ErrorPath", "CausePath"} <= set(state), name
