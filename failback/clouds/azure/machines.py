"""Machines in Azure that boot the client: its disks, an interface without a public address, and what they're told.

Source: the SDK's models of Microsoft.Compute/virtualMachines 2026-04-01. A specialised disk is attached, so there's
no osProfile; the guest has no Azure agent and is never asked for one.

Unconfirmed: that every subscription takes the security type Standard when it's said; some want it registered first
(feature UseStandardSecurityType). Azure's refusal then says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from failback.clouds.azure.console import console_text
from failback.clouds.azure.disks import attached, boot_disk_name, data_disks_of
from failback.clouds.azure.interfaces import interface_name, private_address
from failback.clouds.azure.machine_body import NewMachine, begin_machine
from failback.clouds.azure.owners import check_maker
from failback.clouds.azure.parts import make_parts
from failback.clouds.azure.place import settled
from failback.clouds.azure.removal import remove_disk, remove_interface, remove_machine
from failback.clouds.azure.sizes import Sizes
from failback.clouds.azure.stands import encoded
from failback.errors import CloudBusy
from failback.home_ports import MachineNeeds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.clouds.azure.parts import Parts
    from failback.clouds.azure.place import AzurePlace
    from failback.home_ports import MachineState, MachineToBuild

POWER: dict[str, MachineState] = {
    "PowerState/running": "running",
    "PowerState/stopped": "stopped",
    "PowerState/stopping": "stopped",
    "PowerState/deallocated": "stopped",
    "PowerState/deallocating": "stopped",
}
"""What isn't listed is on its way up."""


@dataclass(slots=True)
class AzureMachines:
    """A HomeMachines."""

    place: AzurePlace
    sizes: Sizes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.sizes = Sizes(self.place)

    def offer(self, needs: MachineNeeds) -> str:
        return self.sizes.pick(needs)

    def address(self, name: str, *, tags: Mapping[str, str]) -> str:
        return private_address(self.place, name, tags)

    def build(self, machine: MachineToBuild) -> MachineState:
        found = self.place.machine(machine.name)
        if found is not None:
            check_maker("machine", machine.name, found.tags, machine.tags)
            return self.state(machine.name)
        # Before any disk is made: one that doesn't suit would leave them all behind.
        size = self.sizes.pick(MachineNeeds(machine.firmware, len(machine.disks), size=machine.size))
        parts = make_parts(self.place, machine)
        if parts is None:
            return "building"
        self._begin(machine, parts, size)
        return self.state(machine.name)

    def tell(self, name: str, user_data: str) -> None:
        from azure.core.exceptions import HttpResponseError

        change: Any = {"properties": {"userData": encoded(user_data)}}
        try:
            settled(self.place.compute.virtual_machines.begin_update(self.place.group, name, change))
        except HttpResponseError as error:
            if error.error is None or error.error.code != "Conflict":
                raise
            message = f"The machine {name} is being changed; its settings have to wait"
            raise CloudBusy(message) from error

    def state(self, name: str) -> MachineState:
        machine = self.place.machine(name)
        if machine is None:
            parts = self.place.disk(boot_disk_name(name)) or self.place.interface(interface_name(name))
            return "building" if parts else "absent"
        if machine.provisioning_state == "Failed":
            return "failed"
        view = self.place.compute.virtual_machines.instance_view(self.place.group, name)
        codes = [str(status.code) for status in view.statuses or []]
        return next((POWER[code] for code in codes if code in POWER), "building")

    def console(self, name: str) -> str:
        return console_text(self.place, name)

    def remove(self, name: str) -> bool:
        if not (remove_machine(self.place, name) and remove_interface(self.place, interface_name(name))):
            return False
        disks = [boot_disk_name(name), *data_disks_of(self.place, name)]
        return all([remove_disk(self.place, each) for each in disks])

    def _begin(self, machine: MachineToBuild, parts: Parts, size: str) -> None:
        new = NewMachine(
            size=size,
            os=machine.os,
            firmware=machine.firmware,
            boot=parts.boot,
            data=[attached(disk, disk_id) for disk, disk_id in zip(machine.disks, parts.data, strict=True)],
            interface=parts.interface,
            tags=machine.tags,
            user_data=machine.user_data,
            identity=machine.identity,
        )
        begin_machine(self.place, machine.name, new)
