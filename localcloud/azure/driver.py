"""What runs the embedded Azure's machines: real ones and scripted ones stand behind this same interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class MachineDisk:
    """An attached disk: its raw file, its size in bytes, and its LUN (None for the disk the machine boots from)."""

    resource_id: str
    path: Path
    size: int
    lun: int | None = None


@dataclass(frozen=True, slots=True)
class MachineNic:
    """A network interface: its MAC address (six pairs of hex digits with colons) and its addresses."""

    resource_id: str
    mac_address: str
    private_address: str
    public_address: str | None = None


@dataclass(frozen=True, slots=True)
class MachineIdentity:
    """A managed identity as the machine's metadata service gives tokens of it."""

    principal_id: str
    client_id: str
    tenant: str
    resource_id: str | None = None


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """All that a machine is, and that its metadata service says of it. `user_data` is base64, as Azure keeps it."""

    resource_id: str
    vm_id: str
    name: str
    location: str
    size: str
    cores: int
    memory_mib: int
    firmware: Literal["bios", "uefi"]
    controller: Literal["SCSI", "NVMe"]
    os_type: str
    os_disk: MachineDisk
    data_disks: tuple[MachineDisk, ...]
    nics: tuple[MachineNic, ...]
    identities: tuple[MachineIdentity, ...]
    user_data: str | None
    tags: Mapping[str, str]


class MachineHandle(Protocol):
    """A machine that was started."""

    @property
    def is_running(self) -> bool:
        """Whether it's on; a guest that powers itself off turns this false."""

    @property
    def agent(self) -> str | None:
        """What the guest's Azure agent says once it's ready; None where there's none."""

    def console(self) -> bytes:
        """What it has written to its serial port since it was started, also after it has stopped."""

    def stop(self) -> None:
        """Turn it off and return when nothing writes to its disks any more; one that's off already is fine."""

    def refresh(self, spec: MachineSpec) -> None:
        """Its user data, tags or identities are other ones now; what it runs on is the same."""


class MachineDriver(Protocol):
    """Starts machines."""

    def start(self, spec: MachineSpec) -> MachineHandle:
        """Start one; raises failback.errors.MachineError if it can't be."""
