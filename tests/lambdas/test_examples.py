"""Every stage's example is what its models say: an event that it takes, and a result that it gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from pydantic import TypeAdapter

from failback.contracts import read_contracts
from failback.model.ending import Outcome
from failback.model.request import StartEvent
from failback.model.run import RunState
from failback.model.stage import StageResult
from failback.waiting import ParkEvent

STAGES = Path(__file__).resolve().parents[2] / "lambdas/stages"
NAMES = sorted(read_contracts(STAGES))


def example(stage: str) -> dict[str, Any]:
    found = json.loads((STAGES / stage / "example.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_there_are_stages() -> None:
    assert len(NAMES) >= 9


@pytest.mark.parametrize("stage", NAMES)
def test_an_example_is_what_the_models_say(stage: str) -> None:
    shown = example(stage)
    if stage == "check_request":
        StartEvent.model_validate(shown["event"])
        given: Any = RunState.model_validate(shown["result"])
    else:
        members = state_of(shown)
        event = RunState.model_validate(members)
        assert set(members) <= set(RunState.model_fields), "the example has a member that no model knows"
        assert getattr(event, stage, None) is None
        given = TypeAdapter(result_of(stage)).validate_python(shown["result"])
    dumped = given.model_dump(mode="json")
    assert {name: value for name, value in dumped.items() if value is not None} == {
        name: value for name, value in shown["result"].items() if value is not None
    }


@pytest.mark.parametrize("stage", [name for name in NAMES if name != "check_request"])
def test_a_result_finds_its_place_in_the_state(stage: str) -> None:
    """What a stage gives can be put into the state under its own name, and read there."""
    shown = example(stage)
    RunState.model_validate({**state_of(shown), stage: shown["result"]})


def state_of(shown: dict[str, Any]) -> dict[str, Any]:
    """The run's state: it's the event itself, or beside the token that the watcher is to answer with."""
    event: dict[str, Any] = shown["event"]
    if "token" not in event:
        return event
    assert set(event) == set(ParkEvent.model_fields)
    state: dict[str, Any] = event["state"]
    return state


def result_of(stage: str) -> Any:  # noqa: ANN401
    if stage == "write_report":
        return StageResult[Outcome, None]
    return get_type_hints(RunState)[stage]
