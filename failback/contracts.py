"""A stage's contract, `stage.json` beside its handler: readable without importing the stage, fatal when wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from failback.errors import DeploymentInvalid
from failback.model.facts import Facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE = "stage.json"

Action = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+:[A-Za-z]+$")]
Resource = Literal[
    "run_log",
    "image_bucket",
    "client_iso",
    "snapshots",
    "machine_images",
    "targets",
    "federation",
    "secrets",
    "recovery",
    "recovery_hosts",
    "task_tokens",
    "client_roles",
    "launch_jobs",
    "documents",
    "hooks",
    "watcher",
    "state_machine",
]
"""What a stage may be allowed to touch; stacks/functions.py maps each word to ARNs."""


LONGEST_DEADLINE = 90 * 24 * 60
"""Minutes: what waits for other runs waits as long as the state machine lives."""


class StageContract(Facts):
    """What a stage needs. `side` tells whether one function serves all, or one is deployed for each enabled home.

    `memory_mib` and `timeout_seconds` are its function's; `deadline_minutes` is how long the stage may take in all its
    calls together; `allow` maps a resource word to the actions allowed on it.
    """

    summary: Annotated[str, StringConstraints(min_length=10, max_length=120)]
    side: Literal["aws", "home"]
    memory_mib: int = Field(ge=128, le=10240)
    timeout_seconds: int = Field(ge=3, le=900)
    deadline_minutes: int = Field(ge=1, le=LONGEST_DEADLINE)
    allow: dict[Resource, tuple[Action, ...]]


def read_contract(folder: Path) -> StageContract:
    """A stage's contract; raises DeploymentInvalid with every fault and its path."""
    path = folder / FILE
    try:
        return StageContract.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        message = f"{path}: is missing: every stage has a contract"
        raise DeploymentInvalid(message) from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        message = f"{path}: {faults}"
        raise DeploymentInvalid(message) from error


def read_contracts(folder: Path) -> Mapping[str, StageContract]:
    """All stages' contracts by name: every folder that holds a handler."""
    return {place.parent.name: read_contract(place.parent) for place in sorted(folder.glob("*/handler.py"))}
