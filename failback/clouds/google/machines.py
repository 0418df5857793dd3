"""Machines in Compute Engine that boot the client: its disks, a private address, and what they're told.

Settings stand in the machine's metadata, where every guest of the machine can read them and nobody else who isn't
allowed to look at machines. A machine has one service account or none; it has one only where it's to prove who it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from failback.clouds.google.addresses import private_address
from failback.clouds.google.arranging import begin_metadata, went
from failback.clouds.google.console import console_text
from failback.clouds.google.disks import boot_disk_name, data_disks_of
from failback.clouds.google.machine_body import NewMachine, begin_machine
from failback.clouds.google.machine_look import look_at
from failback.clouds.google.operations import SETTLE_SECONDS
from failback.clouds.google.owners import check_maker
from failback.clouds.google.parts import check_disks, make_parts
from failback.clouds.google.removal import remove_address, remove_disk, remove_machine
from failback.clouds.google.sizes import Sizes
from failback.errors import CloudBusy, CloudRefused
from failback.home_ports import MachineNeeds
from failback.model.agent import GOOGLE_ATTRIBUTE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.clouds.google.place import GooglePlace
    from failback.home_ports import MachineState, MachineToBuild

POWER: dict[str, MachineState] = {
    "RUNNING": "running",
    "STOPPING": "stopped",
    "TERMINATED": "stopped",
    "SUSPENDING": "stopped",
    "SUSPENDED": "stopped",
}
"""What isn't listed is on its way up. There's no failed machine: one that can't be made isn't there."""


@dataclass(slots=True)
class GoogleMachines:
    """A HomeMachines."""

    place: GooglePlace
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
            check_maker("machine", machine.name, found.labels, machine.tags)
            return _state_of(found.status)
        # Before any disk is made: one that doesn't suit would leave them all behind.
        check_disks(machine)
        size = self.sizes.pick(MachineNeeds(machine.firmware, len(machine.disks), size=machine.size))
        parts = make_parts(self.place, machine)
        if parts is None:
            return "building"
        new = NewMachine(
            size=size,
            slots=parts.slots,
            address=parts.address,
            tags=machine.tags,
            user_data=machine.user_data,
            identity=machine.identity,
        )
        went(self.place, partial(begin_machine, self.place, machine.name, new), SETTLE_SECONDS)
        return self.state(machine.name)

    def tell(self, name: str, user_data: str) -> None:
        machine = look_at(self.place, name)
        if machine is None:
            message = f"There's no machine {name} to give settings to. Somebody has removed it."
            raise CloudRefused(message)
        metadata = {**machine.metadata, GOOGLE_ATTRIBUTE: user_data}
        if not went(self.place, partial(begin_metadata, self.place, machine, metadata), SETTLE_SECONDS):
            message = f"The machine {name} is being changed; its settings have to wait"
            raise CloudBusy(message)

    def state(self, name: str) -> MachineState:
        machine = self.place.machine(name)
        if machine is not None:
            return _state_of(machine.status)
        return "building" if self.place.disk(boot_disk_name(name)) or self.place.address(name) else "absent"

    def console(self, name: str) -> str:
        return console_text(self.place, name)

    def remove(self, name: str) -> bool:
        if not (remove_machine(self.place, name) and remove_address(self.place, name)):
            return False
        disks = [boot_disk_name(name), *data_disks_of(self.place, name)]
        return all([remove_disk(self.place, each) for each in disks])


def _state_of(status: str) -> MachineState:
    return POWER.get(status, "building")
