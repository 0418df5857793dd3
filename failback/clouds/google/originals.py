"""Reads a machine that's to be taken over: its disks, its address, and what's in the way of exchanging them.

A disk's LUN is its index in the machine, its caching the device name that the guest finds it by: see stands.py. The
machine has no zone of its own: all that's made for it is made where it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from failback.clouds.google.machine_look import look_at, path_of
from failback.clouds.google.place import last_part
from failback.clouds.google.sizes import SERIES, series_of
from failback.model.original import Original, OriginalDisk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from google.cloud import compute_v1 as compute

    from failback.clouds.google.machine_look import Machine
    from failback.clouds.google.place import GooglePlace
    from failback.model.guest import GuestOs

GROUP_KEY = "created-by"
"""The metadata in which a managed instance group names itself."""


def read_original(place: GooglePlace, name: str) -> Original | None:
    """The machine as it stands now."""
    machine = look_at(place, name)
    if machine is None:
        return None
    held = sorted(machine.document.get("disks") or [], key=lambda each: int(each.get("index") or 0))
    held = [each for each in held if each.get("boot")] + [each for each in held if not each.get("boot")]
    lasting = [each for each in held if path_of(str(each.get("source") or "")).startswith(f"{place.zone_path}/")]
    disks = [place.disk(last_part(str(each["source"]))) for each in lasting]
    barriers = list(barriers_of(place, machine, held, disks))
    return Original(
        name=machine.name,
        id=f"{place.zone_path}/instances/{machine.name}",
        os=_os(disks),
        firmware="uefi" if "UEFI_COMPATIBLE" in _features(disks) else "bios",
        running=machine.runs,
        address=address_of(machine),
        size=last_part(str(machine.document.get("machineType") or "")),
        disks=tuple(_original_disk(each, disk) for each, disk in zip(lasting, disks, strict=True)),
        obstacles=tuple([*obstacles_of(machine), *barriers]),
        barriers=tuple(barriers),
        document=dict(machine.document),
    )


def address_of(machine: Machine) -> str:
    """The private address of its first interface."""
    first: Mapping[str, Any] = next(iter(machine.document.get("networkInterfaces") or []), {})
    return str(first.get("networkIP") or "")


def obstacles_of(machine: Machine) -> Iterator[str]:
    """What keeps it from booting the client."""
    series = series_of(last_part(str(machine.document.get("machineType") or "")))
    if series not in SERIES:
        yield f"it's of the series {series.upper()}, whose disks and network the client isn't sure to have drivers for"
    if any(each.get("nicType") not in {None, "VIRTIO_NET"} for each in machine.document.get("networkInterfaces") or []):
        yield "its network interface isn't VIRTIO_NET, and the client isn't sure to have a driver for another"
    if (machine.document.get("shieldedInstanceConfig") or {}).get("enableSecureBoot"):
        yield "its Secure Boot is on, and the client isn't signed for it"


def barriers_of(
    place: GooglePlace, machine: Machine, held: Sequence[Mapping[str, Any]], disks: Sequence[compute.Disk | None]
) -> Iterator[str]:
    """What keeps replicated disks out of it."""
    if not held or not held[0].get("boot"):
        yield "it has no disk that it boots from; attach one first"
    if machine.status in {"SUSPENDED", "SUSPENDING"}:
        yield "it's suspended, and what's in its memory belongs to the disks that it has; resume or stop it first"
    if any(each.get("type", "PERSISTENT") != "PERSISTENT" for each in held):
        yield "it has local SSDs, which lose everything when it's turned off"
    elsewhere = [path_of(str(each.get("source") or "")) for each in held if each.get("source")]
    elsewhere = [last_part(each) for each in elsewhere if not each.startswith(f"{place.zone_path}/")]
    if elsewhere:
        yield f"not all of its disks are disks of the zone alone ({', '.join(elsewhere)})"
    shared = [str(each.get("deviceName")) for each in held if each.get("mode") == "READ_ONLY"]
    if shared:
        yield f"not all of its disks may be written to ({', '.join(shared)} is attached read-only)"
    if any(disk and _has_own_key(disk) for disk in disks):
        yield "its disks are encrypted with keys that Compute isn't given to keep (CSEK)"
    if (machine.document.get("confidentialInstanceConfig") or {}).get("enableConfidentialCompute"):
        yield "it's a confidential machine, which takes no disks that aren't made for one"
    if "instanceGroupManagers" in machine.metadata.get(GROUP_KEY, ""):
        yield "it belongs to a managed instance group, which may replace it while it's off"


def _has_own_key(disk: compute.Disk) -> bool:
    key = disk.disk_encryption_key
    return bool(key.sha256) and not key.kms_key_name


def _original_disk(attached: Mapping[str, Any], disk: compute.Disk | None) -> OriginalDisk:
    return OriginalDisk(
        name=last_part(str(attached["source"])),
        id=path_of(str(attached["source"])),
        size_gib=int((disk.size_gb if disk else attached.get("diskSizeGb")) or 0),
        lun=None if attached.get("boot") else int(attached.get("index") or 0),
        sku=last_part(disk.type_) if disk else "",
        caching=str(attached.get("deviceName") or ""),
    )


def _features(disks: Sequence[compute.Disk | None]) -> set[str]:
    """Those of the disk that it boots from."""
    boot = disks[0] if disks else None
    return {each.type_ for each in boot.guest_os_features} if boot else set()


def _os(disks: Sequence[compute.Disk | None]) -> GuestOs:
    """Windows by its feature, or by a licence of it."""
    boot = disks[0] if disks else None
    licensed = any("/windows" in each or "windows-cloud" in each for each in boot.licenses) if boot else False
    return "windows" if licensed or "WINDOWS" in _features(disks) else "linux"
