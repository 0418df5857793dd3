"""Servers that a failover has left on AWS, and what runs made of them: for tests of whole runs."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from failback.clouds.aws.waiting_room import DynamoWaitingRoom
from localcloud.drs.records import NewInstance
from localcloud.embedded.synthesis import TARGET
from localcloud.moto_seams.map_runs import child_histories
from localcloud.sparse_files import data_ranges
from localcloud.workload.marker import put_system

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from failback.model.record import RunHistory, ServerHistory
    from failback.model.server import ServerOutcome, ServerPlan
    from localcloud.drs.records import RecoveryInstance
    from localcloud.machines.spec import Firmware
    from tests.localcloud.runs.place import Place

MIB, GIB = 1 << 20, 1 << 30
STEP = 4 * MIB
NOTHING: Mapping[str, object] = MappingProxyType({})
Json = Any


UNATTENDED = {
    "fence": {"kind": "none"},
    "launch": {"mode": "automatic"},
    "commit": {"by": "policy"},
    "on_failure": "give_back",
}
"""All the way home without anybody; what fails is given back."""
ATTENDED = {"fence": {"kind": "none"}, "on_failure": "give_back"}
"""A person approves and accepts."""


def failed_over(place: Place, name: str, *, devices: Sequence[str] = ("/dev/xvda",), **more: Any) -> RecoveryInstance:  # noqa: ANN401
    """A server with 1 GiB and a part on each device, a MiB of which holds something, and the last bytes too.

    The first one is what it boots from: a system that scripted machines know.
    """
    sizes = {device: GIB + number * 512 * MIB for number, device in enumerate(devices)}
    made = place.clouds.drs.world.add_recovery_instance(NewInstance(sizes, name=name, **more))
    for number, volume in enumerate(made.volumes.values()):
        volume.write((number + 3) << 20, f"{name} {number}".encode().ljust(MIB, b"x"))
        volume.write(volume.size - 512, name.encode().ljust(512, b"."))
    boots_by: Firmware = "uefi" if more.get("boot_mode") == "uefi" else "bios"
    put_system(made.volumes[devices[0]], real=False, firmware=boots_by)
    return made


def failback(
    place: Place,
    run: str,
    servers: Sequence[RecoveryInstance],
    *,
    goal: str = "failback",
    cutover: Mapping[str, object] = UNATTENDED,
    asked: Mapping[str, object] = NOTHING,
    **replication: object,
) -> str:
    """Start to take them home; gives the execution's ARN. `asked` is asked for each server besides."""
    listed = [{"recovery_instance": each.id, **asked} for each in servers]
    return place.start(run, goal=goal, target=TARGET, servers=listed, replication=replication, cutover=dict(cutover))


def wait_for(place: Place, execution: str, milestone: str, servers: Sequence[RecoveryInstance]) -> None:
    """Let the watcher look until all of them wait for that milestone."""
    wanted, states = {each.id for each in servers}, place.clouds.client("stepfunctions")
    for _ in range(600):
        if wanted <= waiting_for(place, milestone):
            return
        assert states.describe_execution(executionArn=execution)["status"] == "RUNNING", told(place, execution)
        assert not {each for each in wanted if failed(place, execution, each)}, told(place, execution)
        place.wake()
        time.sleep(0.3)
    message = f"they don't come to wait for {milestone}: {told(place, execution)}"
    raise AssertionError(message)


def failed(place: Place, execution: str, server: str) -> bool:
    """Whether a server's part of the run has failed."""
    known = place.history(execution)
    outcomes = {each.record.id: each.record.outcome for each in known.all_servers} if known else {}
    outcome = outcomes.get(server)
    return outcome is not None and outcome.outcome == "failed"


def told(place: Place, execution: str) -> str:
    """How each server stands, for a person who looks for what went wrong."""
    lines = []
    for each in history_of(place, execution).all_servers:
        last = each.stages[-1] if each.stages else None
        failures = [f"{stage.stage}: {stage.error}: {stage.advice}" for stage in each.stages if stage.error]
        note = last.progress.note if last and last.progress else ""
        lines.append(f"{each.record.id}: {last.stage if last else ''} {note} {failures} {each.record.outcome}")
    return "\n".join(lines)


def waiting_for(place: Place, milestone: str) -> set[str]:
    """The servers that wait for a milestone."""
    room = DynamoWaitingRoom(place.clouds.client("dynamodb"), place.deployed.outputs["RunLogTable"])
    return {each.server for each in room.everyone() if each.milestone == milestone}


class NotWaiting(AssertionError):
    """Nobody waits for that decision (any more)."""


def decide(place: Place, run: str, subject: str, verdict: str, *servers: RecoveryInstance, **more: object) -> Json:
    """Have a person decide; gives what the door answers."""
    event = {"run": run, "subject": subject, "verdict": verdict, "actor": "a person",
             "servers": [each.id for each in servers], **more}  # fmt: skip
    told = place.clouds.client("lambda").invoke(FunctionName=place.function("decide"), Payload=json.dumps(event))
    answer = json.loads(told["Payload"].read())
    if "FunctionError" in told and "doesn't wait for that now" in str(answer):
        raise NotWaiting(answer)
    assert "FunctionError" not in told, answer
    return answer


def history_of(place: Place, execution: str) -> RunHistory:
    """What the run log has of a run."""
    found = place.history(execution)
    assert found is not None
    return found


def by_id(place: Place, execution: str) -> dict[str, ServerHistory]:
    """What the run log has of a run's servers."""
    return {each.record.id: each for each in history_of(place, execution).all_servers}


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


def check_transitions(execution: str, *, most: int = 30) -> list[int]:
    """Every server's events, its transitions at most 30 and three for each look that was one too many."""
    histories = child_histories(execution)
    for events in histories:
        entered = transitions(events)
        looks = sum(count for name, count in entered.items() if name.endswith("_waits"))
        print(f"{len(events)} events, {entered.total()} transitions, {looks} looks: {dict(entered)}")
        assert entered.total() <= most + 3 * looks, entered
    return [len(events) for events in histories]


def without(listing: Json, *servers: RecoveryInstance) -> Json:
    """A listing without what belongs to these servers; what's home already is only called after them."""
    ids, groups = {each.id for each in servers}, {each.security_group for each in servers}
    names = tuple(each.made_of.name for each in servers)
    azure = {
        name: what
        for name, what in listing["azure"].items()
        if what.get("tags", {}).get("drs-failback:server") not in ids and not what.get("name", "").startswith(names)
    }
    recovery = {name: what for name, what in listing["recovery"].items() if name not in ids}
    rules = {name: what for name, what in listing["security_groups"].items() if name not in groups}
    return {**listing, "azure": azure, "recovery": recovery, "security_groups": rules}
