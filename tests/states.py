"""States of runs for tests: those of the stages' examples, with members changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from failback.model.run import RunState

STAGES = Path(__file__).resolve().parents[1] / "lambdas/stages"


def event_of(stage: str, **changed: object) -> dict[str, Any]:
    """The event of a stage's example, with some members changed."""
    event: dict[str, Any] = json.loads((STAGES / stage / "example.json").read_text(encoding="utf-8"))["event"]
    return {**event, **changed}


def state_of(stage: str, **changed: object) -> RunState:
    """The same as a state."""
    return RunState.model_validate(event_of(stage, **changed))
