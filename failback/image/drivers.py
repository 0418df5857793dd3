"""Which kernel modules each cloud's boot needs, which of them the initrd lacks, and what to give it from the root.

The live system finds its disk from within the initrd; the network comes up only after the root file system is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from failback.errors import DriverMissing
from failback.image.initrd import module_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from failback.image.initrd import Initrd

Cloud = Literal["azure", "google", "aws"]


class ModuleTree(Protocol):
    """One kernel version's /lib/modules in the root file system."""

    def find(self, name: str) -> str | None:
        """Path of the module's file; None where there's none."""
        ...

    def builtin(self, name: str) -> bool:
        """The kernel has the module within itself."""
        ...

    def closure(self, name: str) -> tuple[str, ...]:
        """Paths of the module and all that it depends on, dependencies first."""
        ...

    def read(self, path: str) -> bytes:
        """The module as the kernel loads it, decompressed."""
        ...


@dataclass(frozen=True, slots=True)
class Need:
    """Any one of these modules will do; `where` it must be at the latest, `why` completes "for ..."."""

    any_of: tuple[str, ...]
    why: str
    where: Literal["initrd", "root"] = "initrd"
    required: bool = True

    def __str__(self) -> str:
        return f"{' or '.join(self.any_of)} (for {self.why})"


@dataclass(frozen=True, slots=True)
class Injected:
    """A module for the agent's archive: its kernel name, where it lies in the root, its decompressed content."""

    name: str
    path_in_root: str
    data: bytes


@dataclass(frozen=True, slots=True)
class CloudDrivers:
    """How one cloud's needs are met: by module name, `injected` by path in the root file system in load order.

    `missing` keeps the image from booting there; `optional` are the needs that are unmet but can be lived without.
    """

    cloud: Cloud
    present: tuple[str, ...]
    builtin: tuple[str, ...]
    injected: tuple[str, ...]
    missing: tuple[Need, ...]
    optional: tuple[Need, ...]


LIVE_NEEDS: tuple[Need, ...] = (
    Need(("squashfs",), "the live system's compressed file system"),
    Need(("loop",), "mounting the live system's image files"),
    Need(("dm_mod",), "the live system's writable layer"),
    # Dracut's live module uses overlayfs only when asked to; for an image inside the squashfs it makes a dm snapshot.
    Need(("dm_snapshot",), "the live system's writable layer"),
    Need(("ext4",), "the live system's root file system"),
    Need(("isofs",), "the ISO in the client disk's partition"),
    Need(("sd_mod",), "disks of SCSI type"),
)
"""What the live system itself needs in the initrd, whichever the cloud."""

# Only what the oldest client kernel (4.14) can have is required: it has no gve, mana or idpf, and its machines are
# chosen accordingly. ata_piix isn't there for Azure: on Hyper-V it leaves the disks to hv_storvsc.
_CLOUD_NEEDS: dict[Cloud, tuple[Need, ...]] = {
    "azure": (
        Need(("hv_vmbus",), "Hyper-V's bus"),
        Need(("hv_storvsc",), "Azure's SCSI disks"),
        Need(("hv_netvsc",), "Azure's network", "root"),
        Need(("pci_hyperv",), "Azure's sizes with NVMe disks or accelerated network", required=False),
        Need(("nvme",), "Azure's sizes with NVMe disks", required=False),
        Need(("mlx5_core", "mana"), "Azure's accelerated network", "root", required=False),
    ),
    "google": (
        Need(("virtio_pci",), "Google's virtual devices"),
        Need(("virtio_scsi",), "Google's SCSI disks"),
        Need(("virtio_net",), "Google's network of type VIRTIO_NET", "root"),
        Need(("nvme",), "Google's machine series with NVMe disks", required=False),
        Need(("gve",), "Google's network of type GVNIC", "root", required=False),
    ),
    "aws": (
        Need(("nvme",), "EC2's disks"),
        Need(("ena",), "EC2's network", "root"),
    ),
}


def needs(cloud: Cloud) -> tuple[Need, ...]:
    """What that cloud's machines need beside LIVE_NEEDS."""
    return _CLOUD_NEEDS[cloud]


def assess(initrd: Initrd, modules: ModuleTree, kernel: str, cloud: Cloud) -> CloudDrivers:
    """How the live system's and the cloud's needs are met when `kernel` (a version; `modules` are its) is booted."""
    stock = _Stock(initrd, modules, kernel)
    present: list[str] = []
    builtin: list[str] = []
    injected: dict[str, None] = {}
    unmet: list[Need] = []
    for need in (*LIVE_NEEDS, *needs(cloud)):
        name = stock.choose(need)
        if name is None:
            unmet.append(need)
            continue
        if stock.is_builtin(name):
            builtin.append(name)
        elif stock.is_at(name, need.where):
            present.append(name)
        if need.where == "initrd":
            injected.update(dict.fromkeys(stock.to_inject(name)))
    missing = tuple(need for need in unmet if need.required)
    optional = tuple(need for need in unmet if not need.required)
    return CloudDrivers(cloud, tuple(present), tuple(builtin), tuple(injected), missing, optional)


def injection(initrd: Initrd, modules: ModuleTree, kernel: str, clouds: Iterable[Cloud]) -> tuple[Injected, ...]:
    """The modules that the initrd must be given for all these clouds together, in load order; not what's nowhere."""
    assessed = (assess(initrd, modules, kernel, cloud) for cloud in clouds)
    paths = dict.fromkeys(path for drivers in assessed for path in drivers.injected)
    return tuple(Injected(module_name(path), path, modules.read(path)) for path in paths)


def require(drivers: CloudDrivers, kernel: str) -> None:
    """Raises DriverMissing with every module that keeps the client from booting in that cloud."""
    if drivers.missing:
        names = "; ".join(str(need) for need in drivers.missing)
        message = (
            f"{drivers.cloud}: kernel {kernel} of the client has no {names}, neither in its initrd nor in its root "
            "file system, so the client wouldn't boot there. Choose another kernel of the ISO, or another release of it"
        )
        raise DriverMissing(message)


@dataclass(frozen=True, slots=True)
class _Stock:
    """Where one kernel's modules are to be had."""

    initrd: Initrd
    modules: ModuleTree
    kernel: str

    def is_builtin(self, name: str) -> bool:
        return name in self.initrd.builtin.get(self.kernel, ()) or self.modules.builtin(name)

    def is_at(self, name: str, where: Literal["initrd", "root"]) -> bool:
        """Within the kernel or in the initrd, or for what may wait in the root file system."""
        early = self.is_builtin(name) or self.initrd.has_module(name, self.kernel)
        return early or (where == "root" and self.modules.find(name) is not None)

    def choose(self, need: Need) -> str | None:
        """The alternative that asks for the least: one that's at its place, else one that can be brought there."""
        at_place = (name for name in need.any_of if self.is_at(name, need.where))
        to_bring = (name for name in need.any_of if self.modules.find(name) is not None)
        return next(at_place, None) or next(to_bring, None)

    def to_inject(self, name: str) -> Iterator[str]:
        """Paths of those modules among `name` and its dependencies that the initrd lacks, each after all it needs.

        What such a module needs comes along even where the initrd has it: the hook's insmod runs before udev has
        loaded anything, and fails with unknown symbols unless the dependencies were loaded first.
        """
        if self.modules.find(name) is None:
            return
        for path in self.modules.closure(name):
            if not self.is_at(module_name(path), "initrd"):
                closure = self.modules.closure(module_name(path))
                yield from (part for part in closure if not self.is_builtin(module_name(part)))
