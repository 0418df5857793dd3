"""How runs end: what was given back and what was left, the outcome; failures as the state machine catches them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from failback.model.facts import Facts


class Belonging(Facts):
    """Something that a run made: what kind, its id, and what the cloud is called that has it."""

    cloud: str
    kind: str
    id: str
    name: str = ""


class LeftBehind(Facts):
    """What couldn't be removed, why, and the command that removes it."""

    belonging: Belonging
    why: str
    command: str


class Returned(Facts):
    """What giving back removed (`more` besides what's named), and what it had to leave."""

    removed: tuple[Belonging, ...] = ()
    more: int = 0
    left: tuple[LeftBehind, ...] = ()


class Outcome(Facts):
    """How a run ended: where it failed, with which error of the vocabulary, what happened and what to do."""

    outcome: Literal["done", "failed"]
    stage: str = ""
    error: str = ""
    cause: str = ""
    report: str = ""


class Failure(BaseModel):
    """A failure as the state machine catches it: Step Functions gives Error and Cause."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    Error: str = ""
    Cause: str = ""
