"""Removes machines, addresses, disks, snapshots, images and objects: only ours, none waited for long.

Each function gives True once its thing is gone, False while something is still at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from failback.clouds.google.labels import labels_in
from failback.clouds.google.operations import reason_of, settled
from failback.clouds.google.owners import check_ours
from failback.clouds.google.upload import storage_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.clouds.google.place import GooglePlace

IN_USE = frozenset({"resourceInUseByAnotherResource", "resourceNotReady", "resourceInUse"})
"""What still uses the thing, or changes it, has to end first."""
GONE_SECONDS = 5.0
"""How long a removal is waited for: a disk or an address is gone within it, a machine takes half a minute or more."""


def remove_machine(place: GooglePlace, name: str) -> bool:
    """Remove a virtual machine, and those of its disks that go with it (autoDelete); the others stay."""
    machine = place.machine(name)
    if machine is None:
        return True
    check_ours("machine", name, machine.labels)
    instances = place.clients.instances
    return _begun(place, lambda: instances.delete_unary(project=place.project, zone=place.zone, instance=name))


def remove_address(place: GooglePlace, name: str) -> bool:
    """Give an address back."""
    address = place.address(name)
    if address is None:
        return True
    check_ours("address", name, labels_in(address.description))
    addresses = place.clients.addresses
    return _begun(place, lambda: addresses.delete_unary(project=place.project, region=place.region, address=name))


def remove_disk(place: GooglePlace, name: str) -> bool:
    """Remove a disk."""
    disk = place.disk(name)
    if disk is None:
        return True
    check_ours("disk", name, disk.labels)
    disks = place.clients.disks
    return _begun(place, lambda: disks.delete_unary(project=place.project, zone=place.zone, disk=name))


def remove_snapshot(place: GooglePlace, name: str) -> bool:
    """Remove a snapshot."""
    snapshot = place.snapshot(name)
    if snapshot is None:
        return True
    check_ours("snapshot", name, snapshot.labels)
    snapshots = place.clients.snapshots
    return _begun(place, lambda: snapshots.delete_unary(project=place.project, snapshot=name))


def remove_image(place: GooglePlace, name: str) -> bool:
    """Remove an image; disks that were made of it stay."""
    image = place.image(name)
    if image is None:
        return True
    check_ours("image", name, image.labels)
    images = place.clients.images
    return _begun(place, lambda: images.delete_unary(project=place.project, image=name))


def remove_object(place: GooglePlace, name: str) -> bool:
    """Remove an object of the target's bucket."""
    from google.api_core.exceptions import NotFound

    blob = place.clients.storage.bucket(place.target.bucket).get_blob(name, **storage_options())
    if blob is None:
        return True
    check_ours("object", name, blob.metadata)
    try:
        blob.delete(if_generation_match=blob.generation, **storage_options())
    except NotFound:
        # By a first attempt whose answer was lost.
        return True
    return True


def _begun(place: GooglePlace, begin: Callable[[], Any]) -> bool:
    """Whether the removal ends soon."""
    from google.api_core.exceptions import BadRequest, Conflict, NotFound

    try:
        return settled(place, begin(), GONE_SECONDS)
    except NotFound:
        return True
    except (BadRequest, Conflict) as error:
        if reason_of(error) in IN_USE:
            return False
        raise
