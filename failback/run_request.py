"""The gate of every run: judges the request, finds its target, takes the servers' locks and opens the run.

All faults are told at once. Nothing is kept of a request that's refused: neither a lock nor a record.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from pydantic import ValidationError

from failback.errors import DeploymentInvalid, RequestInvalid
from failback.listing import listed
from failback.model.record import RunRecord
from failback.model.request import RunRequest
from failback.model.run import WAIT_MARGIN_SECONDS, HomeFacts, RunFacts, RunState
from failback.model.server import ServerRef
from failback.naming import server_lock
from failback.request_faults import field_faults, whole_faults

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.model.request import StartEvent
    from failback.model.target import HomeName, Target
    from failback.ports import Clock, RunLog
    from failback.recovery_ports import ServerBook

# Run ids become tags and names in three clouds, and AgentSettings' `run`.
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LOCK_TIME = timedelta(days=31)
"""From the run's start: a day more than the state machine lets it live, for a run that couldn't give its locks back."""
FIRST_LOCK = timedelta(minutes=15)
"""Until the run is noted: one that dies before would keep its servers from everybody, and nobody could see why."""


class TargetBook(Protocol):
    """The deployment's targets."""

    def names(self) -> Sequence[str]: ...

    def get(self, name: str) -> Target | None:
        """The target; raises DeploymentInvalid where what's stored is none."""
        ...


def check_request(
    event: StartEvent,
    *,
    targets: TargetBook,
    functions: Mapping[HomeName, Mapping[str, str]],
    run_log: RunLog,
    book: ServerBook,
    clock: Clock,
) -> RunState:
    """The state of the run that's asked for, noted in the run log; raises RequestInvalid with every fault.

    Its servers are locked and enlisted. Asked again for the same execution, everything is found and kept.
    """
    faults = [] if RUN_ID.fullmatch(event.name) else [_name_fault(event.name)]
    request = _request(event.request, faults)
    target = _target(event.request, targets, functions, faults)
    if faults or request is None or target is None:
        raise RequestInvalid(_refusal(faults))
    state = _state(event, request, target, functions[target.home])
    with ExitStack() as on_failure:
        _lock(state, on_failure, run_log=run_log, now=clock.now(), until=clock.now() + FIRST_LOCK)
        run_log.open(_record(state))
        book.enlist(event.name, request.servers)
        _lock(state, on_failure, run_log=run_log, now=clock.now(), until=state.run.started + LOCK_TIME)
        on_failure.pop_all()
    return state


def _state(event: StartEvent, request: RunRequest, target: Target, functions: Mapping[str, str]) -> RunState:
    replication = request.replication
    return RunState(
        run=RunFacts(id=event.name, execution=event.execution, started=datetime.fromisoformat(event.started)),
        goal=request.goal,
        target=target,
        home=HomeFacts(name=target.home, functions=dict(functions)),
        client_image=request.client_image,
        replication=replication,
        timeout_seconds=replication.deadline_hours * 3600 + WAIT_MARGIN_SECONDS,
        servers=tuple(ServerRef(id=server.recovery_instance) for server in request.servers),
    )


def _record(state: RunState) -> RunRecord:
    return RunRecord(
        run=state.run.id,
        execution=state.run.execution,
        goal=state.goal,
        target=state.target.name,
        home=state.home.name,
        started=state.run.started,
    )


def _lock(state: RunState, on_failure: ExitStack, *, run_log: RunLog, now: datetime, until: datetime) -> None:
    """Take every server's lock, to be given back on failure; raises RequestInvalid that names who holds the others.

    Only a run that changes something at its servers keeps others from them.
    """
    if state.goal != "failback":
        return
    faults, run = [], state.run.id
    for number, server in enumerate(state.servers):
        name = server_lock(server.id)
        holder = run_log.lease(name, run, now=now, until=until)
        if holder == run:
            on_failure.callback(run_log.release, name, run)
        else:
            faults.append(
                f"servers.{number}.recovery_instance: run {holder} has {server.id}; wait for its end, or stop it"
            )
    if faults:
        raise RequestInvalid(_refusal(faults))


def _refusal(faults: Sequence[str]) -> str:
    return f"The request can't be run: {listed(faults, separator='; ', more='and {} more')}. Nothing was made."


def _name_fault(name: str) -> str:
    return f"name: {name!r} can't be a run's id: give the execution a name of at most 64 letters, digits, '.', '_', '-'"


def _request(fields: Mapping[str, object], faults: list[str]) -> RunRequest | None:
    whole = whole_faults(fields)
    try:
        request = RunRequest.model_validate(dict(fields))
    except ValidationError as error:
        found = [*field_faults(error), *whole]
        # What only the model has found in the whole has no path.
        faults += found or [each["msg"] for each in error.errors()]
        return None
    faults += whole
    return request


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
