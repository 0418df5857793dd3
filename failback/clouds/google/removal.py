"""Removes machines, addresses, disks, snapshots, images and objects: only ours, none waited for long.

Each function gives True once its thing is gone, False while something is still at it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from failback.clouds.google.labels import labels_in
from failback.clouds.google.operations import reason_of, settled
from failback.clouds.google.owners import check_ours
from failback.clouds.google.upload import storage_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from failback.clouds.google.place import GooglePlace

IN_USE = frozenset({"resourceInUseByAnotherResource", "resourceNotReady", "resourceInUse"})
"""What still uses the thing, or changes it, has to end first."""
GONE_SECONDS = 5.0
"""How long a removal is waited for: a disk or an address is gone within it, a machine takes half a minute or more."""


def remove_machine(place: GooglePlace, name: str) -> bool:
    """Remove a virtual machine, and those of its disks that go with it (autoDelete); the others stay."""
    delete = partial(place.clients.instances.delete_unary, project=place.project, zone=place.zone, instance=name)
    return _removed(place, "machine", name, place.machine(name), delete)


def remove_address(place: GooglePlace, name: str) -> bool:
    """Give an address back."""
    address = place.address(name)
    delete = partial(place.clients.addresses.delete_unary, project=place.project, region=place.region, address=name)
    return _removed(place, "address", name, address, delete, labels_in(address.description) if address else None)


def remove_disk(place: GooglePlace, name: str) -> bool:
    """Remove a disk."""
    delete = partial(place.clients.disks.delete_unary, project=place.project, zone=place.zone, disk=name)
    return _removed(place, "disk", name, place.disk(name), delete)


def remove_snapshot(place: GooglePlace, name: str) -> bool:
    """Remove a snapshot."""
    delete = partial(place.clients.snapshots.delete_unary, project=place.project, snapshot=name)
    return _removed(place, "snapshot", name, place.snapshot(name), delete)


def remove_image(place: GooglePlace, name: str) -> bool:
    """Remove an image; disks that were made of it stay."""
    delete = partial(place.clients.images.delete_unary, project=place.project, image=name)
    return _removed(place, "image", name, place.image(name), delete)


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


def _removed(
    place: GooglePlace,
    kind: str,
    name: str,
    found: Any,  # noqa: ANN401 - the SDK's model of any kind, None for what isn't there
    delete: Callable[[], Any],
    labels: Mapping[str, str] | None = None,
) -> bool:
    """Whether it's gone, or will be soon; `labels` are given where the thing itself has none."""
    from google.api_core.exceptions import BadRequest, Conflict, NotFound

    if found is None:
        return True
    check_ours(kind, name, found.labels if labels is None else labels)
    try:
        return settled(place, delete(), GONE_SECONDS)
    except NotFound:
        return True
    except (BadRequest, Conflict) as error:
        if reason_of(error) in IN_USE:
            return False
        raise
