"""The place at home that a target names: its resource group, with the SDK's clients of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.mgmt.compute import ComputeManagementClient
    from azure.mgmt.compute.models import Disk, Snapshot, VirtualMachine
    from azure.mgmt.network import NetworkManagementClient
    from azure.mgmt.network.models import NetworkInterface

    from failback.model.target import AzureTarget

T = TypeVar("T")

SETTLE_SECONDS = 20.0
"""How long a call waits for a short operation. A disk or an interface takes one to five seconds; what takes longer, a
machine say, is looked at again by the next call."""


@dataclass(frozen=True, slots=True)
class AzurePlace:
    """Where a target's things are, and how to get at them; what isn't there is None."""

    target: AzureTarget
    compute: ComputeManagementClient
    network: NetworkManagementClient

    @property
    def group(self) -> str:
        """The resource group's name."""
        return self.target.resource_group

    @property
    def group_path(self) -> str:
        """What ids of the resource group's things begin with."""
        return f"/subscriptions/{self.target.subscription_id}/resourceGroups/{self.group}"

    def disk(self, name: str) -> Disk | None:
        """A managed disk."""
        return found(lambda: self.compute.disks.get(self.group, name))

    def snapshot(self, name: str) -> Snapshot | None:
        """A snapshot of a disk."""
        return found(lambda: self.compute.snapshots.get(self.group, name))

    def machine(self, name: str) -> VirtualMachine | None:
        """A virtual machine."""
        return found(lambda: self.compute.virtual_machines.get(self.group, name))

    def interface(self, name: str) -> NetworkInterface | None:
        """A network interface."""
        return found(lambda: self.network.network_interfaces.get(self.group, name))

    def disk_by_id(self, resource_id: str) -> Disk | None:
        """A managed disk, in whatever resource group."""
        group, name = group_and_name(resource_id)
        return found(lambda: self.compute.disks.get(group, name))

    def interface_by_id(self, resource_id: str) -> NetworkInterface | None:
        """A network interface, in whatever resource group."""
        group, name = group_and_name(resource_id)
        return found(lambda: self.network.network_interfaces.get(group, name))


def group_and_name(resource_id: str) -> tuple[str, str]:
    """The resource group and the name in `/subscriptions/S/resourceGroups/GROUP/providers/NAMESPACE/TYPE/NAME`."""
    parts = resource_id.split("/")
    return parts[4], parts[-1]


def found(get: Callable[[], T]) -> T | None:
    """What there is, or None where there's nothing of that name."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return get()
    except ResourceNotFoundError:
        return None


def settled(poller: Any, seconds: float = SETTLE_SECONDS) -> bool:  # noqa: ANN401 - a poller of any resource
    """Whether the operation ends within `seconds`; raises what it failed with."""
    poller.wait(seconds)
    if not poller.done():
        return False
    poller.result()
    return True
