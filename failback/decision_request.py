"""The gate of every decision: judges what a person asks for, notes it, and wakes the watcher, who acts on it.

All faults are told at once, and nothing is noted of a request that has any. What nobody waits for is refused where it
would have no effect: an acceptance, and what becomes of a failed server, count from the moment that they're waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import ValidationError

from failback.errors import FailbackError, RequestInvalid
from failback.listing import listed
from failback.model.cutover import CutoverChoice
from failback.model.decision import VERDICTS, WHOLE_RUN, Decision, DecisionRequest, wave_scope
from failback.model.facts import Facts
from failback.model.request import FIRST_WAVE
from failback.parking import STAGES
from failback.request_faults import field_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from failback.model.record import RunHistory, ServerHistory
    from failback.model.server import Awaited, ServerRecord
    from failback.ports import Clock, RunLog, Watcher
    from failback.recovery_ports import DecisionBook

T = TypeVar("T")
NOBODY = "somebody who wasn't named"
_WAITED_FOR: Mapping[str, Awaited] = {"commit": "commit", "hold": "hold"}
"""Subjects of which only what's decided during the wait counts."""
_WIDER = {"server": "name the servers", "wave": "name the servers or their wave"}


class DecidingDesk(Protocol):
    """What deciding takes."""

    @property
    def run_log(self) -> RunLog: ...

    @property
    def decisions(self) -> DecisionBook: ...

    @property
    def watcher(self) -> Watcher: ...

    @property
    def clock(self) -> Clock: ...

    def guard(self, call: Callable[[], T], /) -> T:
        """Make a call; an SDK's error comes out as one of our own vocabulary."""
        ...


class Decided(Facts):
    """What was noted; `asleep` is why the watcher couldn't be woken: it comes by itself within a minute."""

    decisions: tuple[Decision, ...]
    asleep: str = ""


def decide(fields: Mapping[str, object], desk: DecidingDesk, *, request_id: str) -> Decided:
    """Note what's decided, one decision for each server that's named, or one for the wave or the run.

    `request_id` is that of the call that brought it. Raises RequestInvalid with every fault.
    """
    request, faults = _request(fields)
    run = fields.get("run")
    history = desk.run_log.read(run) if isinstance(run, str) and run else None
    if history is None and isinstance(run, str) and run:
        faults.append(f"run: there is no run {run!r} ('failback list' shows those that there are)")
    addressed = _addressed(fields, history, faults) if history is not None else {}
    if faults or request is None:
        raise RequestInvalid(_refusal(faults))
    known_by = f"said by the caller; CloudTrail's data event of request {request_id} says who it was"
    made = tuple(_decisions(request, known_by, desk))
    for name, scopes in addressed.items():
        for decision in made:
            if decision.scope in scopes:
                desk.decisions.decide(name, decision)
    return Decided(decisions=made, asleep=_wake(desk))


def _addressed(fields: Mapping[str, object], history: RunHistory, faults: list[str]) -> Mapping[str, Collection[str]]:
    """The runs that it's about, with the scopes that are theirs: the run itself, or those of its parts that it fits."""
    scopes = _scopes(fields)
    if not history.record.parts:
        faults += _run_faults(fields, history)
        return {history.record.run: scopes}
    if fields.get("subject") == "stop":
        faults += _run_faults(fields, history)
        # A part that hasn't begun yet stops as soon as it does.
        return {name: scopes for name in (history.record.run, *history.record.parts)}
    return _addressed_parts(fields, history, faults)


def _addressed_parts(
    fields: Mapping[str, object], history: RunHistory, faults: list[str]
) -> Mapping[str, Collection[str]]:
    found: dict[str, Collection[str]] = {}
    named, refused = set(_named(fields)), []
    unknown = named - {each.record.id for each in history.all_servers}
    faults += [f"servers: run {history.record.run} has no server {server}" for server in sorted(unknown)]
    for part in history.parts:
        own = [each.record.id for each in part.servers if each.record.id in named]
        if named and not own:
            continue
        wrong = _run_faults({**fields, "servers": own}, part)
        refused += wrong
        if not wrong:
            found[part.record.run] = own or _scopes(fields)
    # Of servers that are named each has to fit; what's said of all is for the parts that it fits.
    if refused and (named or not found):
        faults += dict.fromkeys(refused)
    elif not history.parts:
        faults.append(f"run: no part of run {history.record.run} has begun yet; say it again in a minute")
    return found


def _request(fields: Mapping[str, object]) -> tuple[DecisionRequest | None, list[str]]:
    """The request, if its fields are sound, and the faults that it has whatever its run is."""
    faults = _own_faults(fields)
    try:
        return DecisionRequest.model_validate(dict(fields)), faults
    except ValidationError as error:
        return None, [*field_faults(error), *faults]


def _own_faults(fields: Mapping[str, object]) -> list[str]:
    subject, verdict, faults = fields.get("subject"), fields.get("verdict"), []
    fitting = VERDICTS.get(subject) if isinstance(subject, str) else None  # type: ignore[call-overload]
    if fitting and isinstance(verdict, str) and verdict not in fitting:
        faults.append(f"verdict: {verdict!r} isn't one on {subject}, there's {' and '.join(fitting)}")
    if subject == "stop" and (fields.get("servers") or fields.get("wave")):
        faults.append("subject: stop is about the whole run: leave servers and wave out")
    if fields.get("servers") and fields.get("wave"):
        faults.append("wave: name servers or a wave, not both")
    if (subject, verdict) == ("commit", "give_back") and fields.get("discard") is not True:
        faults.append(
            "discard: a server that has come up at home is given back only if what it has written there may be lost: "
            "say so with discard true"
        )
    return faults


def _run_faults(fields: Mapping[str, object], history: RunHistory) -> list[str]:
    """What's wrong with it for this run."""
    run = history.record
    if run.status != "running":
        return [f"run: {run.run} has ended ({run.status}): nothing waits for a decision in it any more"]
    known = {each.record.id: each for each in history.servers}
    named, wave, subject = _named(fields), fields.get("wave"), fields.get("subject")
    waves = {_wave_of(each.record) for each in history.servers}
    faults = []
    for server in named:
        faults += _server_faults(server, subject, known.get(server), run=run.run)
    if isinstance(wave, str) and wave not in waves:
        faults.append(f"wave: run {run.run} has no wave {wave!r}, it has {listed(sorted(waves), separator=', ')}")
    per = (run.request.cutover if run.request else CutoverChoice()).launch.per
    if subject == "approval" and not named and (per == "server" or (per == "wave" and not wave)):
        faults.append(f"servers: launches of run {run.run} are approved per {per}: {_WIDER[per]}")
    if not named and subject in _WAITED_FOR and not faults:
        among = [each for each in history.servers if not wave or _wave_of(each.record) == wave]
        if not any(_waits(each, subject) for each in among):
            faults.append(f"subject: no server of {f'wave {wave}' if wave else f'run {run.run}'} waits for that now")
    return faults


def _server_faults(server: str, subject: object, history: ServerHistory | None, *, run: str) -> list[str]:
    if history is None:
        return [f"servers: run {run} has no server {server}"]
    if outcome := history.record.outcome:
        return [f"servers: the part of {server} in run {run} has ended ({outcome.outcome})"]
    if subject in _WAITED_FOR and not _waits(history, subject):
        last = history.stages[-1].stage if history.stages else "no stage yet"
        return [f"servers: {server} doesn't wait for that now: it's in {last}"]
    return []


def _waits(history: ServerHistory, subject: object) -> bool:
    stage = STAGES[_WAITED_FOR[str(subject)]]
    return any(entry.stage == stage and entry.status == "pending" for entry in history.stages)


def _named(fields: Mapping[str, object]) -> Sequence[str]:
    servers = fields.get("servers")
    return [each for each in servers if isinstance(each, str)] if isinstance(servers, list | tuple) else []


def _wave_of(record: ServerRecord) -> str:
    return record.plan.wave if record.plan else record.request.wave or FIRST_WAVE


def _decisions(request: DecisionRequest, known_by: str, desk: DecidingDesk) -> list[Decision]:
    now = desk.clock.now()
    return [
        Decision(
            subject=request.subject,
            scope=scope,
            verdict=request.verdict,
            actor=request.actor or NOBODY,
            known_by=known_by,
            at=now,
            why=request.why,
            discard=request.discard,
        )
        for scope in _scopes(request.model_dump())
    ]


def _scopes(fields: Mapping[str, object]) -> Sequence[str]:
    """What it's noted under: each server that's named, else the wave or the run."""
    wave = fields.get("wave")
    whole = wave_scope(wave) if isinstance(wave, str) and wave else WHOLE_RUN
    return list(dict.fromkeys(_named(fields))) or [whole]


def _wake(desk: DecidingDesk) -> str:
    """Nothing is lost where that fails: it's noted, and the watcher comes by itself."""
    try:
        desk.guard(desk.watcher.wake)
    except FailbackError as error:
        return str(error)
    return ""


def _refusal(faults: Sequence[str]) -> str:
    return f"Nothing was decided: {listed(faults, separator='; ', more='and {} more')}."
