"""Machines of a home in memory, as strict as a cloud: what the contract of HomeMachines says, and no more."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

from failback.errors import CloudRefused, NotGivenBack
from failback.home_ports import MachineNeeds
from failback.naming import RUN_TAG, SERVER_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.home_ports import DataDisk, MachineState, MachineToBuild
    from failback.model.recovery import Firmware
    from tests.home.memory import MemoryHomeImages

LARGEST_USER_DATA = 65536
LUNS = 64


@dataclass(frozen=True)
class MemorySize:
    """A size: processors, GiB of memory, disks besides the boot disk, and what it boots by."""

    name: str
    cpus: int
    memory_gib: float
    disks: int
    firmwares: tuple[Firmware, ...] = ("bios", "uefi")


SIZES = (
    MemorySize("tiny", 1, 2, 2),
    MemorySize("small", 2, 8, 4),
    MemorySize("medium", 8, 32, 16),
    MemorySize("large", 64, 256, 32),
    MemorySize("modern", 2, 8, 4, ("uefi",)),
)
"""From the cheapest to the dearest."""


@dataclass
class MemoryMachine:
    """A machine: what it's made from, how it stands, what it has said, and which settings it was given in turn.

    `machine` is as it was asked for, but for its settings, which are those given last.
    """

    machine: MachineToBuild
    state: MachineState = "building"
    text: str = ""
    told: list[str] = field(default_factory=list)
    size: str = ""


@dataclass
class MemoryDisk:
    """A data disk, and the machine that it was made for."""

    disk: DataDisk
    tags: Mapping[str, str]
    machine: str


@dataclass
class MemoryInterface:
    """A machine's interface; its address is shown from the second look on."""

    address: str
    tags: Mapping[str, str]
    looks: int = 0


@dataclass
class MemoryHomeMachines:
    """A HomeMachines: a machine is made by one call, runs by the next, and takes two to go.

    Everything's public: a test puts somebody else's things in, or looks at ours. `images` are those that a machine can
    be made from, `identities` those that it can be given; None is any.
    """

    machines: dict[str, MemoryMachine] = field(default_factory=dict)
    going: set[str] = field(default_factory=set)
    disks: dict[str, MemoryDisk] = field(default_factory=dict)
    interfaces: dict[str, MemoryInterface] = field(default_factory=dict)
    sizes: tuple[MemorySize, ...] = SIZES
    images: MemoryHomeImages | None = None
    identities: frozenset[str] | None = None

    def offer(self, needs: MachineNeeds) -> str:
        if needs.size:
            wish = next((each for each in self.sizes if each.name == needs.size), None)
            fault = _fault(wish, needs) if wish else "isn't on offer"
            if fault:
                _refuse(f"The size {needs.size} {fault}. Name another one, or none.")
            return needs.size
        found = next((each.name for each in self.sizes if not _fault(each, needs)), None)
        if found is None:
            _refuse(f"No size boots by {needs.firmware} with {needs.cpus} processors, {needs.memory_gib:g} GiB and "
                    f"{needs.disks} disks. Name one of your own.")  # fmt: skip
        return found

    def address(self, name: str, *, tags: Mapping[str, str]) -> str:
        interface = self._interface(name, tags)
        interface.looks += 1
        return interface.address if interface.looks > 1 else ""

    def build(self, machine: MachineToBuild) -> MachineState:
        held = self.machines.get(machine.name)
        if held is None:
            size = self._judged(machine)
            for each in machine.disks:
                self.disks.setdefault(each.name, MemoryDisk(each, dict(machine.tags), machine.name))
            self._interface(machine.name, machine.tags)
            self.machines[machine.name] = MemoryMachine(machine, told=[machine.user_data], size=size)
            return "building"
        _check_own("machine", machine.name, held.machine.tags, machine.tags)
        held.state = "running" if held.state == "building" else held.state
        return held.state

    def tell(self, name: str, user_data: str) -> None:
        if name not in self.machines:
            _refuse(f"There's no machine {name} to give settings to.")
        _check_settings(user_data)
        held = self.machines[name]
        held.machine = replace(held.machine, user_data=user_data)
        held.told.append(user_data)

    def state(self, name: str) -> MachineState:
        if name in self.machines:
            return self.machines[name].state
        return "building" if self.parts(name) else "absent"

    def console(self, name: str) -> str:
        return self.machines[name].text if name in self.machines else ""

    def remove(self, name: str) -> bool:
        parts = self.parts(name)
        if name not in self.machines and not parts:
            self.going.discard(name)
            return True
        self._check_ours(name)
        if name not in self.going:
            self.going.add(name)
            return False
        self.going.discard(name)
        for held in (self.machines, self.interfaces):
            held.pop(name, None)
        for part in parts:
            self.disks.pop(part, None)
        return True

    def _check_ours(self, name: str) -> None:
        held = [self.machines[name].machine.tags] if name in self.machines else []
        held += [self.interfaces[name].tags] if name in self.interfaces else []
        if any(RUN_TAG not in tags for tags in held):
            message = f"Something else made {name}: it stays. Remove it yourself, or rename it."
            raise NotGivenBack(message)

    def parts(self, name: str) -> list[str]:
        """The machine's interface and its disks, as far as they're there."""
        return [*(["nic"] if name in self.interfaces else []), *self.disks_of(name)]

    def disks_of(self, name: str) -> list[str]:
        """The machine's data disks."""
        return [disk for disk, each in self.disks.items() if each.machine == name]

    def _interface(self, name: str, tags: Mapping[str, str]) -> MemoryInterface:
        taken = {each.address for each in self.interfaces.values()}
        free = next(each for each in (f"10.30.0.{last}" for last in range(4, 255)) if each not in taken)
        interface = self.interfaces.setdefault(name, MemoryInterface(free, dict(tags)))
        _check_own("interface of", name, interface.tags, tags)
        return interface

    def _judged(self, machine: MachineToBuild) -> str:
        """The size of a machine that can be made; raises CloudRefused for one that can't."""
        if self.images is not None and machine.image.id not in {each.image.id for each in self.images.images.values()}:
            _refuse(f"There's no image {machine.image.id}.")
        if self.identities is not None and machine.identity and machine.identity not in self.identities:
            _refuse(f"There's no identity {machine.identity}.")
        for what, values in (("LUN", [each.lun for each in machine.disks]), ("name", [e.name for e in machine.disks])):
            if len(set(values)) < len(values):
                _refuse(f"Two disks of {machine.name} have the same {what}.")
        for each in machine.disks:
            if not 0 <= each.lun < LUNS or each.size_gib < 1:
                _refuse(f"Disk {each.name} can't have LUN {each.lun} or {each.size_gib} GiB.")
            if each.name in self.disks:
                _check_own("disk", each.name, self.disks[each.name].tags, machine.tags)
        _check_settings(machine.user_data)
        return self.offer(MachineNeeds(machine.firmware, len(machine.disks), size=machine.size))


def _fault(size: MemorySize, needs: MachineNeeds) -> str:
    if needs.firmware not in size.firmwares:
        return f"doesn't boot by {needs.firmware}"
    if size.cpus < needs.cpus:
        return f"has {size.cpus} processors, not {needs.cpus}"
    if size.memory_gib < needs.memory_gib:
        return f"has {size.memory_gib:g} GiB of memory, not {needs.memory_gib:g}"
    return "" if size.disks >= needs.disks else f"takes {size.disks} disks, not {needs.disks}"


def _check_own(kind: str, name: str, found: Mapping[str, str], tags: Mapping[str, str]) -> None:
    if any(found.get(tag) != tags.get(tag) for tag in (RUN_TAG, SERVER_TAG)):
        _refuse(f"There's a {kind} {name} already, and something else made it. Rename it, or choose another name.")


def _check_settings(user_data: str) -> None:
    if len(user_data.encode()) > LARGEST_USER_DATA:
        _refuse(f"A machine's settings have at most {LARGEST_USER_DATA} bytes.")


def _refuse(message: str) -> NoReturn:
    raise CloudRefused(message)
