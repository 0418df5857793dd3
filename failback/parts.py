"""Runs for several targets: a part for each, which is a run of its own with that target's servers.

Parts go on side by side and know of each other only what waves ask: no server of a later wave begins before all of the
earlier one, whichever part they're in. What's decided on the run is decided on its parts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from failback.model.request import LONGEST_RUN_ID
from failback.model.run import Part

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from failback.model.record import RunHistory
    from failback.model.request import RunRequest
    from failback.ports import RunLog

LATEST_BEGIN = timedelta(minutes=15)
"""After its run, for a part: one that hasn't begun then was refused, or couldn't be started."""


def parts_of(run: str, request: RunRequest) -> tuple[Part, ...]:
    """The parts of a run, in the order of their targets' first servers; none where all go to the run's own target."""
    targets = dict.fromkeys(request.targets.values())
    return tuple(_part(run, request, target) for target in targets) if targets.keys() - {request.target} else ()


def _part(run: str, request: RunRequest, target: str) -> Part:
    servers = tuple(each.model_copy(update={"target": None}) for each in request.servers
                    if (each.target or request.target) == target)  # fmt: skip
    update = {"target": target, "servers": servers, "resume": None, "part_of": run}
    wanted = request.model_copy(update=update).model_dump(mode="json", exclude_unset=True)
    return Part(name=part_name(run, target), target=target, request=wanted)


def part_name(run: str, target: str) -> str:
    """What a run's part for a target is called."""
    return f"{run}.{target}"


def name_faults(parts: Sequence[Part]) -> list[str]:
    """What's wrong with the names of the parts."""
    return [
        f"name: the part for target {each.target} would be called {each.name!r}, which has {len(each.name)} characters "
        f"of at most {LONGEST_RUN_ID}; give the execution a shorter name"
        for each in parts
        if len(each.name) > LONGEST_RUN_ID
    ]


def whole_of(request: RunRequest | None, run_log: RunLog) -> RunHistory | None:
    """The run that a part belongs to; None for a run that's no part."""
    return run_log.read(request.part_of) if request and request.part_of else None


def part_faults(request: RunRequest, name: str, whole: RunHistory | None) -> list[str]:
    """Why a request isn't that of a part, though it says so: parts are begun by their run only."""
    if request.part_of is None or (whole is not None and name in whole.record.parts):
        return []
    return [f"part_of: run {request.part_of!r} has no part {name!r}; leave it out, a run's parts are begun by itself"]


def under_way_elsewhere(whole: RunHistory, target: str, now: datetime) -> Collection[str]:
    """The servers that other parts of the run than that for `target` take home yet; none of a run without parts."""
    request = whole.record.request
    if request is None or not whole.record.parts:
        return frozenset()
    over = {part.record.target for part in whole.parts if part.record.status != "running"}
    if now >= whole.record.started + LATEST_BEGIN:
        over |= set(request.targets.values()) - {part.record.target for part in whole.parts}
    ended = {each.record.id for each in whole.all_servers if each.record.outcome is not None}
    return {server for server, at in request.targets.items() if at not in {*over, target} and server not in ended}
