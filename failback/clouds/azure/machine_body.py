"""What a machine is made with, from disks and an interface that are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from failback.clouds.azure.stands import encoded
from failback.clouds.azure.variants import OS_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.clouds.azure.place import AzurePlace
    from failback.model.guest import GuestOs
    from failback.model.recovery import Firmware


@dataclass(frozen=True, slots=True)
class NewMachine:
    """A machine to be made: `boot` and `interface` are ids, `data` are disks as a document has them.

    `user_data` is plain text (None: none at all), `identity` a managed identity's id (empty: none); `zones` are those
    of its disks.
    """

    size: str
    os: GuestOs
    firmware: Firmware
    boot: str
    data: Sequence[Mapping[str, Any]]
    interface: str
    tags: Mapping[str, str]
    user_data: str | None = None
    identity: str = ""
    zones: Sequence[str] = ()


def begin_machine(place: AzurePlace, name: str, machine: NewMachine) -> None:
    """Begin to make it: it's minutes until it runs, and the next calls look."""
    properties = {
        "hardwareProfile": {"vmSize": machine.size},
        "storageProfile": _storage(machine),
        "networkProfile": {"networkInterfaces": [{"id": machine.interface, "properties": {"primary": True}}]},
        "securityProfile": {"securityType": "Standard"},
        "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
        **({} if machine.user_data is None else {"userData": encoded(machine.user_data)}),
    }
    assigned = {"type": "UserAssigned", "userAssignedIdentities": {machine.identity: {}}}
    body: Any = {
        "location": place.target.location,
        "tags": dict(machine.tags),
        "properties": properties,
        **({"identity": assigned} if machine.identity else {}),
        **({"zones": list(machine.zones)} if machine.zones else {}),
    }
    place.compute.virtual_machines.begin_create_or_update(place.group, name, body, polling=False)


def _storage(machine: NewMachine) -> Mapping[str, Any]:
    # Only generation 2 knows another controller than SCSI, and only there may one be named.
    controller = {"diskControllerType": "SCSI"} if machine.firmware == "uefi" else {}
    boot = {"createOption": "Attach", "osType": OS_TYPES[machine.os], "managedDisk": {"id": machine.boot}}
    return {**controller, "osDisk": {**boot, "deleteOption": "Detach"}, "dataDisks": list(machine.data)}
