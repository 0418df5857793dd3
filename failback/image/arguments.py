"""The kernel's arguments: those of the ISO, less what hides the boot, plus what a machine without a screen needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# They hide messages or read the whole medium before the boot goes on.
DROPPED = frozenset({"quiet", "rhgb", "splash", "rd.live.check", "rd.live.check=1", "check"})
# The last console becomes /dev/console; both clouds show the first serial port.
CONSOLES = ("console=tty0", "console=ttyS0,115200n8")
# MiB of changes that the live root may take, in memory that is only used when written. The old default of 512 MiB
# overflows when the client unpacks its Java runtime and replication software.
OVERLAY = "rd.live.overlay.size=2048"
_OVERLAY_NAMES = ("rd.live.overlay.size=", "overlay_size=")
# The whole live image is copied to memory, and the disk it came from is free to be written to.
TO_RAM = "rd.live.ram=1"
_RAM_NAMES = ("rd.live.ram", "live_ram")
PERMISSIVE = "enforcing=0"
# GRUB puts a backslash before these when it hands arguments to the kernel, so a label with an escaped blank
# (CDLABEL=A\\x20B) would name no medium. The partition's own name then stands for it.
_ESCAPED_BY_GRUB = frozenset("\\'\"")
_LIVE_ROOT = "root=live:"


def client_arguments(original: Sequence[str], *, iso_partition: str, to_ram: bool, selinux: bool) -> tuple[str, ...]:
    """The client image's arguments, from the ISO's `original` ones; `iso_partition` is the ISO's partition name.

    `selinux` says that the ISO's system enables SELinux: the agent has no labels there, so it's made permissive.
    """
    kept = [_passable(word, iso_partition) for word in original if word not in DROPPED and word not in CONSOLES]
    if not _begins(kept, _OVERLAY_NAMES):
        kept.append(OVERLAY)
    if to_ram and not _begins(kept, _RAM_NAMES):
        kept.append(TO_RAM)
    if selinux and not _begins(kept, ("enforcing=", "selinux=0")):
        kept.append(PERMISSIVE)
    return (*kept, *CONSOLES)


def _passable(word: str, iso_partition: str) -> str:
    """An argument in a form that reaches the kernel as it was meant, whatever GRUB does to it."""
    if word.startswith(_LIVE_ROOT) and not _ESCAPED_BY_GRUB.isdisjoint(word):
        return f"{_LIVE_ROOT}/dev/disk/by-partlabel/{iso_partition}"
    # GRUB puts quotes of its own around an argument with blanks; those within would reach the kernel escaped.
    return word.replace('"', "")


def _begins(words: Iterable[str], prefixes: tuple[str, ...]) -> bool:
    return any(word.startswith(prefixes) for word in words)
