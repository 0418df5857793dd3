"""Whole runs with goal failback: from a recovery instance to a client machine that's ready for launch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.drs.records import NewInstance
from localcloud.embedded.synthesis import TARGET
from localcloud.moto_seams.map_runs import child_histories

if TYPE_CHECKING:
    from localcloud.drs.records import RecoveryInstance
    from tests.localcloud.runs.place import Place

GIB = 1 << 30


def failed_over(place: Place, name: str, **more: object) -> RecoveryInstance:
    """A server that a failover has left on AWS, with some bytes on each of its volumes."""
    made = place.clouds.drs.world.add_recovery_instance(
        NewInstance({"/dev/xvda": GIB, "/dev/xvdb": GIB}, name=name, **more)  # type: ignore[arg-type]
    )
    for number, volume in enumerate(made.volumes.values()):
        volume.write(number << 20, f"{name} {number}".encode().ljust(1 << 20, b"x"))
    return made


def test_a_server_comes_to_ready(place: Place) -> None:
    made = failed_over(place, "web")
    execution = place.start("home", goal="failback", target=TARGET, servers=[{"recovery_instance": made.id}])
    told = place.finish_watched(execution)
    assert told["status"] == "SUCCEEDED", (told, place.history(execution))
    history = place.history(execution)
    assert history is not None
    (server,) = history.servers
    print([len(each) for each in child_histories(execution)])
    assert server.record.outcome is not None
    assert server.record.outcome.outcome == "ready"
