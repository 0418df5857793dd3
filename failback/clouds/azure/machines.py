"""Throw-away machines in Azure: a copy of the client image, an interface without a public address, a machine.

Source: the SDK's models of Microsoft.Compute/virtualMachines 2026-04-01. A specialised disk is attached, so there's
no osProfile; the guest has no Azure agent and is never asked for one.

Unconfirmed: that every subscription takes the security type Standard when it's said; some want it registered first
(feature UseStandardSecurityType). Azure's refusal then says so.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from failback.clouds.azure.console import console_text
from failback.clouds.azure.place import settled
from failback.clouds.azure.removal import remove_disk, remove_interface, remove_machine
from failback.clouds.azure.sizes import pick_size
from failback.clouds.azure.variants import make_disk

if TYPE_CHECKING:
    from failback.clouds.azure.place import AzurePlace
    from failback.clouds.azure.variants import Generation
    from failback.home_ports import MachineState, MachineToTry

POWER: dict[str, MachineState] = {
    "PowerState/running": "running",
    "PowerState/stopped": "stopped",
    "PowerState/stopping": "stopped",
    "PowerState/deallocated": "stopped",
    "PowerState/deallocating": "stopped",
}
"""What isn't listed is on its way up."""


@dataclass(frozen=True, slots=True)
class AzureMachines:
    """A HomeMachines."""

    place: AzurePlace

    def build(self, machine: MachineToTry) -> MachineState:
        if self.place.machine(machine.name) is None:
            disk, interface = self._disk(machine), self._interface(machine)
            if disk is None or interface is None:
                return "building"
            self._begin(machine, disk, interface)
        return self.state(machine.name)

    def state(self, name: str) -> MachineState:
        machine = self.place.machine(name)
        if machine is None:
            parts = self.place.disk(_disk_name(name)) or self.place.interface(_interface_name(name))
            return "building" if parts else "absent"
        if machine.provisioning_state == "Failed":
            return "failed"
        view = self.place.compute.virtual_machines.instance_view(self.place.group, name)
        codes = [str(status.code) for status in view.statuses or []]
        return next((POWER[code] for code in codes if code in POWER), "building")

    def console(self, name: str) -> str:
        return console_text(self.place, name)

    def remove(self, name: str) -> bool:
        return (
            remove_machine(self.place, name)
            and remove_interface(self.place, _interface_name(name))
            and remove_disk(self.place, _disk_name(name))
        )

    def _disk(self, machine: MachineToTry) -> str | None:
        """The id of the machine's disk once it's there."""
        name = _disk_name(machine.name)
        disk = self.place.disk(name)
        if disk is None:
            generation = _generation(machine)
            poller = make_disk(self.place, machine.image.id, name=name, os_type="Linux", generation=generation,
                               tags=machine.tags)  # fmt: skip
            return str(poller.result().id) if settled(poller) else None
        return str(disk.id) if disk.provisioning_state == "Succeeded" else None

    def _interface(self, machine: MachineToTry) -> str | None:
        """The id of the machine's interface once it's there."""
        name = _interface_name(machine.name)
        interface = self.place.interface(name)
        if interface is None:
            properties = {"subnet": {"id": self.place.target.subnet_id}}
            body: Any = {
                "location": self.place.target.location,
                "tags": dict(machine.tags),
                "properties": {"ipConfigurations": [{"name": "ip", "properties": properties}]},
            }
            begin = self.place.network.network_interfaces.begin_create_or_update
            poller = begin(self.place.group, name, body)
            return str(poller.result().id) if settled(poller) else None
        return str(interface.id) if interface.provisioning_state == "Succeeded" else None

    def _begin(self, machine: MachineToTry, disk: str, interface: str) -> None:
        """Begin to make the machine: it's minutes until it runs, and the next calls look."""
        generation = _generation(machine)
        os_disk = {"createOption": "Attach", "osType": "Linux", "managedDisk": {"id": disk}, "deleteOption": "Detach"}
        # Only generation 2 knows another controller than SCSI, and only there may one be named.
        controller = {"diskControllerType": "SCSI"} if generation == "V2" else {}
        properties = {
            "hardwareProfile": {"vmSize": pick_size(self.place, generation)},
            "storageProfile": {**controller, "osDisk": os_disk},
            "networkProfile": {"networkInterfaces": [{"id": interface, "properties": {"primary": True}}]},
            "securityProfile": {"securityType": "Standard"},
            "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
            "userData": base64.b64encode(machine.user_data.encode()).decode(),
        }
        body: Any = {"location": self.place.target.location, "tags": dict(machine.tags), "properties": properties}
        machines = self.place.compute.virtual_machines
        machines.begin_create_or_update(self.place.group, machine.name, body, polling=False)


def _generation(machine: MachineToTry) -> Generation:
    return "V2" if machine.firmware == "uefi" else "V1"


def _disk_name(machine: str) -> str:
    return f"{machine}-disk"


def _interface_name(machine: str) -> str:
    return f"{machine}-nic"
