"""Takes a run's labels off a machine with all that belongs to it: then no clean-up finds any of it.

Its address has none to be taken off: an address that's used is whose its machine is.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from failback.clouds.google.arranging import begin_labels, went
from failback.clouds.google.labels import label_value
from failback.clouds.google.machine_look import look_at
from failback.clouds.google.operations import SETTLE_SECONDS
from failback.clouds.google.owners import runs_in, without_ours
from failback.clouds.google.place import last_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.cloud import compute_v1 as compute

    from failback.clouds.google.machine_look import Machine
    from failback.clouds.google.place import GooglePlace


def take_labels_off(place: GooglePlace, name: str, *, run: str) -> bool:
    """The machine first: what's attached to one that isn't the run's can't be removed. True once none is left."""
    machine = look_at(place, name)
    if machine is None:
        return True
    if machine.changing:
        return False
    if label_value(run) in runs_in(machine.labels):
        begin = partial(begin_labels, place, machine, without_ours(machine.labels))
        if not went(place, begin, SETTLE_SECONDS):
            return False
    return all(went(place, begin, SETTLE_SECONDS) for begin in _disks(place, machine, run))


def _disks(place: GooglePlace, machine: Machine, run: str) -> Iterator[Callable[[], compute.Operation]]:
    for slot in machine.slots:
        disk = place.disk(last_part(slot.disk))
        if disk is not None and label_value(run) in runs_in(disk.labels):
            yield partial(_begin_disk_labels, place, disk)


def _begin_disk_labels(place: GooglePlace, disk: compute.Disk) -> compute.Operation:
    from google.cloud import compute_v1 as compute

    labels = without_ours(disk.labels)
    body = compute.ZoneSetLabelsRequest(label_fingerprint=disk.label_fingerprint, labels=labels)
    return place.clients.disks.set_labels_unary(
        project=place.project, zone=place.zone, resource=disk.name, zone_set_labels_request_resource=body
    )
