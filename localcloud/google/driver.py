"""What runs the embedded Google's instances: real machines and scripted ones stand behind this same interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class MachineDisk:
    """An attached disk: its raw file, its size in bytes, and the name that it shows in the guest.

    `index` is its place among the instance's disks, 0 for the one that it boots from.
    """

    resource_id: str
    path: Path
    size: int
    device_name: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class MachineNic:
    """A network interface: its MAC address (six pairs of hex digits with colons) and its addresses."""

    name: str
    mac_address: str
    private_address: str
    public_address: str | None = None


@dataclass(frozen=True, slots=True)
class MachineIdentity:
    """The instance's service account, as its metadata server gives tokens of it; `unique_id` is their subject."""

    email: str
    unique_id: str


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """All that an instance is, and that its metadata server says of it."""

    resource_id: str
    vm_id: str
    name: str
    location: str
    project: str
    machine_type: str
    cores: int
    memory_mib: int
    firmware: Literal["bios", "uefi"]
    controller: Literal["SCSI", "NVMe"]
    secure_boot: bool
    os_disk: MachineDisk
    data_disks: tuple[MachineDisk, ...]
    nics: tuple[MachineNic, ...]
    identity: MachineIdentity | None
    attributes: Mapping[str, str]


class MachineHandle(Protocol):
    """A machine that was started."""

    @property
    def is_running(self) -> bool:
        """Whether it's on; a guest that powers itself off turns this false."""

    def console(self) -> bytes:
        """What it has written to its first serial port since it was started, also after it has stopped."""

    def stop(self) -> None:
        """Turn it off and return when nothing writes to its disks any more; one that's off already is fine."""

    def refresh(self, spec: MachineSpec) -> None:
        """Its metadata or service account are other ones now; what it runs on is the same."""


class MachineDriver(Protocol):
    """Starts machines."""

    def start(self, spec: MachineSpec) -> MachineHandle:
        """Start one; raises failback.errors.MachineError if it can't be."""
