"""An inspection's result as a report: facts about the ISO, its drivers per cloud, and what a build would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.image.arguments import client_arguments
from failback.image.client import CLOUDS
from failback.image.judgement import faults, warnings
from failback.image.launchers import find_launchers
from failback.image.layout import ISO_NAME, disk_size, places
from failback.model.image import (
    BootFacts,
    BuildFacts,
    DriverFacts,
    ImageReport,
    InitrdFacts,
    IsoFacts,
    Launcher,
    PartitionFacts,
    SystemFacts,
)

if TYPE_CHECKING:
    from failback.errors import ImageError
    from failback.image.client import Bootable, ClientIso
    from failback.image.drivers import CloudDrivers


def report(client: ClientIso, *, iso_size: int) -> ImageReport:
    """Everything an inspection found in an ISO file of `iso_size` bytes."""
    return ImageReport(
        iso=IsoFacts(
            size=iso_size,
            volume_size=client.volume.size,
            label=client.volume.label,
            naming=client.volume.naming,
            created=client.volume.created,
        ),
        boot=_boot(client.bootable),
        initrd=_initrd(client.bootable),
        system=_system(client),
        drivers=tuple(_drivers(client.bootable.drivers[cloud]) for cloud in CLOUDS),
        build=_build(client, iso_size),
    )


def _boot(bootable: Bootable) -> BootFacts:
    entry, kernel = bootable.entry, bootable.kernel
    return BootFacts(
        entry=entry.name,
        origin=entry.origin,
        reason=entry.reason,
        kernel=entry.kernel,
        kernel_version=kernel.release,
        efi_stub=kernel.efi_stub,
        initrds=entry.initrds,
        arguments=entry.arguments,
    )


def _initrd(bootable: Bootable) -> InitrdFacts:
    initrd = bootable.initrd
    return InitrdFacts(
        segments=initrd.segments,
        kernel_versions=initrd.kernel_versions,
        dracut_live=initrd.dracut_live,
        hook_directory=initrd.hook_directory,
    )


def _system(client: ClientIso) -> SystemFacts:
    root, live = client.root, client.live
    launchers = find_launchers(live.tree, root.client_start) if root.client_start else ()
    return SystemFacts(
        live_path=live.path,
        layout=live.layout,
        live_size=live.size,
        os_name=root.os_name,
        kernels=root.kernels,
        selinux=root.selinux,
        client_start=root.client_start,
        launchers=tuple(Launcher(kind=each.kind, path=each.path, detail=each.detail) for each in launchers),
    )


def _drivers(drivers: CloudDrivers) -> DriverFacts:
    return DriverFacts(
        cloud=drivers.cloud,
        bootable=not drivers.missing,
        present=drivers.present,
        builtin=drivers.builtin,
        injected=drivers.injected,
        missing=tuple(" or ".join(need.any_of) for need in drivers.missing),
        unmet_optional=tuple(" or ".join(need.any_of) for need in drivers.optional),
    )


def _build(client: ClientIso, iso_size: int) -> BuildFacts:
    found: tuple[ImageError, ...] = tuple(faults(client, clouds=CLOUDS, client_start=client.root.client_start))
    return BuildFacts(
        refusals=tuple(str(fault) for fault in found),
        warnings=tuple(warnings(client, clouds=CLOUDS)),
        arguments=client_arguments(
            client.bootable.entry.arguments, iso_partition=ISO_NAME, to_ram=False, selinux=client.root.has_selinux
        ),
        disk_size=disk_size(iso_size),
        partitions=tuple(
            PartitionFacts(number=number, name=place.name, offset=place.offset, size=place.size)
            for number, place in enumerate(places(iso_size), 1)
        ),
    )
