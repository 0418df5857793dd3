"""Copies of disks by way of snapshots: everything of a kind is begun before any of it is waited for.

A snapshot holds the disk as it was when its making began. What's written to the disk meanwhile isn't in it, but only a
snapshot that's ready (filled) can be made a disk of.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from failback.clouds.google.arranging import all_went
from failback.clouds.google.disks import FAILED, READY, begin_disk
from failback.clouds.google.labels import labels_of
from failback.clouds.google.machine_look import path_of
from failback.clouds.google.owners import check_maker, without_ours
from failback.clouds.google.place import last_part
from failback.errors import CloudRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.cloud import compute_v1 as compute

    from failback.clouds.google.place import GooglePlace
    from failback.takeover_ports import DiskCopy


def make_copies(place: GooglePlace, copies: Sequence[DiskCopy]) -> bool:
    """Snapshots first, then disks of them; True once all are there. A copy without a name ends with its snapshot."""
    if not _begun_and_there(place, [_Snapshot(place, copy) for copy in copies]):
        return False
    return _begun_and_there(place, [_Clone(place, copy) for copy in copies if copy.name])


def _begun_and_there(place: GooglePlace, makings: Sequence[_Making]) -> bool:
    went = all_went(place, [each.begin for each in makings if each.thing is None])
    return went and all([each.is_whole for each in makings])


class _Making(ABC):
    """A snapshot or a disk that a copy needs; raises CloudRefused where something else has its name."""

    kind = "disk"

    def __init__(self, place: GooglePlace, copy: DiskCopy) -> None:
        self.place, self.copy = place, copy
        self.thing = self.find()
        if self.thing is not None:
            check_maker(self.kind, self.thing.name, self.thing.labels, copy.tags)
            self._check_source(self.thing)

    @property
    def is_whole(self) -> bool:
        if self.thing is None or self.thing.status != READY:
            self.thing = self.find()
        if self.thing is not None and self.thing.status == FAILED:
            message = (
                f"Compute couldn't make the {self.kind} {self.thing.name}. Look at its operation in the console, "
                "remove it, and have this tried again."
            )
            raise CloudRefused(message)
        return self.thing is not None and self.thing.status == READY

    @property
    @abstractmethod
    def source(self) -> str:
        """The path of what it's a copy of."""

    @abstractmethod
    def find(self) -> compute.Disk | compute.Snapshot | None:
        """It as it is now."""

    @abstractmethod
    def begin(self) -> compute.Operation:
        """Begin to make it."""

    @abstractmethod
    def made_of(self, thing: compute.Disk | compute.Snapshot) -> str:
        """What the thing says that it's made of."""

    def original(self) -> compute.Disk:
        """The disk that's copied."""
        disk = self.place.disk(last_part(self.copy.source))
        if disk is None:
            message = f"There's no disk {self.copy.source} to copy. Somebody has removed it since the plan was made."
            raise CloudRefused(message)
        return disk

    def _check_source(self, thing: compute.Disk | compute.Snapshot) -> None:
        found = path_of(self.made_of(thing))
        if found != self.source:
            message = f"The {self.kind} {thing.name} is a copy of {found}, not of {self.source}: remove it, and start "
            raise CloudRefused(message + "again.")


class _Snapshot(_Making):
    kind = "snapshot"

    @property
    def source(self) -> str:
        return path_of(self.copy.source)

    def find(self) -> compute.Snapshot | None:
        return self.place.snapshot(self.copy.snapshot)

    def made_of(self, thing: compute.Disk | compute.Snapshot) -> str:
        return thing.source_disk

    def begin(self) -> compute.Operation:
        from google.cloud import compute_v1 as compute

        body = compute.Snapshot(
            name=self.copy.snapshot,
            source_disk=path_of(self.original().self_link),
            labels=labels_of(self.copy.tags),
            # Where the disk is: from further away, it would be filled, and read, for longer.
            storage_locations=[self.place.region],
        )
        return self.place.clients.snapshots.insert_unary(project=self.place.project, snapshot_resource=body)


class _Clone(_Making):
    @property
    def source(self) -> str:
        return f"{self.place.project_path}/global/snapshots/{self.copy.snapshot}"

    def find(self) -> compute.Disk | None:
        return self.place.disk(self.copy.name)

    def made_of(self, thing: compute.Disk | compute.Snapshot) -> str:
        return str(getattr(thing, "source_snapshot", ""))

    def begin(self) -> compute.Operation:
        return begin_disk(self.place, clone_of(self.original(), self.copy, self.source))


def clone_of(source: compute.Disk, copy: DiskCopy, snapshot: str) -> compute.Disk:
    """What a clone is made with: as its source in everything that can't be changed later, with its labels and ours."""
    from google.cloud import compute_v1 as compute

    zone = path_of(source.zone)
    kind = f"{zone}/diskTypes/{copy.sku}" if copy.sku else path_of(source.type_)
    clone = compute.Disk(
        name=copy.name,
        source_snapshot=snapshot,
        size_gb=source.size_gb,
        type_=kind,
        licenses=list(source.licenses),
        guest_os_features=list(source.guest_os_features),
        labels={**without_ours(source.labels), **labels_of(copy.tags)},
    )
    for name in ("architecture", "description", "physical_block_size_bytes", "enable_confidential_compute",
                 "provisioned_iops", "provisioned_throughput"):  # fmt: skip
        # What was never said can't always be said, even as what it is anyway.
        if name in source:
            setattr(clone, name, getattr(source, name))
    if source.disk_encryption_key.kms_key_name:
        key, _, _ = source.disk_encryption_key.kms_key_name.partition("/cryptoKeyVersions/")
        clone.disk_encryption_key = compute.CustomerEncryptionKey(kms_key_name=key)
    return clone
