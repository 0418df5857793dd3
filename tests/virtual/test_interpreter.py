"""The interpreter of the definition in virtual time: retries, catches, tokens, maps, sizes; what it doesn't know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.virtual.interpreter import LARGEST_STATE, History, Interpreter, StateFailed
from tests.virtual.virtual_time import VirtualTime

if TYPE_CHECKING:
    from collections.abc import Callable

Json = Any
DAY = 86_400.0
RETRY = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 5, "MaxAttempts": 3, "BackoffRate": 2.0, "MaxDelaySeconds": 8}]
CATCH = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failed", "Next": "caught"}]


def task(**more: Json) -> Json:
    return {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "ResultPath": "$.told",
            "Parameters": {"FunctionName": "work", "Payload.$": "$"}, "Next": "end", **more}  # fmt: skip


def machine(**states: Json) -> Json:
    return {
        "StartAt": next(iter(states)),
        "States": {**states, "caught": {"Type": "Succeed"}, "end": {"Type": "Succeed"}},
    }


def run(
    definition: Json, invoke: Callable[[Json], Json], given: Json, *, time: VirtualTime | None = None
) -> tuple[History, VirtualTime]:
    time = time or VirtualTime()
    interpreter = Interpreter(definition, time, lambda _name, payload: invoke(payload))
    history = interpreter.execute(given, {"Execution": {"Name": "one"}})
    time.run_until(lambda: history.ended, at_most=DAY)
    return history, time


class Fails:
    """Fails so many times, and tells when it was called."""

    def __init__(self, times: int, error: str = "Busy") -> None:
        self.left, self.error = times, error

    def __call__(self, payload: Json) -> Json:
        if self.left:
            self.left -= 1
            raise StateFailed(self.error, "no")
        return {"got": payload["one"]}


def test_a_task_is_tried_again_with_growing_pauses_and_its_result_is_placed() -> None:
    time = VirtualTime()
    began = time.now()
    history, _ = run(machine(work=task(Retry=RETRY, Catch=CATCH)), Fails(3), {"one": 1}, time=time)
    assert history.output == {"one": 1, "told": {"Payload": {"got": 1}}}
    assert (time.now() - began).total_seconds() == 5 + 8 + 8


@pytest.mark.parametrize(("times", "error"), [(4, "Busy"), (1, "Other")])
def test_what_is_tried_in_vain_or_never_is_caught(times: int, error: str) -> None:
    history, _ = run(machine(work=task(Retry=RETRY, Catch=CATCH)), Fails(times, error), {"one": 1})
    assert history.states == ["work", "caught"]
    assert history.output["failed"] == {"Error": error, "Cause": "no"}


def test_without_a_catch_the_execution_fails() -> None:
    history, _ = run(machine(work=task()), Fails(1, "Other"), {"one": 1})
    assert history.failure is not None
    assert history.failure.error == "Other"


def waiting(**more: Json) -> Json:
    return task(
        Resource="arn:aws:states:::lambda:invoke.waitForTaskToken",
        Parameters={"FunctionName": "work", "Payload": {"token.$": "$$.Task.Token"}},
        **{"TimeoutSeconds": 3600, **more},
    )


@pytest.mark.parametrize("late", [0.0, 600.0])
def test_a_token_is_answered_once_whenever_that_is(late: float) -> None:
    time, answers = VirtualTime(), []

    def invoke(payload: Json) -> Json:
        def answer() -> None:
            answers.extend([time.answer(payload["token"], "first"), time.answer(payload["token"], "second")])

        answer() if not late else time.at(late, answer)

    began = time.now()
    history, _ = run(machine(work=waiting()), invoke, {}, time=time)
    assert (history.output, answers) == ({"told": "first"}, [True, False])
    assert (time.now() - began).total_seconds() == late


def test_a_token_that_nobody_answers_times_out() -> None:
    history, _ = run(machine(work=waiting(Catch=CATCH)), lambda _payload: None, {})
    assert history.output["failed"]["Error"] == "States.Timeout"


def test_a_failure_of_one_child_touches_no_other() -> None:
    inner = {**machine(work=task()), "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    each = {"Type": "Map", "ItemsPath": "$.items", "ItemSelector": {"one.$": "$$.Map.Item.Value"}, "MaxConcurrency": 2,
            "ItemProcessor": inner, "ToleratedFailurePercentage": 100.0, "ResultPath": None, "Next": "end"}  # fmt: skip

    def invoke(payload: Json) -> Json:
        if payload["one"] % 2:
            raise StateFailed("Odd", "x" * 2048)
        return payload["one"]

    history, _ = run(machine(each=each), invoke, {"items": [0, 1, 2, 3, 4]})
    assert history.output == {"items": [0, 1, 2, 3, 4]}
    assert [each.failure and each.failure.error for each in history.children] == [None, "Odd", None, "Odd", None]


def test_a_state_that_is_too_large_fails() -> None:
    history, _ = run(machine(work=task()), lambda _payload: "x" * LARGEST_STATE, {})
    assert history.failure is not None
    assert history.failure.error == "States.DataLimitExceeded"


def test_what_is_not_understood_is_refused() -> None:
    with pytest.raises(AssertionError, match="HeartbeatSeconds"):
        run(machine(work=task(HeartbeatSeconds=5)), lambda _payload: None, {})


def test_a_stopped_execution_goes_no_further() -> None:
    time = VirtualTime()
    pause = {"Type": "Wait", "SecondsPath": "$.seconds", "Next": "work"}
    called: list[Json] = []
    interpreter = Interpreter(machine(pause=pause, work=task()), time, lambda _name, payload: called.append(payload))
    history = interpreter.execute({"seconds": 60}, {"Execution": {"Name": "one"}})
    time.at(30, lambda: setattr(history, "stopped", True))
    time.run_until(lambda: history.ended, at_most=DAY)
    assert not called
    assert history.failure is not None
