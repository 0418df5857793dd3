"""The state machine's definition keeps the rules that it was laid down by."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

from failback import errors
from failback.contracts import read_contract

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "statemachine" / "failback.asl.json").read_text(encoding="utf-8")
MACHINE: dict[str, Any] = json.loads(TEXT)
STATES: dict[str, dict[str, Any]] = MACHINE["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
STAGES = {path.parent.name: read_contract(path.parent) for path in (ROOT / "lambdas" / "stages").glob("*/stage.json")}

# Step Functions developer guide, "Handling errors": its own names, and those of Lambda that invoke passes on.
STEP_FUNCTIONS = re.compile(r"^(States|Lambda|Runtime|Sandbox)\.[A-Za-z]+$")
RETRIED = {
    "CloudBusy",
    "CloudUnreachable",
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
}
# Where a stage's failure leads; all others give back what the run has made.
CAUGHT_BY = {"check_request": "request_refused", "give_back": "write_report", "write_report": "report_failed"}


def nexts(state: dict[str, Any]) -> set[str]:
    """Where a state can lead."""
    rules = [state, *state.get("Choices", ()), *state.get("Catch", ())]
    return {rule["Next"] for rule in rules if "Next" in rule} | ({state["Default"]} if "Default" in state else set())


def error_names() -> set[str]:
    """The errors that the definition catches or tries again."""
    rules = [rule for state in TASKS.values() for rule in (*state["Retry"], *state["Catch"])]
    return {name for rule in rules for name in rule["ErrorEquals"]}


def test_every_stage_is_a_task_and_every_task_a_stage() -> None:
    assert set(TASKS) == set(STAGES)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_calls_its_own_function(name: str) -> None:
    task = TASKS[name]
    assert task["Resource"] == "arn:aws:states:::lambda:invoke"
    called = task["Parameters"].get("FunctionName.$", task["Parameters"].get("FunctionName"))
    assert called == (f"$.home.functions.{name}" if STAGES[name].side == "home" else f"${{{name}}}")
    assert task["Comment"] == STAGES[name].summary


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_outlasts_its_function_by_a_little(name: str) -> None:
    assert 0 < TASKS[name]["TimeoutSeconds"] - STAGES[name].timeout_seconds <= 60


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
    assert catch["ResultPath"] in {f"$.failed.{name}", "$.refused"}


@pytest.mark.parametrize("name", sorted(set(TASKS) - {"check_request"}))
def test_a_task_that_isnt_done_is_called_again(name: str) -> None:
    judged = STATES[TASKS[name]["Next"]]
    waits = STATES[judged["Default"]]
    assert waits["Type"] == "Wait"
    assert waits["Next"] == name
    assert {rule["StringEquals"]: rule["Next"] for rule in judged["Choices"]}["more"] == name


def test_every_choice_has_a_default() -> None:
    assert [name for name, state in STATES.items() if state["Type"] == "Choice" and "Default" not in state] == []


def test_every_next_exists_and_every_state_is_reached() -> None:
    reached, waiting = set(), [MACHINE["StartAt"]]
    while waiting:
        name = waiting.pop()
        assert name in STATES, f"{name} is led to, and isn't there"
        if name not in reached:
            reached.add(name)
            waiting += sorted(nexts(STATES[name]))
    assert reached == set(STATES)


def test_every_state_can_end() -> None:
    ends = {name for name, state in STATES.items() if state["Type"] in {"Succeed", "Fail"}}
    while grown := {name for name, state in STATES.items() if nexts(state) & ends} - ends:
        ends |= grown
    assert ends == set(STATES)


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
