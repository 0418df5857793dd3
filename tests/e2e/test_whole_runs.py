"""Whole runs through the deployed state machine with real machines: the boot test, and two servers all the way home."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.image import grub_images
from failback.image.build import build_image
from failback.image.compose import BuildOptions
from failback.model.report import Provenance
from localcloud.drs.plans import ClientPlan
from localcloud.drs.volume import BLOCK
from localcloud.embedded.image_hashes import hash_file, image_hashes
from localcloud.embedded.originals import OriginalServer, Wishes, add_original
from localcloud.embedded.servers import CONTENT, add_servers
from localcloud.embedded.synthesis import TARGET
from localcloud.workload.layout import UP
from localcloud.workload.marker import write_nonce
from tests.localcloud.guests.contract import marks
from tests.localcloud.runs.safety_place import checked_place
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
    from collections.abc import Iterator, Sequence

    from failback.model.server import ServerPlan
    from localcloud.drs.records import RecoveryInstance
    from localcloud.drs.volume import Volume
    from localcloud.guests.guest import Guest
    from tests.localcloud.runs.place import Place

pytestmark = [pytest.mark.boot, pytest.mark.standin, pytest.mark.timeout(1200)]

RUN = "real-home"
CLIENT_MARKS = ["started", "settings", "credentials", "mapping", "client-start", "client-running"]
"""What an agent says first, in this order."""
WRITTEN_AT = 200 * MIB
"""In the gap between two pieces of each volume's content."""


def by_hand(iso: Path, folder: Path) -> Path:
    """The image as a person builds it of the same ISO."""
    built = build_image(
        iso,
        folder / "by-hand.raw",
        image_format="raw",
        grub=grub_images(None),
        options=BuildOptions(clouds=("azure", "aws")),
        progress=lambda _work, _total: lambda _count: None,
    )
    return Path(built.output)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, standin_iso: Path) -> Iterator[Place]:
    """Wait states are short, since these clouds answer at once. Every call is judged in the end."""
    with checked_place(tmp_path_factory.mktemp("place"), standin_iso, real=True, wait_scale=0.2) as opened:
        yield opened


def test_a_prepared_image_has_booted_and_is_the_one_built_by_hand(
    place: Place, tmp_path: Path, standin_iso: Path
) -> None:
    ended = place.run("real-run")
    assert ended["status"] == "SUCCEEDED", (ended, place.history(ended["executionArn"]))
    report = place.report("real-run")
    assert report["outcome"]["outcome"] == "done"
    assert report["provenance"]["mark"].startswith("ready run=real-run server=boot-test")
    assert report["provenance"]["image"]["tested"]

    (guest,) = place.driver.guests
    assert marks(guest.console())[:3] == ["started", "settings", "ready"]
    assert not guest.is_running

    left = place.clouds.azure.listing().values()
    (disk,) = [each for each in left if each["type"] == "Microsoft.Compute/disks"]
    assert disk["name"] == report["provenance"]["image"]["name"]
    assert "ready run=real-run" in disk["tags"]["drs-failback:tested"]
    gone = {"Microsoft.Compute/virtualMachines", "Microsoft.Network/networkInterfaces"}
    assert gone.isdisjoint(each["type"] for each in left)

    found = image_hashes(
        Provenance.model_validate(report["provenance"]),
        lambda service: place.clouds.client(service, s3={"addressing_style": "path"}),
        bucket=place.bucket,
        azure=place.clouds.azure_settings.folder,
    )
    assert len(found) == 3
    assert set(found.values()) == {hash_file(by_hand(standin_iso, tmp_path))}


@dataclass(frozen=True)
class Returned:
    """A run that brought two servers home at once: into a machine of its own, and into the one that was failed over."""

    new: RecoveryInstance
    original: RecoveryInstance
    taken_over: OriginalServer
    execution: str

    @property
    def servers(self) -> tuple[RecoveryInstance, ...]:
        return (self.new, self.original)


def nonce_of(server: RecoveryInstance) -> str:
    return f"written-on-aws-to-{server.made_of.name}"


def await_all(place: Place, execution: str, milestone: str, servers: Sequence[RecoveryInstance]) -> None:
    """Let the watcher look until all of them wait for that."""

    def come() -> bool:
        assert not any(failed(place, execution, each.id) for each in servers), told(place, execution)
        place.wake()
        # Not as often as it can: the machines need the time.
        time.sleep(0.5)
        return {each.id for each in servers} <= waiting_for(place, milestone)

    place.wait_until(come, f"servers to wait for {milestone}")


@pytest.fixture(scope="module")
def returned(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Returned:
    """Real clients, and the servers' real systems from the disks that were theirs; a person approves and accepts."""
    drs = place.clouds.drs
    made = add_servers(drs, 2, scratch=tmp_path_factory.mktemp("volumes"), real=True)
    new, original = (drs.world.find(each.id) for each in made)
    drs.plan(original.id, ClientPlan(original=True))
    for volume in original.volumes.values():
        volume.write(WRITTEN_AT, b"since the failover".ljust(MIB, b"."))
    write_nonce(boot_volume(original), "written-before-the-run")
    taken_over = add_original(place.clouds, original, wishes=Wishes(running=False))
    asked = [{"recovery_instance": new.id}, {"recovery_instance": original.id, "original": taken_over.name}]
    execution = place.start(RUN, goal="failback", target=TARGET, servers=asked, cutover=ATTENDED)
    await_all(place, execution, "approval", (new, original))
    for each in (new, original):
        write_nonce(boot_volume(each), nonce_of(each))
    decide(place, RUN, "approval", "approve", new, original)
    await_all(place, execution, "commit", (new, original))
    decide(place, RUN, "commit", "accept", new, original)
    ended = place.finish_watched(execution)
    assert ended["status"] == "SUCCEEDED", (ended, place.history(execution))
    return Returned(new, original, taken_over, execution)


def boot_volume(server: RecoveryInstance) -> Volume:
    return next(iter(server.volumes.values()))


def test_both_servers_are_home(place: Place, returned: Returned) -> None:
    found = by_id(place, returned.execution)
    for each, way in ((returned.new, "new"), (returned.original, "original")):
        assert outcome_of(found[each.id]).outcome == "home", outcome_of(found[each.id])
        assert plan_of(found[each.id]).way == way
    assert plan_of(found[returned.original.id]).own_machine == returned.taken_over.name
    assert place.report(RUN)["outcome"]["outcome"] == "done"
    check_transitions(returned.execution, most=35)


def starts_of(place: Place, plan: ServerPlan) -> tuple[Guest, Guest]:
    """The machine's last start but one, by the client, and its last, by the server's own system."""
    client, own = [guest for guest in place.driver.guests if guest.spec.name == plan.own_machine][-2:]
    return client, own


def test_real_clients_have_copied_their_volumes(place: Place, returned: Returned) -> None:
    found = by_id(place, returned.execution)
    for each in returned.servers:
        plan = plan_of(found[each.id])
        client, _ = starts_of(place, plan)
        said = [mark for mark in marks(client.console()) if mark in CLIENT_MARKS]
        assert said[: len(CLIENT_MARKS)] == CLIENT_MARKS
        assert not client.is_running
        check_disks(place, each, plan)


def test_their_own_systems_say_what_was_written_on_aws_meanwhile(place: Place, returned: Returned) -> None:
    found = by_id(place, returned.execution)
    for each in returned.servers:
        client, own = starts_of(place, plan_of(found[each.id]))
        assert own.is_running
        console = own.console().decode(errors="replace")
        assert "Linux version" in console
        assert set(re.findall(rf"{UP}(\S+)", console)) == {nonce_of(each)}
        assert nonce_of(each) not in client.console().decode(errors="replace")
        (verified,) = (stage.facts for stage in found[each.id].stages if stage.stage == "verify_server")
        assert isinstance(verified, dict)
        assert (verified["verified"], verified["signal"]) == (True, "serial")


def test_the_original_was_sent_only_what_had_changed(place: Place, returned: Returned) -> None:
    """Its record was written before the run and during it, and so may have been sent twice."""
    for device, volume in returned.original.volumes.items():
        changed = sum(length for _, length in volume.changes(0, original=True)[1])
        assert MIB <= changed <= place.clouds.drs.replication.sent(returned.original.id, device) <= changed + BLOCK
        assert place.clouds.drs.replication.sent(returned.new.id, device) >= CONTENT[device]


def test_the_original_was_booted_from_a_copy_of_its_disk(place: Place, returned: Returned) -> None:
    after = place.clouds.azure.listing()
    (boot, *_), machine = returned.taken_over.disks.values(), after[returned.taken_over.id]
    swapped = machine["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"]
    assert swapped.lower() != boot.lower()
    assert after[boot]["properties"]["diskState"] == "Unattached"
