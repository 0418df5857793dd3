"""Writes docs/stages.md: every stage and door with its contract, stages with their result, from the files that count.

`python -m stacks.stages_page` writes it anew; a test compares it with what's there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from failback.contracts import read_contracts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.contracts import StageContract

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/stages.md"
_TOP = """\
# The stages

Written by `python -m stacks.stages_page` from each stage's `stage.json` and `example.json` in `lambdas/stages`. Every
stage is called with the run's whole state and gives back the same six members (`failback/model/stage.py`,
[why](decisions/0005-one-envelope-for-all-stages.md)); shown is what the stage itself adds.
"""
_DOORS = """\
# The doors

Functions by which people and services come in, from `lambdas/doors`. The state machine doesn't call them.
"""


def page(stages: Path, doors: Path) -> str:
    """The page's text, in the order in which the state machine names its stages."""
    machine = json.loads((ROOT / "statemachine/failback.asl.json").read_text(encoding="utf-8"))
    contracts = read_contracts(stages)
    order = [name for name in _names(machine) if name in contracts]
    lines = [line for name in order for line in _stage(name, contracts[name], stages / name)]
    more = [line for name, contract in read_contracts(doors).items() for line in _section(name, contract)]
    return "\n".join([_TOP, *lines, _DOORS, *more])


def _names(machine: dict[str, Any]) -> Iterator[str]:
    """The states' names, those inside of a Map in its place."""
    for name, state in machine["States"].items():
        yield name
        if "ItemProcessor" in state:
            yield from _names(state["ItemProcessor"])


def _stage(name: str, contract: StageContract, folder: Path) -> Iterator[str]:
    yield from _section(name, contract)
    result = json.loads((folder / "example.json").read_text(encoding="utf-8"))["result"]
    yield f"A result:\n\n```json\n{json.dumps(_shown(name, result), indent=2)}\n```\n"


def _section(name: str, contract: StageContract) -> Iterator[str]:
    where = "in AWS, one function" if contract.side == "aws" else "one function for each home"
    yield f"## {name}\n"
    yield f"{contract.summary}.\n"
    yield "| | |\n|---|---|"
    yield f"| runs | {where}, {contract.memory_mib} MiB, at most {contract.timeout_seconds} s a call |"
    yield f"| deadline | {contract.deadline_minutes} minutes, all calls together |"
    for resource, actions in contract.allow.items():
        yield f"| may, on `{resource}` | {', '.join(f'`{action}`' for action in actions)} |"
    yield ""


def _shown(name: str, result: dict[str, object]) -> dict[str, object]:
    """The result without what's empty, and without what all results share."""
    if name == "check_request":
        return result
    return {key: value for key, value in result.items() if value is not None and key not in {"since", "wait_seconds"}}


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(ROOT / "lambdas/stages", ROOT / "lambdas/doors"), encoding="utf-8")


if __name__ == "__main__":
    main()
