"""Waves: servers that change over together, one wave after the other; whether the next one is begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.model.request import FIRST_WAVE, WaveChoice
from failback.model.run import Wave
from failback.model.server import ServerOutcome, ServerRef
from failback.model.stage import StageResult
from failback.model.way_home import WaveStart
from failback.naming import server_lock
from failback.stopping import stop_of, stopped_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from failback.model.request import RunRequest
    from failback.model.run import RunState
    from failback.model.server import ServerRecord
    from failback.ports import RunLog
    from failback.recovery_ports import DecisionBook, ServerBook

STAGE = "begin_wave"
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
    wave, records = state.needed(state.wave, "a wave"), {record.id: record for record in book.of(state.run.id)}
    stop = stop_of(decisions.of(state.run.id))
    why = stopped_by(stop) if stop else _in_the_way(state, wave, records, run_log)
    if not why:
        return StageResult(status="done", facts=WaveStart(begun=True))
    skipped = ServerOutcome(outcome="skipped", at=now, stage=STAGE, cause=why)
    for server in wave.servers:
        record = records.get(server.id)
        if record is not None and record.outcome is None:
            book.settle(state.run.id, server.id, skipped)
        run_log.release(server_lock(server.id), state.run.id)
    return StageResult(status="done", facts=WaveStart(begun=False, why=why))


def _in_the_way(state: RunState, wave: Wave, records: Mapping[str, ServerRecord], run_log: RunLog) -> str:
    """Why the wave isn't begun: an earlier one has servers that didn't come home, and stops the run for that."""
    for earlier in _earlier(state, wave, run_log):
        failed = [each.id for each in earlier.servers if not _came_home(records.get(each.id))]
        if earlier.on_failure == "stop" and failed:
            more = f" and {len(failed) - MOST_NAMED} more" if len(failed) > MOST_NAMED else ""
            return (
                f"wave {earlier.name} came before it, and not all of its servers came home: "
                f"{', '.join(failed[:MOST_NAMED])}{more}. Its on_failure is stop; resume the run once they're set right"
            )
    return ""


def _earlier(state: RunState, wave: Wave, run_log: RunLog) -> Sequence[Wave]:
    """The waves before this one, as the request has them."""
    history = run_log.read(state.run.id)
    request = history.record.request if history else None
    waves = waves_of(request) if request else ()
    names = [each.name for each in waves]
    return waves[: names.index(wave.name)] if wave.name in names else ()


def _came_home(record: ServerRecord | None) -> bool:
    return record is not None and record.outcome is not None and record.outcome.is_good
