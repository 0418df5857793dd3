"""What `failback image inspect` and `failback image build` report, as JSON and as tables."""

from __future__ import annotations

from typing import Literal

from failback.model.facts import Facts

CloudName = Literal["azure", "google", "aws"]
ImageFormat = Literal["raw", "vhd", "gce"]


class IsoFacts(Facts):
    """The ISO itself; sizes in bytes, `naming` is the name space that its paths come from."""

    size: int
    volume_size: int
    label: str
    naming: str
    created: str


class BootFacts(Facts):
    """What the ISO boots: the entry, where it was found and why it was chosen, files and arguments."""

    entry: str
    origin: str
    reason: str
    kernel: str
    kernel_version: str
    efi_stub: bool
    initrds: tuple[str, ...]
    arguments: tuple[str, ...]


class InitrdFacts(Facts):
    """The initrd: how it's packed, whose modules it has, and where dracut looks for hooks."""

    segments: tuple[str, ...]
    kernel_versions: tuple[str, ...]
    dracut_live: bool
    hook_directory: str | None


class Launcher(Facts):
    """One way in which the ISO starts the client's script by itself."""

    kind: str
    path: str
    detail: str


class SystemFacts(Facts):
    """The client's operating system, as its live root file system tells."""

    live_path: str
    layout: str
    live_size: int
    os_name: str
    kernels: tuple[str, ...]
    selinux: str
    client_start: str
    launchers: tuple[Launcher, ...]


class DriverFacts(Facts):
    """One cloud's drivers: in the initrd, in the kernel, to be taken from the root file system, and nowhere."""

    cloud: CloudName
    bootable: bool
    present: tuple[str, ...]
    builtin: tuple[str, ...]
    injected: tuple[str, ...]
    missing: tuple[str, ...]
    unmet_optional: tuple[str, ...]


class PartitionFacts(Facts):
    """A partition of the client image, in bytes."""

    number: int
    name: str
    offset: int
    size: int


class BuildFacts(Facts):
    """What a build makes of the ISO, or why it would refuse."""

    refusals: tuple[str, ...]
    warnings: tuple[str, ...]
    arguments: tuple[str, ...]
    disk_size: int
    partitions: tuple[PartitionFacts, ...]


class ImageReport(Facts):
    """Everything that an inspection finds."""

    iso: IsoFacts
    boot: BootFacts
    initrd: InitrdFacts
    system: SystemFacts
    drivers: tuple[DriverFacts, ...]
    build: BuildFacts


class BuiltImage(Facts):
    """A client image; sizes in bytes, times in seconds: those of planning and writing, and of reading it back."""

    output: str
    format: ImageFormat
    disk_size: int
    data_bytes: int
    clouds: tuple[CloudName, ...]
    kernel_version: str
    grub_version: str
    injected: tuple[str, ...]
    warnings: tuple[str, ...]
    build_seconds: float = 0.0
    check_seconds: float = 0.0
