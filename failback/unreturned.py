"""Servers whose giving back itself came to nothing: they're told as a whole, with the command that tries it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.model.ending import Belonging, LeftBehind, Returned
from failback.model.record import StageEntry
from failback.provenance import noted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.model.record import RunHistory, RunRecord, ServerHistory
    from failback.model.run import RunState
    from failback.server_return import AwsSide

STAGE = "give_back"
_NOT_TRIED = "the run ended before it was given back"


def is_unreturned(server: ServerHistory) -> bool:
    """Whether something of it was changed and not all of that undone, though it isn't home and its run has ended.

    Where even its end couldn't be noted, nothing was given back.
    """
    outcome = server.record.outcome
    if (outcome is not None and outcome.outcome != "failed") or server.record.before is None:
        return False
    returned = noted(server.stages, STAGE, Returned)
    return returned is None or bool(returned.left)


def unreturned(history: RunHistory) -> Sequence[ServerHistory]:
    """Those of a run that has ended; none where all went well."""
    outcome = history.record.outcome
    if outcome is not None and outcome.outcome == "done":
        return ()
    return [each for each in history.servers if is_unreturned(each)]


def as_a_whole(server: ServerHistory, run: RunRecord) -> Sequence[LeftBehind]:
    """What's left of a server that wasn't given back at all: whatever its run, which has ended, made and changed."""
    if run.status == "running" or not is_unreturned(server) or noted(server.stages, STAGE, Returned) is not None:
        return ()
    record, failed = server.record, [each for each in server.stages if each.stage == STAGE and each.error]
    why = f"giving it back failed: {failed[-1].error}: {failed[-1].advice}" if failed else _NOT_TRIED
    name = record.plan.hostname if record.plan else ""
    thing = Belonging(cloud="aws", kind="server", id=record.id, name=name)
    return (LeftBehind(belonging=thing, why=why, command=f"failback clean-up {run.run}"),)


def note_returned(server: str, state: RunState, side: AwsSide) -> None:
    """Keep with the server that all of it is undone, where its run is what has been given back."""
    now = side.clock.now()
    entry = StageEntry(stage=STAGE, status="done", began=now, updated=now, facts=Returned().model_dump(mode="json"))
    side.run_log.note(state.run.id, entry, server=server)
