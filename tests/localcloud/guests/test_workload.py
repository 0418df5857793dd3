"""A server's own system on scripted machines: what it says, and that its nonce comes home by replication alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from failback.model.agent import AgentSettings
from localcloud.drs.records import NewInstance
from localcloud.drs.scripted_client import scripted_client
from localcloud.embedded.servers import write_nonce
from localcloud.guests.scripted import GuestPlan, ScriptedDriver
from localcloud.guests.scripted_workload import AGENT_READY
from localcloud.sparse_files import create_sparse
from localcloud.workload.layout import DISK_SIZE, PROMPT, UP
from localcloud.workload.marker import put_system, read_nonce
from localcloud.workload.marker import write_nonce as write_to
from tests.localcloud.drs.place import running
from tests.localcloud.guests.contract import marks, wait_for
from tests.localcloud.guests.machines import disk, machine

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.azure.driver import MachineDisk
    from localcloud.guests.guest import Guest
    from localcloud.guests.scripted_workload import WorkloadBehaviour
    from localcloud.machines.spec import Firmware

pytestmark = pytest.mark.embedded
NONCE = "written-during-the-outage"


def system(folder: Path, firmware: Firmware = "bios") -> MachineDisk:
    """A disk that's larger than the system on it."""
    found = disk(folder)
    put_system(found.path, real=False, firmware=firmware)
    write_to(found.path, NONCE)
    return found


def lines(guest: Guest) -> list[str]:
    return guest.console().decode().splitlines()


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_it_says_its_nonce_and_shows_a_login(tmp_path: Path, firmware: Firmware) -> None:
    os_disk = system(tmp_path, firmware)
    before = os_disk.path.stat().st_mtime_ns
    with ScriptedDriver(tmp_path / "machines") as driver:
        guest = driver.start(machine(os_disk, firmware=firmware))
        wait_for(lambda: guest.agent is not None, 10)
        assert (guest.agent, guest.is_running) == (AGENT_READY, True)
        assert lines(guest)[1].startswith("[    0.000000] Linux version")
        assert lines(guest)[-4:] == [f"{UP}{NONCE}"] * 3 + [PROMPT]
        assert marks(guest.console()) == []
        guest.stop()
        assert not guest.is_running
    assert os_disk.path.stat().st_mtime_ns == before, "it doesn't write to its disk"
    assert guest.requests == ()


def test_a_server_that_nobody_wrote_to_says_that(tmp_path: Path) -> None:
    os_disk = disk(tmp_path)
    put_system(os_disk.path, real=False)
    with ScriptedDriver(tmp_path / "machines") as driver:
        guest = driver.start(machine(os_disk))
        wait_for(lambda: f"{UP}-" in lines(guest), 10)


@pytest.mark.parametrize(("has", "wants"), [("bios", "uefi"), ("uefi", "bios")])
def test_the_firmware_has_to_fit(tmp_path: Path, has: Firmware, wants: Firmware) -> None:
    with ScriptedDriver(tmp_path / "machines") as driver:
        guest = driver.start(machine(system(tmp_path, wants), firmware=has))
        wait_for(lambda: "No bootable device." in lines(guest), 10)
        assert (guest.agent, guest.is_running) == (None, True)
        assert NONCE not in guest.console().decode()


@pytest.mark.parametrize(("behaviour", "last"), [("silent", []), ("panics", ["Kernel panic - not syncing"])])
def test_a_system_that_does_not_come_up_stays_on(tmp_path: Path, behaviour: WorkloadBehaviour, last: list[str]) -> None:
    with ScriptedDriver(tmp_path / "machines", plan=GuestPlan(workload=behaviour)) as driver:
        guest = driver.start(machine(system(tmp_path)))
        wait_for(lambda: not last or any(last[0] in line for line in lines(guest)), 10)
        assert not guest.stopping.wait(0.1)
        assert (guest.agent, guest.is_running) == (None, True)
        assert NONCE not in guest.console().decode()
        assert bool(lines(guest)) == bool(last)


def test_a_nonce_of_the_outage_comes_home_and_is_found_nowhere_else(tmp_path: Path, client_image: Path) -> None:
    """A whole way: written while the client replicates, launched, powered off, and booted from the replicated disk."""
    volume = tmp_path / "volume.raw"
    create_sparse(volume, DISK_SIZE + (8 << 20))
    put_system(volume, real=False)
    with running(tmp_path) as place:
        clouds = place.clouds
        instance = clouds.drs.world.add_recovery_instance(NewInstance({"/dev/xvda": volume}, name="web-1"))
        place.drs.update_failback_replication_configuration(recoveryInstanceID=instance.id, usePrivateIP=True)
        place.open_port(instance)
        keys = place.keys()
        settings = AgentSettings.parse(
            {"run": "run-1", "server": "web-1", "region": "us-east-1", "recovery_instance": instance.id}
            | {"credentials": "keys", "access_key": keys.access_key, "secret_key": keys.secret_key}
            | {"session_token": keys.session_token, "mapping": [{"recovery_device": "/dev/xvda", "lun": 3}]}
        )
        client = scripted_client(clouds.drs, door_url=clouds.drs_url, replication_port=clouds.replication_port)
        target = disk(tmp_path, lun=3)
        with ScriptedDriver(tmp_path / "machines", plan=GuestPlan(client=client)) as driver:
            guest = driver.start(machine(disk(tmp_path, image=client_image), settings, data=[target]))
            wait_for(lambda: "ready: replication is continuous" in guest.console().decode(), 20)
            assert read_nonce(target.path) is None
            write_nonce(clouds.drs, instance.id, NONCE)
            place.drs.start_failback_launch(recoveryInstanceIDs=[instance.id])
            wait_for(lambda: not guest.is_running, 20, what=lambda: guest.console().decode())
            assert marks(guest.console())[-2:] == ["completed", "poweroff"]
            assert place.state(instance)[0] == "FAILBACK_COMPLETED"
            home = driver.start(machine(target))
            wait_for(lambda: home.agent is not None, 10)
            assert f"{UP}{NONCE}" in lines(home)
            assert NONCE not in guest.console().decode()
            assert NONCE not in "".join(str(request) for each in driver.guests for request in each.requests)
