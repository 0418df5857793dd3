"""The client ISO as a whole: what it boots and what's inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.errors import ImageError
from failback.image.drivers import assess
from failback.image.initrd import read_initrd
from failback.image.isolinux import boot_entries, find_boot_entry
from failback.image.kernel import read_kernel
from failback.image.live import open_live
from failback.image.modules import ModuleTree
from failback.image.rootfs import read_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from failback.image.drivers import Cloud, CloudDrivers
    from failback.image.initrd import Initrd
    from failback.image.iso import IsoVolume
    from failback.image.isolinux import BootEntry
    from failback.image.kernel import KernelFacts
    from failback.image.live import LiveRoot
    from failback.image.rootfs import RootFacts
    from failback.image.source import ByteSource

CLOUDS: tuple[Cloud, ...] = ("azure", "google", "aws")
_LIVE_DIRECTORY = ("rd.live.dir=", "live_dir=")
DEFAULT_LIVE_DIRECTORY = "LiveOS"
# Each further kernel costs a pass over its initrd (0.3 s); an ISO has one to three.
MAX_KERNELS = 4


@dataclass(frozen=True, slots=True)
class Bootable:
    """One entry of the ISO's boot menu with its kernel, its initrd, and the drivers they have for each cloud."""

    entry: BootEntry
    kernel: KernelFacts
    initrd: Initrd
    modules: ModuleTree
    drivers: Mapping[Cloud, CloudDrivers]

    def boots_in(self, clouds: Sequence[Cloud]) -> bool:
        return not any(self.drivers[cloud].missing for cloud in clouds)


@dataclass(frozen=True, slots=True)
class ClientIso:
    """An ISO that was read as far as a build needs it; `bootable` is the entry that a build would boot."""

    volume: IsoVolume
    live: LiveRoot
    root: RootFacts
    bootable: Bootable


def read_client(volume: IsoVolume, *, clouds: Sequence[Cloud] = CLOUDS) -> ClientIso:
    """Read an opened ISO; of several kernels the ISO's own choice, or the first one that boots in all `clouds`.

    Raises the ImageError that names what's absent or damaged.
    """
    first = find_boot_entry(volume)
    live = open_live(volume, live_dir=_live_directory(first))
    candidates = _bootables(volume, live, first)
    chosen = own_choice = next(candidates)
    if not own_choice.boots_in(clouds):
        chosen = next((other for other in candidates if other.boots_in(clouds)), own_choice)
    return ClientIso(volume=volume, live=live, root=read_root(live.tree), bootable=chosen)


def _live_directory(entry: BootEntry) -> str:
    for word in entry.arguments:
        for prefix in _LIVE_DIRECTORY:
            if word.startswith(prefix):
                return word.removeprefix(prefix)
    return DEFAULT_LIVE_DIRECTORY


def _bootables(volume: IsoVolume, live: LiveRoot, first: BootEntry) -> Iterator[Bootable]:
    """The ISO's own choice, then its other entries with other kernels."""
    yield _bootable(volume, live, first)
    kernels = {first.kernel}
    for entry in boot_entries(volume):
        if entry.kernel not in kernels and len(kernels) < MAX_KERNELS:
            kernels.add(entry.kernel)
            yield _bootable(volume, live, entry)


def _bootable(volume: IsoVolume, live: LiveRoot, entry: BootEntry) -> Bootable:
    kernel = read_kernel(_open(volume, entry.kernel))
    initrd = read_initrd([_open(volume, path) for path in entry.initrds])
    modules = ModuleTree(live.tree, kernel.release)
    drivers = {cloud: assess(initrd, modules, kernel.release, cloud) for cloud in CLOUDS}
    return Bootable(entry=entry, kernel=kernel, initrd=initrd, modules=modules, drivers=drivers)


def _open(volume: IsoVolume, path: str) -> ByteSource:
    found = volume.find(path)
    if found is None:
        message = f"{path} vanished from the ISO while it was read"
        raise ImageError(message)
    return volume.open_file(found)
