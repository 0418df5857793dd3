"""Servers that a failover has left on AWS, and what runs made of them: for tests of whole runs."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from localcloud.drs.records import NewInstance
from localcloud.embedded.synthesis import TARGET
from localcloud.moto_seams.map_runs import child_histories
from localcloud.sparse_files import data_ranges

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from failback.model.record import RunHistory, ServerHistory
    from failback.model.server import ServerOutcome, ServerPlan
    from localcloud.drs.records import RecoveryInstance
    from tests.localcloud.runs.place import Place

MIB, GIB = 1 << 20, 1 << 30
STEP = 4 * MIB
Json = Any


def failed_over(place: Place, name: str, *, devices: Sequence[str] = ("/dev/xvda",), **more: Any) -> RecoveryInstance:  # noqa: ANN401
    """A server with 1 GiB and a part on each device, a MiB of which holds something, and the last bytes too."""
    sizes = {device: GIB + number * 512 * MIB for number, device in enumerate(devices)}
    made = place.clouds.drs.world.add_recovery_instance(NewInstance(sizes, name=name, **more))
    for number, volume in enumerate(made.volumes.values()):
        volume.write((number + 3) << 20, f"{name} {number}".encode().ljust(MIB, b"x"))
        volume.write(volume.size - 512, name.encode().ljust(512, b"."))
    return made


def failback(place: Place, run: str, servers: Sequence[RecoveryInstance], **replication: object) -> str:
    """Start to take them home; gives the execution's ARN."""
    asked = [{"recovery_instance": each.id} for each in servers]
    return place.start(run, goal="failback", target=TARGET, servers=asked, replication=replication)


def history_of(place: Place, execution: str) -> RunHistory:
    """What the run log has of a run."""
    found = place.history(execution)
    assert found is not None
    return found


def by_id(place: Place, execution: str) -> dict[str, ServerHistory]:
    """What the run log has of a run's servers."""
    return {each.record.id: each for each in history_of(place, execution).servers}


def plan_of(server: ServerHistory) -> ServerPlan:
    assert server.record.plan is not None
    return server.record.plan


def outcome_of(server: ServerHistory) -> ServerOutcome:
    assert server.record.outcome is not None, server
    return server.record.outcome


def check_disks(place: Place, server: RecoveryInstance, plan: ServerPlan) -> None:
    """Each disk at home holds its volume's bytes, and zeros beyond; it's as large as planned."""
    assert [disk.device for disk in plan.disks] == list(server.volumes)
    for disk in plan.disks:
        file = place.disk_file(disk.name)
        assert file.stat().st_size == disk.size_gib * GIB
        assert same_bytes(file, server.volumes[disk.device].path), disk


def same_bytes(long: Path, short: Path) -> bool:
    """Whether the longer file holds the shorter one's bytes, and zeros beyond."""
    with long.open("rb") as one, short.open("rb") as other:
        files = (one.fileno(), other.fileno())
        size = long.stat().st_size
        spans = {
            step
            for each in files
            for start, end in data_ranges(each, 0, min(size, os.fstat(each).st_size))
            for step in range(start // STEP, -(-end // STEP))
        }
        pieces = (tuple(os.pread(each, STEP, step * STEP).ljust(STEP, b"\0") for each in files) for step in spans)
        return bool(spans) and all(mine == theirs for mine, theirs in pieces)


def transitions(events: Sequence[Json]) -> Counter[str]:
    """How often each state was entered, by a server's own history."""
    return Counter(each["stateEnteredEventDetails"]["name"] for each in events if "stateEnteredEventDetails" in each)


def check_transitions(execution: str, *, most: int = 20) -> list[int]:
    """Every server's events, its transitions at most 20 and three for each look that was one too many."""
    histories = child_histories(execution)
    for events in histories:
        entered = transitions(events)
        looks = sum(count for name, count in entered.items() if name.endswith("_waits"))
        print(f"{len(events)} events, {entered.total()} transitions, {looks} looks: {dict(entered)}")
        assert entered.total() <= most + 3 * looks, entered
    return [len(events) for events in histories]


def without(listing: Json, *servers: RecoveryInstance) -> Json:
    """A listing without what belongs to these servers."""
    ids, groups = {each.id for each in servers}, {each.security_group for each in servers}
    azure = {
        name: what
        for name, what in listing["azure"].items()
        if what.get("tags", {}).get("drs-failback:server") not in ids
    }
    recovery = {name: what for name, what in listing["recovery"].items() if name not in ids}
    rules = {name: what for name, what in listing["security_groups"].items() if name not in groups}
    return {**listing, "azure": azure, "recovery": recovery, "security_groups": rules}
