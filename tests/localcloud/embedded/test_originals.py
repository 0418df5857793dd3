"""Servers at home that were failed over: made by ARM as a person's, with what their volumes held at the failover."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from failback.errors import LocalCloudError
from localcloud.drs.plans import ClientPlan
from localcloud.drs.records import NewInstance
from localcloud.embedded.clouds import SERVER_IDENTITY
from localcloud.embedded.image_hashes import disk_file
from localcloud.embedded.listing import listing
from localcloud.embedded.originals import OLDER_NONCE, Wishes, add_original
from localcloud.embedded.servers import write_nonce
from localcloud.sparse_files import copy_sparse, create_sparse, data_ranges
from localcloud.workload.layout import DISK_SIZE, RECORD_OFFSET
from localcloud.workload.marker import put_system, read_nonce
from tests.localcloud.drs.place import Place, noisy, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localcloud.drs.records import BootMode, RecoveryInstance
    from localcloud.embedded.originals import OriginalServer

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
BOOT, DATA = "/dev/xvda", "/dev/xvdb"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running(tmp_path_factory.mktemp("originals")) as place:
        yield place


def failed_over(place: Place, folder: Path, name: str, *, boot_mode: BootMode = "legacy-bios") -> RecoveryInstance:
    boot = folder / "boot.raw"
    create_sparse(boot, DISK_SIZE + MIB)
    put_system(boot, real=False)
    volumes = {BOOT: boot, DATA: noisy(folder / "data.raw", 4 * MIB)}
    made = place.clouds.drs.world.add_recovery_instance(NewInstance(volumes, name=name, boot_mode=boot_mode))
    place.drs.update_failback_replication_configuration(recoveryInstanceID=made.id, usePrivateIP=True)
    return made


def files(place: Place, made: OriginalServer) -> dict[str, Path]:
    folder = place.clouds.azure_settings.folder
    return {device: disk_file(folder, disk) for device, disk in made.disks.items()}


def start_of(file: Path, size: int) -> bytes:
    """As much of a disk as its volume is large; it has nothing behind that."""
    with file.open("rb") as disk:
        assert list(data_ranges(disk.fileno(), size, GIB)) == []
        return disk.read(size)


def test_it_is_a_machine_with_a_history(place: Place, tmp_path: Path) -> None:
    instance = failed_over(place, tmp_path, "web-1")
    made = add_original(place.clouds, instance)
    at_home = listing(place.clouds)["azure"]
    machine = at_home[made.id]
    assert (made.name, machine["powerState"]) == ("web-1", "running")
    assert machine["tags"] == {"owner": "web team", "cost centre": "4711"}
    assert list(machine["identity"]["userAssignedIdentities"]) == [
        SERVER_IDENTITY.resource_id(place.clouds.azure_settings.subscription)
    ]
    storage = machine["properties"]["storageProfile"]
    assert storage["osDisk"]["managedDisk"]["id"] == made.disks[BOOT]
    assert [(each["managedDisk"]["id"], each["lun"]) for each in storage["dataDisks"]] == [(made.disks[DATA], 1)]
    assert at_home[made.disks[BOOT]]["properties"]["hyperVGeneration"] == "V1"
    assert machine["properties"]["networkProfile"]["networkInterfaces"][0]["id"] == made.nic
    assert made.address.startswith("203.0.113.")
    assert not [name for each in at_home.values() for name in each.get("tags", {}) if name.startswith("drs-failback")]


def test_a_machine_by_uefi_that_is_off(place: Place, tmp_path: Path) -> None:
    instance = failed_over(place, tmp_path, "web-2", boot_mode="uefi")
    made = add_original(place.clouds, instance, name="other", wishes=Wishes(running=False, identity=False))
    at_home = listing(place.clouds)["azure"]
    assert (at_home[made.id]["name"], at_home[made.id]["powerState"]) == ("other", "deallocated")
    assert "identity" not in at_home[made.id]
    assert at_home[made.disks[BOOT]]["properties"]["hyperVGeneration"] == "V2"


def test_its_disks_hold_what_was_there_at_the_failover(place: Place, tmp_path: Path) -> None:
    instance = failed_over(place, tmp_path, "web-3")
    at_failover = {device: volume.path.read_bytes() for device, volume in instance.volumes.items()}
    instance.volumes[DATA].write(MIB, b"since then")
    write_nonce(place.clouds.drs, instance.id, "since-then")
    for device, file in files(place, add_original(place.clouds, instance)).items():
        volume, before = instance.volumes[device], at_failover[device]
        disk = start_of(file, volume.size)
        ((at, length),) = volume.changes(0, original=True)[1]
        assert length == 64 * KIB
        assert disk[:at] == before[:at]
        assert disk[at + length :] == before[at + length :]
        assert disk != volume.path.read_bytes()
        if device == BOOT:
            assert at == RECORD_OFFSET
            assert read_nonce(file) == OLDER_NONCE


def test_with_what_has_changed_and_no_more_they_are_what_the_volumes_are(place: Place, tmp_path: Path) -> None:
    """As DRS does it for the original server: on clones of the disks."""
    instance = failed_over(place, tmp_path, "web-4")
    place.open_port(instance)
    place.clouds.drs.plan(instance.id, ClientPlan(original=True))
    write_nonce(place.clouds.drs, instance.id, "since-then")
    made = add_original(place.clouds, instance)
    client = place.machine(instance)
    for device, file in files(place, made).items():
        client.files[device].unlink()
        copy_sparse(file, client.files[device], size=GIB)
    client.start()
    place.await_state(instance, "FAILBACK_READY_FOR_LAUNCH", "CONTINUOUS")
    client.stop()
    sent = {device: place.clouds.drs.replication.sent(instance.id, device) for device in (BOOT, DATA)}
    assert sent == {BOOT: 64 * KIB, DATA: 0}
    assert read_nonce(client.files[BOOT]) == "since-then"
    for device, volume in instance.volumes.items():
        assert start_of(client.files[device], volume.size) == volume.path.read_bytes()


def test_what_arm_refuses_is_said(place: Place, tmp_path: Path) -> None:
    instance = failed_over(place, tmp_path, "web-5")
    with pytest.raises(LocalCloudError, match=r"PUT .*virtualMachines/web-5: 4\d\d .*Nowhere"):
        add_original(place.clouds, instance, wishes=Wishes(size="Nowhere"))
    attached = place.clouds.azure.administrator.id_of("home", "Microsoft.Compute/disks", "nothing")
    with pytest.raises(LocalCloudError, match="can't be filled"):
        place.clouds.azure.administrator.fill_disk(attached, tmp_path / "boot.raw")
