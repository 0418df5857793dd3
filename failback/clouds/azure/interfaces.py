"""Network interfaces of machines: in the target's subnet, with a private address only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from failback.clouds.azure.owners import check_maker
from failback.clouds.azure.place import settled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.clouds.azure.place import AzurePlace


def interface_name(machine: str) -> str:
    """What a machine's interface is called."""
    return f"{machine}-nic"


def begin_interface(place: AzurePlace, machine: str, tags: Mapping[str, str]) -> Any:  # noqa: ANN401 - SDK's poller
    """Begin to make a machine's interface. Accelerated networking would take another driver than the client's own."""
    configuration = {"name": "ip", "properties": {"subnet": {"id": place.target.subnet_id}}}
    body: Any = {
        "location": place.target.location,
        "tags": dict(tags),
        "properties": {"enableAcceleratedNetworking": False, "ipConfigurations": [configuration]},
    }
    return place.network.network_interfaces.begin_create_or_update(place.group, interface_name(machine), body)


def private_address(place: AzurePlace, machine: str, tags: Mapping[str, str]) -> str:
    """The address of the machine's interface, made if it isn't there; empty while it's made.

    It stays the same from its creation on: Azure takes a dynamic address back only when the interface is removed.
    """
    name = interface_name(machine)
    found = place.interface(name)
    if found is not None:
        check_maker("interface", name, found.tags, tags)
    if found is None or found.provisioning_state == "Failed":
        settled(begin_interface(place, machine, tags))
        found = place.interface(name)
    if found is None or found.provisioning_state != "Succeeded":
        return ""
    return next((each.private_ip_address for each in found.ip_configurations or [] if each.private_ip_address), "")
