"""What Azure's own about taking machines over: what's in the way, zones, and operations that take their time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from azure.mgmt.compute.models import Disk

from failback.clouds.azure import arranging, copies, takeovers
from failback.clouds.azure.machine_look import Machine
from failback.clouds.azure.originals import barriers_of, obstacles_of, unmanaged_of
from failback.naming import TAKEN_TAG
from failback.takeover_ports import Arrangement, Attachment, ClientDisk, DiskCopy
from tests.home.originals import WEB, InAzure, home_in_azure, make_disk, make_original
from tests.home.test_takeovers import TAGS, found, until_done

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LATENCY = {"virtualMachines/deallocate": 90.0, "snapshots/write": 60.0, "disks/write": 5.0,
           "virtualMachines/write": 20.0, "virtualMachines/start": 120.0}  # fmt: skip
MANAGED = {"managedDisk": {"id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/d"}}


@pytest.fixture
def latency() -> dict[str, float]:
    """What operations take; none takes anything until a test says so."""
    return {}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, latency: dict[str, float]) -> Iterator[InAzure]:
    """Azure with the machine."""
    with home_in_azure(tmp_path / "azure", monkeypatch, latency=latency) as embedded:
        yield embedded


def machine(**properties: Any) -> Machine:  # noqa: ANN401 - any of a document
    return Machine({"properties": properties, "resources": []}, "PowerState/running")


@pytest.mark.parametrize(
    ("properties", "word"),
    [
        ({"securityProfile": {"securityType": "TrustedLaunch"}}, "TrustedLaunch"),
        ({"securityProfile": {"securityType": "ConfidentialVM"}}, "ConfidentialVM"),
        ({"storageProfile": {"osDisk": {"diffDiskSettings": {"option": "Local"}}}}, "ephemeral"),
        ({"storageProfile": {"osDisk": {"encryptionSettings": {"enabled": True}}}}, "encrypted"),
        ({"virtualMachineScaleSet": {"id": "set"}}, "scale set"),
    ],
    ids=["trusted", "confidential", "ephemeral", "encrypted", "scale-set"],
)
def test_what_keeps_disks_out_of_a_machine(properties: dict[str, Any], word: str) -> None:
    (barrier,) = barriers_of(machine(**properties), [])
    assert word in barrier


def test_encryption_is_also_told_by_an_extension_or_a_disk() -> None:
    extension = {"properties": {"publisher": "Microsoft.Azure.Security", "type": "AzureDiskEncryptionForLinux"}}
    extended = Machine({"properties": {}, "resources": [extension]}, "")
    encrypted = Disk({"properties": {"encryptionSettingsCollection": {"enabled": True}}})
    assert [*barriers_of(extended, [])] == [*barriers_of(machine(), [None, encrypted])] != []
    other = {"properties": {"type": "AzureMonitorLinuxAgent"}}
    assert not [*barriers_of(Machine({"properties": {}, "resources": [other]}, ""), [Disk({"properties": {}})])]


def test_what_is_in_the_way_of_the_client_only() -> None:
    host = machine(securityProfile={"encryptionAtHost": True}, storageProfile={"osDisk": {**MANAGED}})
    assert not [*obstacles_of(host), *barriers_of(host, [])]
    (obstacle,) = obstacles_of(machine(storageProfile={"diskControllerType": "NVMe"}))
    assert "NVMe" in obstacle
    (unmanaged,) = unmanaged_of([{"name": "boot", "vhd": {"uri": "https://x"}}, {"name": "data", **MANAGED}])
    assert "(boot)" in unmanaged


@pytest.mark.embedded
def test_operations_that_take_their_time_are_waited_for_by_later_calls(
    home: InAzure, monkeypatch: pytest.MonkeyPatch, latency: dict[str, float]
) -> None:
    for module in (arranging, copies, takeovers):
        monkeypatch.setattr(module, "SETTLE_SECONDS", 0.2)
    before = found(home)
    latency.update(LATENCY)
    calls: dict[str, Callable[[], bool]] = {
        "off": lambda: home.takeovers.power_off(WEB),
        "copy": lambda: home.takeovers.copy([DiskCopy(home.disk_id("system"), "clone", "snapshot", TAGS)]),
        "client": lambda: home.takeovers.client_disk(ClientDisk("client", home.image, "linux", "bios", TAGS)),
        "arrange": lambda: home.takeovers.arrange(
            Arrangement(WEB, "client", "linux", "bios", running=True, tags=TAGS, data=(Attachment("clone", 0),),
                        user_data="version=1\n", like=before)
        ),
        "restore": lambda: home.takeovers.restore(before),
    }  # fmt: skip
    taken = {}
    for name, call in calls.items():
        began, number = home.embedded.clock.now(), 0
        # Every call is made twice: the first one's answer is lost.
        while not (call() and call()):
            number += 1
            assert number < 200, name
            home.embedded.clock.advance(5.0)
        taken[name] = (home.embedded.clock.now() - began).total_seconds()
    # Deallocated once; then tags, disks out, boot disk in, disks in, what it's told, and started.
    assert taken["off"] == pytest.approx(90, abs=10)
    assert taken["copy"] == pytest.approx(65, abs=15)
    assert 220 <= taken["arrange"] <= 270
    assert home.standing(found(home)) == home.standing(before)
    assert len(home.embedded.driver.machines) == 3
    for thread in threading.enumerate():
        if thread.name.startswith("LROPoller"):
            thread.join(10)


@pytest.mark.embedded
def test_copies_and_the_client_lie_in_the_machines_zone(home: InAzure) -> None:
    place = home.embedded.home.place
    make_disk(home.embedded, "zonal", zones=["2"], osType="Linux", hyperVGeneration="V1", networkAccessPolicy="DenyAll")
    make_original(home.embedded, "zonal-web", boot="zonal", zones=["2"])
    before = found(home, "zonal-web")
    until_done(lambda: home.takeovers.copy([DiskCopy(home.disk_id("zonal"), "clone", "snapshot", TAGS)]))
    client = ClientDisk("client", home.image, "linux", "bios", TAGS, like=before)
    until_done(lambda: home.takeovers.client_disk(client))
    assert [home.embedded.document(name)["zones"] for name in ("clone", "client")] == [["2"], ["2"]]
    clone = place.disk("clone")
    assert clone is not None
    assert (clone.os_type, clone.hyper_v_generation, clone.network_access_policy) == ("Linux", "V1", "DenyAll")
    wanted = Arrangement("zonal-web", "client", "linux", "bios", running=True, tags=TAGS,
                         data=(Attachment("clone", 0),), like=before)  # fmt: skip
    until_done(lambda: home.takeovers.arrange(wanted))
    assert home.tags("machine", "zonal-web")[TAKEN_TAG] == "run-1"
    until_done(lambda: home.takeovers.restore(before))
    assert home.standing(found(home, "zonal-web")) == home.standing(before)


def test_a_trusted_machine_says_what_is_in_the_way(home: InAzure) -> None:
    trusted: dict[str, Any] = {"securityProfile": {"securityType": "TrustedLaunch"}}
    make_disk(home.embedded, "trusted", osType="Linux", hyperVGeneration="V2", **trusted)
    make_original(home.embedded, "trusted-web", boot="trusted", **trusted)
    machine = found(home, "trusted-web")
    assert machine.firmware == "uefi"
    assert machine.obstacles == machine.barriers
    assert "TrustedLaunch" in machine.barriers[0]
