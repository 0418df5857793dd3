"""Which way a server goes home, by what it is: its system, and the firmware that it boots by.

Linux is failed back with the client in BIOS mode whatever the server boots by, Windows with the client in the server's
own mode (AWS, "Performing a failback", prerequisites). A machine never changes its firmware (where a home lets it
follow the boot disk, too), so Linux that boots by UEFI needs a helping client machine. So does a machine at home that
was failed over and can't boot the client itself.

Unconfirmed: that a recovery instance boots by the firmware of its original, and that a client booted by a BIOS leaves a
disk that UEFI boots.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.model.original import Original
    from failback.model.recovery import Firmware, Host, RecoveryInstance
    from failback.model.request import ServerRequest, WayName
    from failback.model.server import GuestOs

_WINDOWS = re.compile(r"\bwindows\b", re.IGNORECASE)
HELPED_IN_A_ZONE = (
    "it's in zone {zone}, which a helping machine's disks wouldn't be; leave original out, and say a name for a new "
    "machine"
)
_LINUX = re.compile(
    r"linux|ubuntu|debian|centos|red ?hat|rhel|suse|\bsles\b|fedora|rocky|\balma|amazon|oracle", re.IGNORECASE
)
_WINDOWS_VOLUME = re.compile(r"[a-z]:\d*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WayHome:
    """The way, with what decides it; `client_firmware` is what the client machine boots by."""

    os: GuestOs
    firmware: Firmware
    way: WayName
    client_firmware: Firmware


@dataclass(frozen=True, slots=True)
class WayChoice:
    """The way, None where it can't be said; and what a person is to know of it."""

    way: WayHome | None
    faults: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


def choose_way(
    request: ServerRequest, instance: RecoveryInstance, host: Host | None, original: Original | None = None
) -> WayChoice:
    """The way that's asked for, if the server can go it, or else the one that suits it.

    `original` is the machine at home that was failed over, where one is to be taken over.
    """
    system = guest_os(instance)
    firmware = request.firmware or (original.firmware if original else None) or (host.firmware if host else None)
    faults = []
    if system is None:
        faults.append(f"os: DRS calls it {instance.os!r}, which is neither Linux nor Windows; look whether its agent "
                      "reports, for nothing else is failed back")  # fmt: skip
    if firmware is None:
        faults.append("firmware: EC2 doesn't say what it boots by; say firmware, bios or uefi, as the original had it")
    if system is None or firmware is None:
        return WayChoice(None, tuple(faults))
    if system == "linux" and firmware == "uefi" and request.way == "new":
        return WayChoice(None, ("way: Linux that boots by UEFI can't go the way new, for its client needs a BIOS and "
                                "a machine keeps its firmware; say helper, or leave way out",))  # fmt: skip
    client_firmware: Firmware = "bios" if system == "linux" else firmware
    faults = list(_original_faults(original, request, system, firmware)) if original else []
    reasons = _reasons_for_help(original, client_firmware, firmware)
    if request.way == "original" and reasons:
        faults.append(f"way: {reasons[0]}; say helper, or leave way out: the disks move into it at the end")
    if faults:
        return WayChoice(None, tuple(faults))
    if original and reasons and original.zone:
        return WayChoice(None, (f"original: {reasons[0]}, and {HELPED_IN_A_ZONE.format(zone=original.zone)}",))
    usual: WayName = "helper" if reasons else ("original" if original else "new")
    way = WayHome(system, firmware, request.way or usual, client_firmware)
    helped = [f"way: helper, since {reasons[0]}"] if original and reasons and way.way == "helper" else []
    return WayChoice(way, hints=(*_hints(way, request, host), *helped))


def _reasons_for_help(original: Original | None, client: Firmware, server: Firmware) -> list[str]:
    """What keeps the server's own machine from booting the client, in words."""
    names = {"bios": "a BIOS", "uefi": "UEFI"}
    other = [] if client == server else [f"the machine boots by {names[server]}, and the client needs {names[client]}"]
    return [*other, *(original.obstacles if original else ())]


def _original_faults(original: Original, request: ServerRequest, system: GuestOs, firmware: Firmware) -> Iterator[str]:
    """What keeps the replicated disks from going into the machine that was failed over."""
    for barrier in original.barriers:
        yield f"original: {barrier}; leave original out, and say a name for a new machine"
    if original.os != system:
        yield f"original: {original.name} is a {original.os} machine, and the server runs {system}; name the right one"
    if firmware != original.firmware:
        yield (
            f"firmware: {firmware} is asked for, and {original.name} boots by {original.firmware}; leave firmware out"
        )
    if request.way == "helper" and original.zone:
        yield f"original: {HELPED_IN_A_ZONE.format(zone=original.zone)}"
    if request.way == "new":
        yield "way: with the way new a new machine is made; leave original out, or say original or helper"


def guest_os(instance: RecoveryInstance) -> GuestOs | None:
    """What the server runs, by DRS's words for it; where they say nothing, by how its volumes are called."""
    if _WINDOWS.search(instance.os):
        return "windows"
    if _LINUX.search(instance.os):
        return "linux"
    devices = [volume.device for volume in instance.volumes]
    if devices and all(device.startswith("/dev/") for device in devices):
        return "linux"
    return "windows" if devices and all(_WINDOWS_VOLUME.fullmatch(device) for device in devices) else None


def _hints(way: WayHome, request: ServerRequest, host: Host | None) -> list[str]:
    hints = []
    seen = host.firmware if host else None
    if request.firmware is None:
        hints.append(f"firmware: {way.firmware}, as EC2 says of the recovery instance; say firmware if the original's "
                     "is another")  # fmt: skip
    elif seen is not None and seen != request.firmware:
        hints.append(f"firmware: {request.firmware} is asked for, and EC2 boots the recovery instance by {seen}")
    if way.os == "linux" and way.firmware == "uefi":
        hints.append("way: that a client booted by a BIOS leaves a disk that UEFI boots is unconfirmed; try one server "
                     "before the others")  # fmt: skip
    return hints
