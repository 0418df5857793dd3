"""The gate of every run: judges the request, finds its target, takes the servers' locks and opens the run.

All faults are told at once. Nothing is kept of a request that's refused: neither a lock nor a record.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from pydantic import ValidationError

from failback.clean_up import PREFIX, check_not_over, check_over, clean_up_faults
from failback.errors import DeploymentInvalid, RequestInvalid
from failback.listing import listed
from failback.model.record import RunRecord
from failback.model.request import LONGEST_RUN_ID, RunRequest
from failback.model.run import WAIT_MARGIN_SECONDS, HomeFacts, RunFacts, RunState
from failback.model.server import ServerRef
from failback.naming import server_lock
from failback.parts import name_faults, part_faults, part_name, parts_of, whole_of
from failback.request_faults import field_faults, hook_faults, whole_faults
from failback.resume import resumed_fields
from failback.waves import waves_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.clean_up import Executions
    from failback.model.record import RunHistory
    from failback.model.request import StartEvent
    from failback.model.server import Awaited
    from failback.model.target import HomeName, Target
    from failback.ports import Clock, RunLog
    from failback.recovery_ports import DecisionBook, ServerBook
    from failback.settings import AllowedHooks

RUN_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_RUN_ID - 1}}}")
GOALS_THAT_CHANGE = ("failback", "rehearse")
LOCK_TIME = timedelta(days=91)
"""From the run's start: a day more than the state machine lets it live, for a run that couldn't give its locks back."""
FIRST_LOCK = timedelta(minutes=15)
"""Until the run is noted: one that dies before would keep its servers from everybody, and nobody could see why."""


class TargetBook(Protocol):
    """The deployment's targets."""

    def names(self) -> Sequence[str]: ...

    def get(self, name: str) -> Target | None:
        """The target; raises DeploymentInvalid where what's stored is none."""
        ...


@dataclass(frozen=True, slots=True)
class Gate:
    """What judging a request takes: the targets, the stages' functions by home, the log, what may be called."""

    targets: TargetBook
    functions: Mapping[HomeName, Mapping[str, str]]
    run_log: RunLog
    decisions: DecisionBook
    book: ServerBook
    executions: Executions
    hooks: AllowedHooks
    clock: Clock


def check_request(event: StartEvent, gate: Gate) -> RunState:
    """The state of the run that's asked for, noted in the run log; raises RequestInvalid with every fault.

    Its servers are locked and enlisted. Asked again for the same execution, everything is found and kept. Where a run
    is to be cleaned up after, it's that run's state; raises CloudBusy while its execution goes on. Raises Stopped
    where the execution that asks has been ended meanwhile.
    """
    faults: list[str] = []
    fields = resumed_fields(event.request, gate.run_log, faults)
    request = _request(fields, faults)
    target = _target("target", fields.get("target"), gate, faults)
    if fields.get("goal") == "clean_up":
        return _unfinished(event, request, target, gate, faults)
    faults += [] if _is_name(event.name) else [_name_fault(event.name)]
    faults += hook_faults(request.cutover, gate.hooks) if request else []
    whole = whole_of(request, gate.run_log)
    faults += _faults_of_parts(event.name, request, whole, gate) if request else []
    if faults or request is None or target is None:
        raise RequestInvalid(_refusal(faults))
    run = RunFacts(id=event.name, execution=event.execution, started=datetime.fromisoformat(event.started))
    state = _state(run, request, target, gate.functions[target.home])
    with ExitStack() as on_failure:
        now = gate.clock.now()
        holders = _holders(state, request)
        _lock(holders, on_failure, run_log=gate.run_log, now=now, until=now + FIRST_LOCK)
        gate.run_log.open(_record(state, request))
        if not state.parts:
            gate.book.enlist(event.name, request.servers)
            _lock(holders, on_failure, run_log=gate.run_log, now=gate.clock.now(), until=run.started + LOCK_TIME)
        check_not_over(
            run.id,
            run_log=gate.run_log,
            decisions=gate.decisions,
            now=gate.clock.now(),
            whole=request.part_of or "",
        )
        on_failure.pop_all()
    return state


def _faults_of_parts(run: str, request: RunRequest, whole: RunHistory | None, gate: Gate) -> list[str]:
    """What's wrong with a run's parts, and with one that says that it's a part."""
    faults = part_faults(request, run, whole)
    for number, server in enumerate(request.servers):
        if server.target not in {None, request.target}:
            _target(f"servers.{number}.target", server.target, gate, faults)
    return faults + name_faults(parts_of(run, request))


def _unfinished(
    event: StartEvent, request: RunRequest | None, target: Target | None, gate: Gate, faults: list[str]
) -> RunState:
    """The state of the run that's to be cleaned up after, as far as giving back takes it."""
    run = event.request.get("clean_up")
    history = gate.run_log.read(run) if isinstance(run, str) and run else None
    if isinstance(run, str) and run:
        faults += clean_up_faults(history, run, event.request.get("target"))
    if faults or request is None or target is None or history is None:
        raise RequestInvalid(_refusal(faults))
    check_over(history.record.execution, gate.executions)
    asked = history.record.request or request
    facts = RunFacts(id=history.record.run, execution=event.execution, started=history.record.started)
    return _state(facts, asked, target, gate.functions[target.home]).model_copy(
        update={
            "goal": "clean_up",
            "parts": (),
            "waves": (),
            "servers": tuple(ServerRef(id=server.record.id) for server in history.servers),
        }
    )


def _state(run: RunFacts, request: RunRequest, target: Target, functions: Mapping[str, str]) -> RunState:
    parts = parts_of(run.id, request)
    return RunState(
        run=run,
        goal=request.goal,
        target=target,
        home=HomeFacts(name=target.home, functions=dict(functions)),
        client_image=request.client_image,
        replication=request.replication,
        cutover=request.cutover,
        timeouts=timeouts_of(request),
        parts=parts,
        waves=() if parts else waves_of(request),
        servers=() if parts else tuple(ServerRef(id=server.recovery_instance) for server in request.servers),
    )


def timeouts_of(request: RunRequest) -> dict[Awaited, int]:
    """How long the state machine itself lets each wait go on, in seconds: longer than whoever answers it."""
    launch, commit = request.cutover.launch, request.cutover.commit
    bounds: dict[Awaited, timedelta] = {
        "replication": timedelta(hours=request.replication.deadline_hours),
        "approval": timedelta(hours=launch.approval_hours),
        "launch": timedelta(minutes=launch.lag_minutes + launch.minutes),
        "commit": timedelta(hours=max(commit.hours, commit.after_hours)),
        "hold": timedelta(hours=request.cutover.hold_hours),
    }
    return {wait: int(bound.total_seconds()) + WAIT_MARGIN_SECONDS for wait, bound in bounds.items()}


def _record(state: RunState, request: RunRequest) -> RunRecord:
    return RunRecord(
        run=state.run.id,
        execution=state.run.execution,
        goal=state.goal,
        target=state.target.name,
        home=state.home.name,
        started=state.run.started,
        request=request,
        parts=tuple(part.name for part in state.parts),
    )


def _holders(state: RunState, request: RunRequest) -> Sequence[tuple[str, str]]:
    """The servers, and the run that's to have each: a part, where there are parts.

    Only a run that changes something at its servers keeps others from them.
    """
    if state.goal not in GOALS_THAT_CHANGE:
        return ()
    run, parts = state.run.id, bool(state.parts)
    return [(server, part_name(run, target) if parts else run) for server, target in request.targets.items()]


def _lock(
    holders: Sequence[tuple[str, str]], on_failure: ExitStack, *, run_log: RunLog, now: datetime, until: datetime
) -> None:
    """Take every server's lock, to be given back on failure; raises RequestInvalid that names who holds the others."""
    faults = []
    for number, (server, run) in enumerate(holders):
        name = server_lock(server)
        holder = run_log.lease(name, run, now=now, until=until)
        if holder == run:
            on_failure.callback(run_log.release, name, run)
        else:
            faults.append(
                f"servers.{number}.recovery_instance: run {holder} has {server}; wait for its end, or stop it"
            )
    if faults:
        raise RequestInvalid(_refusal(faults))


def _refusal(faults: Sequence[str]) -> str:
    return f"The request can't be run: {listed(faults, separator='; ', more='and {} more')}. Nothing was made."


def _is_name(name: str) -> bool:
    """Whether it can be a run's id; those that clean up have names of their own."""
    return bool(RUN_ID.fullmatch(name)) and not name.startswith(PREFIX)


def _name_fault(name: str) -> str:
    return (
        f"name: {name!r} can't be a run's id: give the execution a name of at most {LONGEST_RUN_ID} letters, digits, "
        f"'.', '_', '-', that doesn't begin with {PREFIX}"
    )


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


def _target(path: str, name: object, gate: Gate, faults: list[str]) -> Target | None:
    """The target that's named at a path of the request, judged also where the rest of that is faulty."""
    if not isinstance(name, str) or not name:
        return None
    try:
        target = gate.targets.get(name)
    except DeploymentInvalid as error:
        faults.append(f"{path}: {error}")
        return None
    if target is None:
        known = ", ".join(gate.targets.names()) or "none yet"
        faults.append(f"{path}: there is no target {name!r}; this deployment has: {known}")
    elif target.home not in gate.functions:
        faults.append(f"{path}: {name!r} is at {target.home}, for which nothing is deployed; deploy the stack again")
    return target
