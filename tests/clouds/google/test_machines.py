"""Client machines at Google on an embedded Compute, looked at as Compute shows them; the contract is in tests/home."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from failback.clouds.google.parts import check_disks
from failback.errors import CloudBusy, CloudRefused, NotGivenBack
from failback.home_ports import DataDisk, MachineToBuild
from failback.model.run import HomeImage
from failback.naming import run_tags
from localcloud.google.operations import Fault
from tests.clouds.google.embedded import GUEST, ZONE, EmbeddedGoogle, archived, embedded_google
from tests.clouds.google.services import PROJECT, TARGET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY, NAME = "0123456789abcdef0123", "drs-failback-client-1"
TAGS = run_tags("Run 1", datetime(2026, 1, 2, tzinfo=UTC), server="i-0123456789abcdef0")
DISKS = (
    DataDisk("web-boot", 18, 3, os="windows", firmware="uefi"),
    DataDisk("web-data", 13, 1, sku="pd-ssd"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("google")


@pytest.fixture(scope="module")
def google(folder: Path) -> Iterator[EmbeddedGoogle]:
    with embedded_google(folder) as embedded:
        yield embedded


@pytest.fixture(scope="module")
def image(google: EmbeddedGoogle) -> HomeImage:
    content = archived({0: b"boot" * 1024})
    found = google.home.images.advance(KEY, content, cursor={}, tags={})
    while found.image is None:
        found = google.home.images.advance(KEY, content, cursor=found.cursor, tags={})
    return found.image


def build(google: EmbeddedGoogle, wanted: MachineToBuild) -> None:
    """Build by as many calls as it takes."""
    for _ in range(5):
        if google.home.machines.build(wanted) == "running":
            return
    raise AssertionError(google.compute.listing())


@pytest.fixture(scope="module")
def machine(google: EmbeddedGoogle, image: HomeImage) -> MachineToBuild:
    """A machine that was built, with everything that one can have."""
    wanted = MachineToBuild(NAME, image, "bios", "version=1\n", TAGS, DISKS, "windows", GUEST.email)
    build(google, wanted)
    return wanted


@pytest.mark.usefixtures("machine")
def test_a_machine_is_what_every_client_has_drivers_for(google: EmbeddedGoogle) -> None:
    found = google.document("instances", NAME)
    assert found["machineType"].endswith("/e2-standard-2")
    (nic,) = found["networkInterfaces"]
    assert (nic["nicType"], nic["networkIP"]) == ("VIRTIO_NET", google.document("addresses", NAME)["address"])
    assert "accessConfigs" not in nic
    assert set(found["shieldedInstanceConfig"].values()) == {False}
    assert {each["key"]: each["value"] for each in found["metadata"]["items"]} == {
        "failback-settings": "version=1\n", "serial-port-logging-enable": "true",
    }  # fmt: skip
    assert found["serviceAccounts"] == [
        {"email": GUEST.email, "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}
    ]
    assert [(each["deviceName"], each["boot"], each["autoDelete"]) for each in found["disks"]] == [
        (f"{NAME}-disk", True, False),
        ("web-data", False, False),
        ("web-boot", False, False),
    ]


@pytest.mark.usefixtures("machine")
def test_disks_have_their_features_from_the_start(google: EmbeddedGoogle) -> None:
    def seen(name: str) -> tuple[set[str], str, str]:
        found = google.document("disks", name)
        features = {each["type"] for each in found.get("guestOsFeatures", ())}
        return features, found["type"].rpartition("/")[2], found["sizeGb"]

    booted = {"VIRTIO_SCSI_MULTIQUEUE", "WINDOWS", "MULTI_IP_SUBNET"}
    assert seen(f"{NAME}-disk") == (booted, "pd-balanced", "10")
    assert seen("web-boot") == ({*booted, "UEFI_COMPATIBLE"}, "pd-balanced", "18")
    assert seen("web-data") == (set(), "pd-ssd", "13")
    labels = google.document("disks", "web-data")["labels"]
    assert (labels["drs-failback-machine"], labels["drs-failback-server"]) == (NAME, "i-0123456789abcdef0")
    assert labels["drs-failback-run"].startswith("run_1-")


def test_an_address_is_whose_its_machine_is(google: EmbeddedGoogle, machine: MachineToBuild) -> None:
    machines, belongings = google.home.machines, google.home.belongings
    assert ("address", NAME) in {(each.kind, each.name) for each in belongings.made_by("Run 1")}
    address = machines.address(NAME, tags=TAGS)
    assert google.home.takeovers.hand_over(NAME, run="Run 1")
    assert not [each for each in belongings.made_by("Run 1") if each.name.startswith((NAME, "web-"))]
    with pytest.raises(NotGivenBack, match="has no label drs-failback-run"):
        machines.remove(NAME)
    with pytest.raises(CloudRefused, match="made by something else"):
        machines.build(machine)
    assert address == google.document("addresses", NAME)["address"]


def test_a_machine_without_a_reservation_has_its_own_address(google: EmbeddedGoogle) -> None:
    disk = google.disk("plain-disk")
    labels = {"drs-failback-run": "run-2"}
    google.instance("plain", {"source": disk, "boot": True}, labels=labels)
    tags = {"drs-failback:run": "run-2"}
    assert (
        google.home.machines.address("plain", tags=tags)
        == google.document("instances", "plain")["networkInterfaces"][0]["networkIP"]
    )
    with pytest.raises(CloudRefused, match="machine plain already, made by the run run-2"):
        google.home.machines.address("plain", tags=TAGS)


def test_settings_wait_while_the_machine_is_changed(google: EmbeddedGoogle, image: HomeImage) -> None:
    machines = google.home.machines
    told = MachineToBuild("told", image, "bios", "version=1\n", TAGS)
    build(google, told)
    google.compute.fail_next(Fault("instances.setMetadata", 412, "conditionNotMet", "Supplied fingerprint is old"))
    with pytest.raises(CloudBusy, match="told is being changed"):
        machines.tell("told", "version=2\n")
    machines.tell("told", "version=3\n")
    assert google.machine("told").spec.attributes["failback-settings"] == "version=3\n"
    assert machines.console("told") == ""
    path = f"projects/{PROJECT}/{ZONE}/instances/told"
    google.compute.administrator.act("POST", f"{path}/stop")
    assert machines.state("told") == "stopped"


def test_a_machine_that_cannot_be_made_is_asked_for_again(google: EmbeddedGoogle, image: HomeImage) -> None:
    machines = google.home.machines
    wanted = MachineToBuild("sold-out", image, "bios", "version=1\n", TAGS)
    fault = Fault("instances.insert", 503, "zoneResourcePoolExhausted", "no room", at_once=False)
    google.compute.fail_next(fault)
    with pytest.raises(google.home.foreign) as caught:
        build(google, wanted)
    assert "has no room for that now" in str(google.home.translate(caught.value))
    assert machines.state("sold-out") == "building"
    build(google, wanted)
    assert machines.remove("none")
    while not machines.remove("sold-out"):
        pass
    assert machines.state("sold-out") == "absent"


@pytest.mark.parametrize("luns", [(3, 3), (0, 127), (-1,)], ids=str)
def test_disks_that_cannot_all_be_attached(luns: tuple[int, ...]) -> None:
    nowhere = HomeImage(id="none", name="none", key=KEY)
    wanted = MachineToBuild(
        NAME, nowhere, "bios", "", TAGS, tuple(DataDisk(f"d{lun}-{at}", 10, lun) for at, lun in enumerate(luns))
    )
    with pytest.raises(CloudRefused, match="LUN"):
        check_disks(wanted)
    same = replace(wanted, disks=(DataDisk("a", 10, 0), DataDisk("a", 10, 1)))
    with pytest.raises(CloudRefused, match="same name"):
        check_disks(same)
    assert TARGET.zone == "europe-west3-a"
