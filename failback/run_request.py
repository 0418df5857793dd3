"""The gate of every run: judges the request, finds its target, and opens the run; all faults are told at once."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from pydantic import ValidationError

from failback.errors import DeploymentInvalid, RequestInvalid
from failback.model.record import RunRecord
from failback.model.request import RunRequest
from failback.model.run import HomeFacts, RunFacts, RunState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.model.request import StartEvent
    from failback.model.target import HomeName, Target
    from failback.ports import RunLog

# Run ids become tags and names in three clouds, and AgentSettings' `run`.
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class TargetBook(Protocol):
    """The deployment's targets."""

    def names(self) -> Sequence[str]: ...

    def get(self, name: str) -> Target | None:
        """The target; raises DeploymentInvalid where what's stored is none."""
        ...


def check_request(
    event: StartEvent, *, targets: TargetBook, functions: Mapping[HomeName, Mapping[str, str]], run_log: RunLog
) -> RunState:
    """The state of the run that the request asks for, noted in the run log; raises RequestInvalid with every fault."""
    faults = [] if RUN_ID.fullmatch(event.name) else [_name_fault(event.name)]
    request = _request(event.request, faults)
    target = _target(event.request, targets, functions, faults)
    if faults or request is None or target is None:
        message = f"The request can't be run: {'; '.join(faults)}. Nothing was made."
        raise RequestInvalid(message)
    started = datetime.fromisoformat(event.started)
    state = RunState(
        run=RunFacts(id=event.name, execution=event.execution, started=started),
        goal=request.goal,
        target=target,
        home=HomeFacts(name=target.home, functions=dict(functions[target.home])),
        client_image=request.client_image,
    )
    run_log.open(
        RunRecord(
            run=event.name,
            execution=event.execution,
            goal=request.goal,
            target=target.name,
            home=target.home,
            started=started,
        )
    )
    return state


def _name_fault(name: str) -> str:
    return f"name: {name!r} can't be a run's id: give the execution a name of at most 64 letters, digits, '.', '_', '-'"


def _request(fields: Mapping[str, object], faults: list[str]) -> RunRequest | None:
    try:
        return RunRequest.model_validate(dict(fields))
    except ValidationError as error:
        faults += [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        return None


def _target(
    fields: Mapping[str, object],
    targets: TargetBook,
    functions: Mapping[HomeName, Mapping[str, str]],
    faults: list[str],
) -> Target | None:
    """The target, judged also where the rest of the request is faulty."""
    name = fields.get("target")
    if not isinstance(name, str) or not name:
        return None
    try:
        target = targets.get(name)
    except DeploymentInvalid as error:
        faults.append(f"target: {error}")
        return None
    if target is None:
        known = ", ".join(targets.names()) or "none yet"
        faults.append(f"target: there is no target {name!r}; this deployment has: {known}")
    elif target.home not in functions:
        faults.append(f"target: {name!r} is at {target.home}, for which nothing is deployed; deploy the stack again")
    return target
