"""Two servers that real machines bring home, whichever home that is: their run, and what's asked of it afterwards."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.image import grub_images
from failback.image.build import build_image
from failback.image.compose import BuildOptions
from failback.model.report import Provenance
from failback.naming import try_machine_name
from localcloud.drs.plans import ClientPlan
from localcloud.drs.records import NewInstance
from localcloud.drs.volume import BLOCK
from localcloud.embedded.image_hashes import hash_file, image_hashes
from localcloud.embedded.servers import CONTENT, add_servers
from localcloud.workload.layout import UP
from localcloud.workload.marker import write_nonce
from tests.localcloud.guests.contract import marks
from tests.localcloud.runs.servers import (
    ATTENDED,
    MIB,
    by_id,
    check_disks,
    check_transitions,
    decide,
    failed,
    outcome_of,
    plan_of,
    told,
    waiting_for,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.model.record import ServerHistory
    from failback.model.server import ServerPlan
    from localcloud.drs.records import RecoveryInstance
    from localcloud.drs.volume import Volume
    from localcloud.guests.guest import Guest
    from tests.localcloud.runs.place import Place

RUN = "real-home"
CLIENT_MARKS = ["started", "settings", "credentials", "mapping", "client-start", "client-running"]
"""What an agent says first, in this order."""
WRITTEN_AT = 200 * MIB
"""In the gap between two pieces of each volume's content."""


@dataclass(frozen=True)
class Servers:
    """What's to come home at once: into a machine that's made for it, and into the one that was failed over."""

    new: RecoveryInstance
    original: RecoveryInstance

    @property
    def both(self) -> tuple[RecoveryInstance, ...]:
        return (self.new, self.original)


@dataclass(frozen=True)
class Returned:
    """A run that brought them home; `taken_over` is the name of the machine that was failed over."""

    place: Place
    servers: Servers
    taken_over: str
    execution: str

    @property
    def records(self) -> dict[str, ServerHistory]:
        """What the run log has of them, by their ids."""
        return by_id(self.place, self.execution)

    def plans(self) -> list[tuple[RecoveryInstance, ServerPlan]]:
        """The servers with what was planned for them."""
        records = self.records
        return [(each, plan_of(records[each.id])) for each in self.servers.both]


def check_image(place: Place, made: Provenance, iso: Path, scratch: Path) -> None:
    """Snapshot, exported object and the image at home hold what a person builds of the same ISO by hand."""
    built = build_image(
        iso,
        scratch / "by-hand.raw",
        image_format="raw",
        grub=grub_images(None),
        options=BuildOptions(clouds=(place.home, "aws")),
        progress=lambda _work, _total: lambda _count: None,
    )
    found = image_hashes(
        made,
        lambda service: place.clouds.client(service, s3={"addressing_style": "path"}),
        bucket=place.bucket,
        azure=place.clouds.azure_settings.folder,
        google=place.clouds.google.compute.settings.folder,
    )
    assert len(found) == 3
    assert set(found.values()) == {hash_file(Path(built.output))}


def check_tested(place: Place, run: str) -> Provenance:
    """That run's throw-away machine has passed its boot test; gives where the image comes from."""
    report = place.report(run)
    assert report["outcome"]["outcome"] == "done"
    made = Provenance.model_validate(report["provenance"])
    assert (made.mark or "").startswith(f"ready run={run} server=boot-test")
    assert made.image is not None
    assert made.image.tested
    (guest,) = [each for each in place.driver.guests if each.spec.name == try_machine_name(run)]
    assert marks(guest.console())[:3] == ["started", "settings", "ready"]
    assert not guest.is_running
    return made


def fail_over(place: Place, scratch: Path) -> Servers:
    """Two with their real systems; since then the one that has its machine at home yet was written to on AWS.

    Its changes are a MiB on each volume: all else its machine at home has already.
    """
    drs = place.clouds.drs
    (made,) = add_servers(drs, 1, scratch=scratch, real=True)
    original = drs.world.find(made.id)
    drs.plan(original.id, ClientPlan(original=True))
    files = {device: volume.path for device, volume in original.volumes.items()}
    new = drs.world.add_recovery_instance(NewInstance(files, name="web-2"))
    for volume in original.volumes.values():
        volume.write(WRITTEN_AT, b"since the failover".ljust(MIB, b"."))
    write_nonce(boot_volume(original), "written-before-the-run")
    return Servers(new, original)


def bring_home(place: Place, servers: Servers, *, taken_over: str) -> Returned:
    """A person approves, and accepts; what's written to the servers before the approval has to come home too."""
    asked = [
        {"recovery_instance": servers.new.id},
        {"recovery_instance": servers.original.id, "original": taken_over},
    ]
    execution = place.start(RUN, goal="failback", target=place.target, servers=asked, cutover=ATTENDED)
    await_all(place, execution, "approval", servers.both)
    for each in servers.both:
        write_nonce(boot_volume(each), nonce_of(each))
    decide(place, RUN, "approval", "approve", *servers.both)
    await_all(place, execution, "commit", servers.both)
    decide(place, RUN, "commit", "accept", *servers.both)
    ended = place.finish_watched(execution)
    assert ended["status"] == "SUCCEEDED", (ended, place.history(execution))
    return Returned(place, servers, taken_over, execution)


def await_all(place: Place, execution: str, milestone: str, servers: Sequence[RecoveryInstance]) -> None:
    """Let the watcher look until all of them wait for that."""

    def come() -> bool:
        assert not any(failed(place, execution, each.id) for each in servers), told(place, execution)
        place.wake()
        # Not as often as it can: the machines need the time.
        time.sleep(0.5)
        return {each.id for each in servers} <= waiting_for(place, milestone)

    place.wait_until(come, f"servers to wait for {milestone}")


def nonce_of(server: RecoveryInstance) -> str:
    return f"written-on-aws-to-{server.made_of.name}"


def boot_volume(server: RecoveryInstance) -> Volume:
    return next(iter(server.volumes.values()))


def starts_of(place: Place, plan: ServerPlan) -> tuple[Guest, Guest]:
    """The last start by the client, and after it the server's own machine's by its own system."""
    *_, own = (guest for guest in place.driver.guests if guest.spec.name == plan.own_machine)
    *_, client = (guest for guest in place.driver.guests if guest.spec.name == plan.machine and guest is not own)
    return client, own


def check_home(returned: Returned) -> None:
    """Both are home, each by its way."""
    place, servers, records = returned.place, returned.servers, returned.records
    for each, way in ((servers.new, "new"), (servers.original, "original")):
        assert outcome_of(records[each.id]).outcome == "home", outcome_of(records[each.id])
        assert plan_of(records[each.id]).way == way
    assert plan_of(records[servers.original.id]).own_machine == returned.taken_over
    assert place.report(RUN)["outcome"]["outcome"] == "done"
    check_transitions(returned.execution, most=35)


def check_clients(returned: Returned) -> None:
    """Real agents and clients have copied every volume, and their machines are off."""
    for server, plan in returned.plans():
        client, _ = starts_of(returned.place, plan)
        said = [mark for mark in marks(client.console()) if mark in CLIENT_MARKS]
        assert said[: len(CLIENT_MARKS)] == CLIENT_MARKS
        assert not client.is_running
        check_disks(returned.place, server, plan)


def check_consoles(returned: Returned) -> None:
    """Their own systems run and say what was written on AWS last; that's what the run took as the signal."""
    for server, plan in returned.plans():
        client, own = starts_of(returned.place, plan)
        assert own.is_running
        console = own.console().decode(errors="replace")
        assert "Linux version" in console
        assert set(re.findall(rf"{UP}(\S+)", console)) == {nonce_of(server)}
        assert nonce_of(server) not in client.console().decode(errors="replace")
        stages = returned.records[server.id].stages
        (verified,) = (stage.facts for stage in stages if stage.stage == "verify_server")
        assert isinstance(verified, dict)
        assert (verified["verified"], verified["signal"]) == (True, "serial")


def check_sent(returned: Returned) -> None:
    """The original was sent what had changed; its record was written before the run and in it, so perhaps twice."""
    servers, sent = returned.servers, returned.place.clouds.drs.replication.sent
    for device, volume in servers.original.volumes.items():
        changed = sum(length for _, length in volume.changes(0, original=True)[1])
        assert MIB <= changed <= sent(servers.original.id, device) <= changed + BLOCK
        assert sent(servers.new.id, device) >= CONTENT[device]
