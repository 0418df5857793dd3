"""Removes machines, interfaces, disks and snapshots: only ours, each begun or continued, nothing waited for long.

Each function gives True once its thing is gone, False while something is still at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from failback.clouds.azure.owners import check_ours
from failback.clouds.azure.place import settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.clouds.azure.place import AzurePlace

IN_USE = frozenset({"NicInUse", "NicReservedForAnotherVm"})
"""An interface stays taken for up to three minutes after its machine has gone."""

GONE_SECONDS = 5.0
"""How long a removal is waited for: a disk or an interface is gone within it, a machine takes one to three minutes."""


def remove_machine(place: AzurePlace, name: str) -> bool:
    """Remove a virtual machine; its disks and interfaces stay."""
    machine = place.machine(name)
    if machine is None:
        return True
    check_ours("machine", name, machine.tags)
    machines = place.compute.virtual_machines
    return _begun(lambda: machines.begin_delete(place.group, name, force_deletion=True))


def remove_interface(place: AzurePlace, name: str) -> bool:
    """Remove a network interface."""
    interface = place.interface(name)
    if interface is None:
        return True
    check_ours("interface", name, interface.tags)
    return _begun(lambda: place.network.network_interfaces.begin_delete(place.group, name))


def remove_disk(place: AzurePlace, name: str) -> bool:
    """Remove a disk, ending every access to it before."""
    disk = place.disk(name)
    if disk is None:
        return True
    check_ours("disk", name, disk.tags)
    disks = place.compute.disks
    if disk.disk_state not in {"Unattached", "Attached", "Reserved"}:
        # Without waiting for its end: that's an error where an upload was left half done.
        disks.begin_revoke_access(place.group, name, polling=False)
    return _begun(lambda: disks.begin_delete(place.group, name))


def remove_snapshot(place: AzurePlace, name: str) -> bool:
    """Remove a snapshot, ending every access to it before."""
    snapshot = place.snapshot(name)
    if snapshot is None:
        return True
    check_ours("snapshot", name, snapshot.tags)
    snapshots = place.compute.snapshots
    snapshots.begin_revoke_access(place.group, name, polling=False)
    return _begun(lambda: snapshots.begin_delete(place.group, name))


def _begun(begin: Callable[[], Any]) -> bool:
    """Whether the removal ends soon; what still uses the thing, or changes it, has to end first."""
    from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

    try:
        return settled(begin(), GONE_SECONDS)
    except ResourceNotFoundError:
        return True
    except HttpResponseError as error:
        code = error.error.code if error.error else ""
        if error.status_code == 409 or code in IN_USE:
            return False
        raise
