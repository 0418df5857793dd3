"""Disks in Compute Engine: copies of the client image, and blank ones for what's replicated.

What a disk is for stands in its guest OS features from its creation on, since it can't be changed later: with
UEFI_COMPATIBLE it's booted by UEFI, without it by a BIOS.

Unconfirmed: that features which a disk names count beside those of the image that it's made from, and that a blank disk
takes them, too. Both stand in `features_of` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.clouds.google.labels import RUN_LABEL, label_value, labels_of
from failback.clouds.google.owners import MACHINE_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.cloud import compute_v1 as compute

    from failback.clouds.google.place import GooglePlace
    from failback.home_ports import DataDisk, MachineToBuild
    from failback.model.guest import GuestOs
    from failback.model.recovery import Firmware
    from failback.model.run import HomeImage

SMALLEST_GIB = 10
"""Of a persistent disk; and a disk whose size isn't said may get 500."""
ARCHITECTURE = "X86_64"
READY = "READY"
FAILED = "FAILED"


def boot_disk_name(machine: str) -> str:
    """What the disk is called that a machine boots the client from."""
    return f"{machine}-disk"


def features_of(os: GuestOs, firmware: Firmware) -> tuple[str, ...]:
    """The guest OS features of a disk that's booted from."""
    uefi = ("UEFI_COMPATIBLE",) if firmware == "uefi" else ()
    windows = ("MULTI_IP_SUBNET", "WINDOWS") if os == "windows" else ()
    return ("VIRTIO_SCSI_MULTIQUEUE", *uefi, *windows)


def begin_client_disk(
    place: GooglePlace,
    image: HomeImage,
    *,
    name: str,
    os: GuestOs,
    firmware: Firmware,
    tags: Mapping[str, str],
) -> compute.Operation:
    """Begin to copy the client image."""
    from google.cloud import compute_v1 as compute

    body = compute.Disk(
        name=name,
        source_image=image.id,
        size_gb=SMALLEST_GIB,
        type_=type_path(place, place.target.disk_type),
        guest_os_features=features(features_of(os, firmware)),
        architecture=ARCHITECTURE,
        labels=labels_of(tags),
    )
    return begin_disk(place, body)


def begin_boot_disk(place: GooglePlace, machine: MachineToBuild) -> compute.Operation:
    """Begin to copy the client image for a machine."""
    return begin_client_disk(
        place,
        machine.image,
        name=boot_disk_name(machine.name),
        os=machine.os,
        firmware=machine.firmware,
        tags=machine.tags,
    )


def begin_blank_disk(place: GooglePlace, machine: MachineToBuild, disk: DataDisk) -> compute.Operation:
    """Begin to make one of a machine's data disks."""
    from google.cloud import compute_v1 as compute

    booted = features_of(disk.os, disk.firmware or "bios") if disk.os else ()
    body = compute.Disk(
        name=disk.name,
        size_gb=disk.size_gib,
        type_=type_path(place, disk.sku or place.target.disk_type),
        guest_os_features=features(booted),
        labels={**labels_of(machine.tags), MACHINE_LABEL: label_value(machine.name)},
        **({"architecture": ARCHITECTURE} if booted else {}),
    )
    return begin_disk(place, body)


def begin_disk(place: GooglePlace, body: compute.Disk) -> compute.Operation:
    """Begin to make a disk in the target's zone."""
    return place.clients.disks.insert_unary(project=place.project, zone=place.zone, disk_resource=body)


def features(names: tuple[str, ...]) -> list[compute.GuestOsFeature]:
    """Features as the SDK has them."""
    from google.cloud import compute_v1 as compute

    return [compute.GuestOsFeature(type_=name) for name in names]


def type_path(place: GooglePlace, kind: str) -> str:
    """The path of a kind of disk in the target's zone: of `pd-balanced`, say."""
    return f"{place.zone_path}/diskTypes/{kind}"


def data_disks_of(place: GooglePlace, machine: str) -> list[str]:
    """The names of the data disks that runs have made for a machine, whether it's there or not."""
    wanted = f"labels.{MACHINE_LABEL}={label_value(machine)}"
    request = {"project": place.project, "zone": place.zone, "filter": wanted}
    listed = [(disk.name, dict(disk.labels)) for disk in place.clients.disks.list(request=request)]
    return [
        name for name, labels in listed if labels.get(MACHINE_LABEL) == label_value(machine) and RUN_LABEL in labels
    ]
