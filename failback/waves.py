"""Waves: servers that change over together, one wave after the other; whether the next one is begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.model.request import FIRST_WAVE, WaveChoice
from failback.model.run import Wave
from failback.model.server import ServerOutcome, ServerRef
from failback.model.stage import Progress, StageResult
from failback.model.way_home import WaveStart
from failback.naming import server_lock
from failback.parts import under_way_elsewhere, whole_of
from failback.stopping import stop_of, stopped_by

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from failback.model.record import RunHistory
    from failback.model.request import RunRequest
    from failback.model.run import RunState
    from failback.model.server import ServerRecord
    from failback.ports import RunLog
    from failback.recovery_ports import DecisionBook, ServerBook

STAGE = "begin_wave"
SHORTEST_WAIT, LONGEST_WAIT = 60, 1800
"""Seconds. A look costs ten events of the 25,000 that an execution may have: so two months of waiting fit."""
MOST_NAMED = 20
"""Servers that stand in a wave's way and are named."""


def waves_of(request: RunRequest) -> tuple[Wave, ...]:
    """The request's waves in their order, then those that only servers name; ones that nobody is in are left out."""
    named: dict[str, list[ServerRef]] = {}
    for server in request.servers:
        named.setdefault(server.wave or FIRST_WAVE, []).append(ServerRef(id=server.recovery_instance))
    choices = {wave.name: wave for wave in request.waves}
    order = [*choices, *(name for name in named if name not in choices)]
    return tuple(
        Wave(name=name, on_failure=choices.get(name, WaveChoice(name=name)).on_failure, servers=tuple(named[name]))
        for name in order
        if name in named
    )


def begin_wave(
    state: RunState, *, run_log: RunLog, book: ServerBook, decisions: DecisionBook, now: datetime
) -> StageResult[WaveStart, None]:
    """Say whether the state's wave is begun; one that isn't has its servers settled as skipped, and let go."""
    wave, stop = state.needed(state.wave, "a wave"), stop_of(decisions.of(state.run.id))
    history = run_log.read(state.run.id)
    whole = whole_of(history.record.request if history else None, run_log) or history
    earlier = _earlier(wave, whole) if whole else ()
    if stop is None and whole is not None and (note := _still_under_way(state, earlier, whole, now)):
        progress = Progress(done=0, total=0, unit="steps", note=note)
        return StageResult(status="pending", wait_seconds=_wait(state, now), progress=progress)
    why = stopped_by(stop) if stop else _in_the_way(earlier, whole)
    if not why:
        return StageResult(status="done", facts=WaveStart(begun=True))
    records = {record.id: record for record in book.of(state.run.id)}
    skipped = ServerOutcome(outcome="skipped", at=now, stage=STAGE, cause=why)
    for server in wave.servers:
        record = records.get(server.id)
        if record is not None and record.outcome is None:
            book.settle(state.run.id, server.id, skipped)
        run_log.release(server_lock(server.id), state.run.id)
    return StageResult(status="done", facts=WaveStart(begun=False, why=why))


def _still_under_way(state: RunState, earlier: Sequence[Wave], whole: RunHistory, now: datetime) -> str:
    """Servers of an earlier wave that another part of the run takes home yet; those of the own part have all ended."""
    away = under_way_elsewhere(whole, state.target.name, now)
    for wave in earlier:
        left = [each.id for each in wave.servers if each.id in away]
        if left:
            return f"wave {wave.name} comes first, and is under way: {_named(left)}"
    return ""


def _wait(state: RunState, now: datetime) -> int:
    """Seconds until the next look: the longer the run goes on, the longer, since it may last for weeks."""
    return int(min(max((now - state.run.started).total_seconds() / 20, SHORTEST_WAIT), LONGEST_WAIT))


def _named(servers: Sequence[str]) -> str:
    more = f" and {len(servers) - MOST_NAMED} more" if len(servers) > MOST_NAMED else ""
    return f"{', '.join(servers[:MOST_NAMED])}{more}"


def _in_the_way(waves: Sequence[Wave], whole: RunHistory | None) -> str:
    """Why the wave isn't begun: an earlier one has servers that didn't come home, and stops the run for that."""
    records = {each.record.id: each.record for each in whole.all_servers} if whole else {}
    for earlier in waves:
        failed = [each.id for each in earlier.servers if not _came_home(records.get(each.id))]
        if earlier.on_failure == "stop" and failed:
            return (
                f"wave {earlier.name} came before it, and not all of its servers came home: "
                f"{_named(failed)}. Its on_failure is stop; resume the run once they're set right"
            )
    return ""


def _earlier(wave: Wave, whole: RunHistory) -> Sequence[Wave]:
    """The waves before this one, as the request of the whole run has them."""
    waves = waves_of(whole.record.request) if whole.record.request else ()
    names = [each.name for each in waves]
    return waves[: names.index(wave.name)] if wave.name in names else ()


def _came_home(record: ServerRecord | None) -> bool:
    return record is not None and record.outcome is not None and record.outcome.is_good
