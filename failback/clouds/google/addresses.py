"""Private addresses of machines that are yet to be made: reserved in the target's subnetwork, called as the machine is.

An address says in its description who made it, and that can't be changed. So it counts as its maker's only while nobody
uses it: one that a machine uses is whose the machine is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.clouds.google.labels import labels_in, tags_text
from failback.clouds.google.operations import settled
from failback.clouds.google.owners import check_maker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.cloud import compute_v1 as compute

    from failback.clouds.google.place import GooglePlace

THERE = frozenset({"RESERVED", "IN_USE"})


def private_address(place: GooglePlace, machine: str, tags: Mapping[str, str]) -> str:
    """The address of a machine, reserved if it isn't there; empty while it's made.

    Raises CloudRefused where another's machine or reservation is called so.
    """
    found = place.address(machine)
    if found is None:
        instance = place.machine(machine)
        if instance is not None:
            check_maker("machine", machine, instance.labels, tags)
            return next((each.network_i_p for each in instance.network_interfaces), "")
        if not settled(place, begin_address(place, machine, tags)):
            return ""
        found = place.address(machine)
    if found is None:
        return ""
    check_maker("address", machine, labels_in(found.description), tags)
    return found.address if found.status in THERE else ""


def begin_address(place: GooglePlace, machine: str, tags: Mapping[str, str]) -> compute.Operation:
    """Begin to reserve a machine's address."""
    from google.cloud import compute_v1 as compute

    body = compute.Address(
        name=machine,
        address_type="INTERNAL",
        purpose="GCE_ENDPOINT",
        subnetwork=place.target.subnetwork,
        description=tags_text(tags),
    )
    return place.clients.addresses.insert_unary(project=place.project, region=place.region, address_resource=body)
