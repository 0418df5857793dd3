"""The part of Amazon States Language that our definition uses, in virtual time (states-language.net, 2016 version).

Whatever it doesn't know is refused, so that a state that says more than is understood here can't pass unseen. The same
runs as the embedded Step Functions has them are held against it.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.virtual.virtual_time import All, Answer, Pause

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from datetime import datetime

    from tests.virtual.virtual_time import VirtualTime

Json = Any
LARGEST_STATE = 262_144
"""Bytes of a state's input or output (Step Functions, quotas)."""
CHILD = "DISTRIBUTED"
_STEP = re.compile(r"\.([A-Za-z0-9_]+)|\[([0-9]+)\]")
_KNOWN = {
    "Task": {"Resource", "Parameters", "ResultSelector", "ResultPath", "OutputPath", "TimeoutSeconds",
             "TimeoutSecondsPath", "Retry", "Catch"},
    "Choice": {"Choices", "Default"},
    "Wait": {"SecondsPath"},
    "Pass": {"Parameters", "Result", "ResultPath"},
    "Map": {"ItemsPath", "ItemSelector", "ItemProcessor", "MaxConcurrency", "MaxConcurrencyPath", "ResultPath",
            "ToleratedFailurePercentage", "Catch"},
    "Succeed": set(),
    "Fail": {"ErrorPath", "CausePath"},
}  # fmt: skip
EVENTS = {"Task": 5, "Map": 4, "Succeed": 2}
"""Events in a history for one pass through a state (Task: entered, scheduled, started, succeeded, exited)."""


class StateFailed(Exception):
    """A state's error by its name, with its cause."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error, self.cause = error, cause

    @property
    def output(self) -> Json:
        return {"Error": self.error, "Cause": self.cause}


class Passed(NamedTuple):
    """A state that was entered, and left again after so many seconds; `size` are bytes of its output."""

    state: str
    kind: str
    at: datetime
    seconds: float
    size: int


@dataclass
class History:
    """What one execution, or one child of a Distributed Map, has gone through."""

    name: str
    passed: list[Passed] = field(default_factory=list)
    stopped: bool = False
    ended: bool = False
    failure: StateFailed | None = None
    output: Json = None
    children: list[History] = field(default_factory=list)

    @property
    def states(self) -> list[str]:
        return [each.state for each in self.passed]

    @property
    def events(self) -> int:
        """About as many as Step Functions writes."""
        return 2 + sum(EVENTS.get(each.kind, 2) for each in self.passed)

    def everyone(self) -> list[History]:
        """This and all below it."""
        return [self, *(each for child in self.children for each in child.everyone())]


class Stopped(Exception):
    """The execution was stopped: no Catch runs."""


@dataclass
class Interpreter:
    """Runs executions of one definition. `invoke(function, payload)` is Lambda; it raises StateFailed."""

    definition: Json
    time: VirtualTime
    invoke: Callable[[str, Json], Json]
    check: Callable[[History, str], None] = lambda _history, _state: None
    _tokens: Any = field(default_factory=lambda: itertools.count(1))

    def execute(self, given: Json, context: Json) -> History:
        """Begin an execution; its history says when it has ended."""
        history = History(context["Execution"]["Name"])
        self._spawn(self.definition, given, context, history)
        return history

    def _spawn(self, machine: Json, given: Json, context: Json, history: History) -> None:
        def ended(result: Any) -> None:  # noqa: ANN401
            history.ended = True
            if isinstance(result, (StateFailed, Stopped)):
                history.failure = result if isinstance(result, StateFailed) else StateFailed("Aborted", "stopped")
            elif isinstance(result, BaseException):
                raise result
            else:
                history.output = result

        self.time.spawn(self._level(machine, given, context, history), ended)

    def _level(self, machine: Json, data: Json, context: Json, history: History) -> Generator[Any, Any, Json]:
        """One machine's states, from its first to an end; gives its output."""
        name: str | None = machine["StartAt"]
        while name is not None:
            state, began = machine["States"][name], self.time.now()
            _check_known(name, state)
            if history.stopped:
                raise Stopped
            self.check(history, name)
            try:
                data, following = yield from self._pass(name, state, data, context, history)
                _check_size(name, data)
            finally:
                spent = (self.time.now() - began).total_seconds()
                history.passed.append(Passed(name, state["Type"], began, spent, len(json.dumps(data))))
            name = following
        return data

    def _pass(
        self, name: str, state: Json, data: Json, context: Json, history: History
    ) -> Generator[Any, Any, tuple[Json, str | None]]:
        """One state: its output, and the next one."""
        following = state.get("Next")
        match state["Type"]:
            case "Task" | "Map":
                work = self._task if state["Type"] == "Task" else self._map
                try:
                    result = yield from work(state, data, context, history)
                except StateFailed as failed:
                    return _caught(state, data, failed)
                return _put(state, data, result), following
            case "Choice":
                return data, next((each["Next"] for each in state["Choices"] if _holds(each, data)), state["Default"])
            case "Wait":
                yield Pause(float(_at(data, state["SecondsPath"])))
                return data, following
            case "Pass":
                made = (
                    _filled(state["Parameters"], data, context) if "Parameters" in state else state.get("Result", data)
                )
                return _put(state, data, made), following
            case "Fail":
                raise StateFailed(_at(data, state["ErrorPath"]), _at(data, state["CausePath"]))
        assert state["Type"] == "Succeed", name
        return data, None

    def _task(self, state: Json, data: Json, context: Json, history: History) -> Generator[Any, Any, Json]:
        """Call it until it succeeds, or none of its Retry rules helps any more."""
        tries: dict[int, int] = {}
        while True:
            try:
                result = yield from self._call(state, data, context, history)
                break
            except StateFailed as failed:
                number, rule = _rule_for(state.get("Retry", []), failed.error)
                if rule is None or tries.get(number, 0) >= rule["MaxAttempts"]:
                    raise
                pause = rule["IntervalSeconds"] * rule["BackoffRate"] ** tries.get(number, 0)
                tries[number] = tries.get(number, 0) + 1
                yield Pause(min(pause, rule.get("MaxDelaySeconds", pause)))
                if history.stopped:
                    raise Stopped from failed
        if "ResultSelector" in state:
            result = _filled(state["ResultSelector"], result, context)
        return result

    def _call(self, state: Json, data: Json, context: Json, history: History) -> Generator[Any, Any, Json]:
        waits = state["Resource"].endswith(".waitForTaskToken")
        token = f"token-{next(self._tokens)}"
        given = _filled(state["Parameters"], data, {**context, "Task": {"Token": token}})
        _check_size("a task's input", given["Payload"])
        answered: list[Json] = []
        if not waits:
            return {"Payload": self.invoke(given["FunctionName"], given["Payload"])}
        seconds = state.get("TimeoutSeconds") or _at(data, state["TimeoutSecondsPath"])
        self._early(token, answered)
        self.invoke(given["FunctionName"], given["Payload"])
        if not answered:
            answered.append((yield Answer(token, float(seconds))))
        else:
            self.time.forget(token)
        if history.stopped:
            raise Stopped
        if answered[0] is None:
            raise StateFailed("States.Timeout", "nobody answered the task's token")
        if isinstance(answered[0], StateFailed):
            raise answered[0]
        return answered[0]

    def _early(self, token: str, answered: list[Json]) -> None:
        """Whoever answers while the function itself still runs is heard, too."""
        self.time.expect(token, answered.append)

    def _map(self, state: Json, data: Json, context: Json, history: History) -> Generator[Any, Any, Json]:
        inner, most = state["ItemProcessor"], state.get("MaxConcurrency", 0)
        most = _at(data, state["MaxConcurrencyPath"]) if "MaxConcurrencyPath" in state else most
        distributed = inner["ProcessorConfig"]["Mode"] == CHILD
        levels = []
        for number, item in enumerate(_at(data, state["ItemsPath"])):
            inside = {**context, "Map": {"Item": {"Index": number, "Value": item}}}
            given = _filled(state["ItemSelector"], data, inside)
            _check_size("an item's input", given)
            of = History(f"{history.name}/{number}") if distributed else history
            if distributed:
                history.children.append(of)
            levels.append(self._child(inner, given, context, of) if distributed else
                          self._level(inner, given, context, of))  # fmt: skip
        results = yield All(levels, most)
        for failed in results:
            if isinstance(failed, BaseException) and not (distributed and state["ToleratedFailurePercentage"] == 100.0):
                raise failed
        return [None if isinstance(each, BaseException) else each for each in results]

    def _child(self, machine: Json, given: Json, context: Json, of: History) -> Generator[Any, Any, Json]:
        try:
            of.output = yield from self._level(machine, given, context, of)
        except StateFailed as failed:
            of.failure = failed
            raise
        finally:
            of.ended = True
        return of.output


def filled_in(definition: str, functions: Mapping[str, str]) -> Json:
    """The definition as it's deployed: its `${stage}` are functions' names."""
    return json.loads(re.sub(r"\$\{([a-z_]+)\}", lambda found: functions[found[1]], definition))


def _check_known(name: str, state: Json) -> None:
    unknown = set(state) - _KNOWN[state["Type"]] - {"Type", "Comment", "Next", "End"}
    assert not unknown, (name, unknown)


def _check_size(name: str, data: Json) -> None:
    size = len(json.dumps(data, separators=(",", ":")).encode())
    if size > LARGEST_STATE:
        raise StateFailed("States.DataLimitExceeded", f"{name}: {size} bytes")


def _rule_for(rules: list[Json], error: str) -> tuple[int, Json]:
    for number, rule in enumerate(rules):
        if {error, "States.ALL"} & set(rule["ErrorEquals"]):
            return number, rule
    return -1, None


def _caught(state: Json, data: Json, failed: StateFailed) -> tuple[Json, str]:
    _, rule = _rule_for(state.get("Catch", []), failed.error)
    if rule is None:
        raise failed
    return _placed(data, rule["ResultPath"], failed.output), rule["Next"]


def _put(state: Json, data: Json, result: Json) -> Json:
    """A result where the state wants it; JSON's null as ResultPath throws it away."""
    if state.get("OutputPath"):
        return _at(result, state["OutputPath"])
    if "ResultPath" in state and state["ResultPath"] is None:
        return data
    return _placed(data, state["ResultPath"], result) if "ResultPath" in state else result


def _placed(data: Json, path: str, value: Json) -> Json:
    steps = _steps(path)
    copied = json.loads(json.dumps(data))
    at = copied
    for step in steps[:-1]:
        at = at.setdefault(step, {})
    at[steps[-1]] = value
    return copied


def _steps(path: str) -> list[Any]:
    assert re.fullmatch(r"\$(\.[A-Za-z0-9_]+|\[[0-9]+\])*", path), path
    return [int(found[2]) if found[2] else found[1] for found in _STEP.finditer(path)]


class _Missing(Exception):
    pass


def _found(data: Json, path: str) -> Json:
    for step in _steps(path):
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError) as error:
            raise _Missing from error
    return data


def _at(data: Json, path: str) -> Json:
    try:
        return _found(data, path)
    except _Missing:
        raise StateFailed("States.Runtime", f"{path} isn't there") from None


def _filled(template: Json, data: Json, context: Json) -> Json:
    """A template's payload: names that end with `.$` are paths, into the input or (`$$`) the context."""
    if isinstance(template, list):
        return [_filled(each, data, context) for each in template]
    if not isinstance(template, dict):
        return template
    made = {}
    for name, value in template.items():
        if name.endswith(".$"):
            made[name[:-2]] = _at(context, value[1:]) if value.startswith("$$") else _at(data, value)
        else:
            made[name] = _filled(value, data, context)
    return made


def _holds(rule: Json, data: Json) -> bool:
    if "And" in rule:
        return all(_holds(each, data) for each in rule["And"])
    try:
        value = _found(data, rule["Variable"])
    except _Missing:
        if "IsPresent" in rule:
            return not rule["IsPresent"]
        raise StateFailed("States.Runtime", f"{rule['Variable']} isn't there") from None
    if "IsPresent" in rule:
        return bool(rule["IsPresent"])
    (test,) = set(rule) & {"StringEquals", "BooleanEquals"}
    return bool(value == rule[test]) and isinstance(value, type(rule[test]))
