"""What a clone is made with, and what becomes of a copy that can't be made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.cloud.compute_v1 import CustomerEncryptionKey, Disk, GuestOsFeature

from failback.clouds.google.copies import clone_of, make_copies
from failback.clouds.google.place import GooglePlace
from failback.errors import CloudRefused
from failback.takeover_ports import DiskCopy
from tests.clouds.google.services import TARGET

if TYPE_CHECKING:
    from collections.abc import Mapping

ZONE = "projects/office-home/zones/europe-west3-a"
TAGS = {"drs-failback:run": "run-1"}
COPY = DiskCopy(f"{ZONE}/disks/system", "clone", "snapshot", TAGS)
SOURCE = Disk(
    name="system",
    zone=f"https://www.googleapis.com/compute/v1/{ZONE}",
    self_link=f"https://www.googleapis.com/compute/v1/{ZONE}/disks/system",
    type_=f"https://www.googleapis.com/compute/v1/{ZONE}/diskTypes/hyperdisk-balanced",
    size_gb=18,
    labels={"owner": "web", "drs-failback-run": "an-older-run"},
    licenses=["projects/p/global/licenses/x"],
    guest_os_features=[GuestOsFeature(type_="UEFI_COMPATIBLE")],
    architecture="X86_64",
    provisioned_iops=3000,
    disk_encryption_key=CustomerEncryptionKey(kms_key_name="projects/p/…/cryptoKeys/k/cryptoKeyVersions/3"),
)


def test_a_clone_is_as_its_source_in_what_cannot_be_changed() -> None:
    clone = clone_of(SOURCE, COPY, "projects/office-home/global/snapshots/snapshot")
    assert (clone.name, clone.size_gb, clone.type_) == ("clone", 18, f"{ZONE}/diskTypes/hyperdisk-balanced")
    assert clone.labels == {"owner": "web", "drs-failback-run": "run-1"}
    assert (list(clone.licenses), clone.architecture) == (["projects/p/global/licenses/x"], "X86_64")
    assert [each.type_ for each in clone.guest_os_features] == ["UEFI_COMPATIBLE"]
    assert clone.disk_encryption_key.kms_key_name == "projects/p/…/cryptoKeys/k"
    assert (clone.provisioned_iops, "provisioned_throughput" in clone, "description" in clone) == (3000, False, False)
    other = DiskCopy(COPY.source, "clone", "snapshot", TAGS, sku="pd-ssd")
    assert clone_of(SOURCE, other, "snapshot").type_ == f"{ZONE}/diskTypes/pd-ssd"


class Shelf:
    """The SDK's clients, as far as they're called: what's there, by name."""

    def __init__(self, things: Mapping[str, Any]) -> None:
        self.things = things

    @property
    def disks(self) -> Shelf:
        return self

    snapshots = disks

    def get(self, *, disk: str = "", snapshot: str = "", **_where: str) -> Any:  # noqa: ANN401 - the SDK's message
        """Like the SDK's."""
        from google.api_core.exceptions import NotFound

        if (disk or snapshot) not in self.things:
            raise NotFound(disk or snapshot)  # type: ignore[no-untyped-call]
        return self.things[disk or snapshot]


def place(**things: Any) -> GooglePlace:  # noqa: ANN401 - the SDK's messages
    clients: Any = Shelf(things)
    return GooglePlace(TARGET, clients)


def test_a_copy_that_failed_is_told() -> None:
    from google.cloud.compute_v1 import Snapshot

    failed = Snapshot(
        name="snapshot", status="FAILED", labels={"drs-failback-run": "run-1"}, source_disk=SOURCE.self_link
    )
    with pytest.raises(CloudRefused, match="couldn't make the snapshot snapshot"):
        make_copies(place(snapshot=failed, system=SOURCE), [COPY])
    failed.status = "UPLOADING"
    assert not make_copies(place(snapshot=failed, system=SOURCE), [COPY])
    failed.source_disk = f"{ZONE}/disks/another"
    with pytest.raises(CloudRefused, match=r"is a copy of .*/another, not of .*/system"):
        make_copies(place(snapshot=failed, system=SOURCE), [COPY])
