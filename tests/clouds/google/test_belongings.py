"""What a run has made in Google Cloud: found by its labels, removed in order; what's others' stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from failback.clouds.google.labels import labels_of, tags_text
from failback.clouds.google.place import GooglePlace, last_part
from failback.clouds.google.removal import (
    remove_address,
    remove_disk,
    remove_image,
    remove_machine,
    remove_object,
    remove_snapshot,
)
from failback.errors import NotGivenBack
from failback.model.ending import Belonging
from failback.naming import RUN_TAG, SERVER_TAG
from localcloud.google.operations import Fault
from tests.clouds.google.services import BUCKET, PROJECT, TARGET, client_image, services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from failback.clouds.google.connection import GoogleHome
    from tests.clouds.google.services import Services

ZONE, REGION = f"zones/{TARGET.zone}", f"regions/{TARGET.region}"
OURS = {RUN_TAG: "Run 1", SERVER_TAG: "i-1"}
OF_RUN = {RUN_TAG: "Run 1"}
OTHERS = {RUN_TAG: "run 1"}


@pytest.fixture
def google(tmp_path: Path) -> Iterator[Services]:
    """All services."""
    with services(tmp_path) as embedded:
        yield embedded


@pytest.fixture
def home(google: Services) -> GoogleHome:
    """The adapter."""
    return google.connect()


def make(google: Services, home: GoogleHome, name: str, tags: Mapping[str, str]) -> None:
    """One of each kind, an address that's free and one that the machine uses among them."""
    administrator, labels = google.compute.administrator, labels_of(tags)
    disk = {"sizeGb": "10", "type": f"{home.place.zone_path}/diskTypes/pd-balanced", "labels": labels}
    for each in (name, f"{name}-boot"):
        administrator.insert(ZONE, "disks", disk | {"name": each})
    address = {"addressType": "INTERNAL", "subnetwork": TARGET.subnetwork, "description": tags_text(tags)}
    administrator.insert(REGION, "addresses", address | {"name": name})
    used = administrator.insert(REGION, "addresses", address | {"name": f"{name}-used"})
    administrator.insert(REGION, "addresses", address | {"name": f"{name}-own", "description": "mine"})
    administrator.insert("global", "snapshots", {"name": name, "sourceDisk": f"{home.place.zone_path}/disks/{name}",
                                                 "labels": labels})  # fmt: skip
    machine = {
        "name": name,
        "machineType": f"{home.place.zone_path}/machineTypes/e2-medium",
        "disks": [{"boot": True, "source": f"{home.place.zone_path}/disks/{name}-boot"}],
        "networkInterfaces": [{"subnetwork": TARGET.subnetwork, "networkIP": used["address"]}],
        "labels": labels,
    }
    administrator.insert(ZONE, "instances", machine)
    blob = home.place.clients.storage.bucket(BUCKET).blob(f"images/{name}/part-00000")
    blob.metadata = labels
    blob.upload_from_string(client_image(size=1024).whole())
    source = f"https://storage.googleapis.com/{BUCKET}/{blob.name}"
    administrator.insert("global", "images", {"name": name, "rawDisk": {"source": source}, "labels": labels})


def kinds(found: object) -> list[tuple[str, str]]:
    """What's been found."""
    return [(each.kind, last_part(each.name)) for each in found]  # type: ignore[attr-defined]


def test_all_of_a_run_is_found_and_removed_in_order(google: Services, home: GoogleHome) -> None:
    for name, tags in (("ours", OURS), ("other", OTHERS), ("none", {})):
        make(google, home, name, tags)
    before = set(google.compute.listing())
    found = list(home.belongings.made_by("Run 1"))
    assert kinds(found) == [
        ("machine", "ours"),
        ("address", "ours"),
        ("address", "ours-used"),
        ("disk", "ours"),
        ("disk", "ours-boot"),
        ("snapshot", "ours"),
        ("image", "ours"),
        ("object", "part-00000"),
    ]
    assert home.belongings.made_by("Run 1", server="i-1") == found
    assert home.belongings.made_by("Run 1", server="i-2") == []
    assert home.belongings.of_run("Run 1") == []
    for each in found:
        assert home.belongings.remove(each)
        assert home.belongings.remove(each)
    gone = {last_part(path) for path in before - set(google.compute.listing())}
    assert gone == {"ours", "ours-boot", "ours-used"}
    assert google.names() == ["images/none/part-00000", "images/other/part-00000"]
    assert home.belongings.made_by("Run 1") == []


def test_what_is_the_run_s_own(google: Services, home: GoogleHome) -> None:
    google.compute.administrator.insert(ZONE, "disks", {"name": "a", "sizeGb": "10", "labels": labels_of(OF_RUN)})
    google.compute.administrator.insert(ZONE, "disks", {"name": "b", "sizeGb": "10", "labels": labels_of(OURS)})
    assert kinds(home.belongings.of_run("Run 1")) == [("disk", "a")]
    assert kinds(home.belongings.made_by("Run 1")) == [("disk", "a"), ("disk", "b")]


@pytest.mark.parametrize(
    "remove",
    [remove_machine, remove_address, remove_disk, remove_snapshot, remove_image],
    ids=lambda each: each.__name__,
)
def test_somebody_else_s_thing_stays(
    google: Services, home: GoogleHome, remove: Callable[[GooglePlace, str], bool]
) -> None:
    make(google, home, "none", {})
    with pytest.raises(NotGivenBack, match="something else made it"):
        remove(home.place, "none")
    assert remove(home.place, "absent")
    with pytest.raises(NotGivenBack, match="something else made it"):
        remove_object(home.place, "images/none/part-00000")


def test_an_address_goes_by_its_maker_and_its_user(google: Services, home: GoogleHome) -> None:
    make(google, home, "ours", OURS)
    administrator = google.compute.administrator
    disk, boot = {"sizeGb": "10", "name": "theirs"}, f"{home.place.zone_path}/disks/theirs"
    administrator.insert(ZONE, "disks", disk)
    (own,) = [each for path, each in google.compute.listing().items() if path.endswith("/addresses/ours")]
    machine = {
        "name": "theirs",
        "machineType": f"{home.place.zone_path}/machineTypes/e2-medium",
        "disks": [{"boot": True, "source": boot}],
        "networkInterfaces": [{"subnetwork": TARGET.subnetwork, "networkIP": own["address"]}],
    }
    administrator.insert(ZONE, "instances", machine)
    found = [each.name for each in home.belongings.made_by("Run 1") if each.kind == "address"]
    assert found == ["ours-used"]
    assert not remove_address(home.place, "ours-used")


def test_what_s_in_use_is_removed_later(google: Services, home: GoogleHome) -> None:
    make(google, home, "ours", OURS)
    assert not remove_disk(home.place, "ours-boot")
    assert remove_machine(home.place, "ours")
    assert remove_disk(home.place, "ours-boot")


def test_a_refusal_comes_through(google: Services, home: GoogleHome) -> None:
    google.compute.administrator.insert(ZONE, "disks", {"name": "a", "sizeGb": "10", "labels": labels_of(OURS)})
    google.compute.fail_next(Fault("disks.delete", 400, "invalid", "no"))
    with pytest.raises(home.foreign):
        remove_disk(home.place, "a")
    google.compute.fail_next(Fault("disks.delete", 404, "notFound", "gone"))
    assert remove_disk(home.place, "a")


COMMANDS = {
    "machine": f"gcloud compute instances delete x --project {PROJECT} --zone {TARGET.zone} --quiet",
    "address": f"gcloud compute addresses delete x --project {PROJECT} --region {TARGET.region} --quiet",
    "disk": f"gcloud compute disks delete x --project {PROJECT} --zone {TARGET.zone} --quiet",
    "snapshot": f"gcloud compute snapshots delete x --project {PROJECT} --quiet",
    "image": f"gcloud compute images delete x --project {PROJECT} --quiet",
    "object": f"gcloud storage rm gs://{BUCKET}/x --project {PROJECT}",
}


def test_commands(home: GoogleHome) -> None:
    things = [Belonging(cloud="google", kind=kind, id=f"gs://{BUCKET}/x", name="x") for kind in COMMANDS]
    assert [home.belongings.command(each) for each in things] == list(COMMANDS.values())
