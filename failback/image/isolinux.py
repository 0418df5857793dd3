"""Chooses what a client ISO boots: kernel, initrds and arguments, from its boot configuration or by their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.errors import BootFileMissing, IsoCorrupt
from failback.image.boot_scan import find_pair, live_arguments
from failback.image.grub_menu import read_menu
from failback.image.isolinux_config import Config, Stanza, find_named, read_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.image.iso import IsoFile, IsoVolume

# Where ISOLINUX looks, in its order (syslinux.cfg, LOCATION/NAME); after them any file of these names.
_FOLDERS = ("/boot/isolinux", "/isolinux", "/boot/syslinux", "/syslinux", "")
_NAMES = ("isolinux.cfg", "syslinux.cfg")
_GRUB_PATHS = ("/EFI/BOOT/grub.cfg", "/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
_MAX_CONFIGS = 16
_LIVE = ("root=live:", "rd.live.", "liveimg", "root=CDLABEL=")
_CHECKS = frozenset({"rd.live.check", "rd.live.check=1", "check"})
_SHOWN_NAMES = 20


@dataclass(frozen=True, slots=True)
class BootEntry:
    """A bootable entry; `kernel` and `initrds` are paths as the ISO reader has them, `initrd=` isn't in `arguments`.

    `origin` is the configuration's path or "scan"; `reason` says why it was chosen, for the user.
    """

    name: str
    kernel: str
    initrds: tuple[str, ...]
    arguments: tuple[str, ...]
    origin: str
    reason: str


def find_boot_entry(volume: IsoVolume) -> BootEntry:
    """Return what the ISO boots by itself; raises BootFileMissing where a file is absent or nothing is found."""
    for config in _configs(volume):
        for stanza, reason in _ranked(config):
            return _resolve(volume, config, stanza, reason)
    found = _scanned(volume)
    if found is None:
        message = (
            "nothing to boot was found: no isolinux.cfg, syslinux.cfg or grub.cfg with a Linux entry and its initrd, "
            "and no vmlinuz* beside an initrd* or initramfs* in an ISO with a label; "
            "this is probably not the failback client's ISO: give the file that AWS publishes"
        )
        raise BootFileMissing(message)
    return found


def boot_entries(volume: IsoVolume) -> tuple[BootEntry, ...]:
    """Return every entry whose files are there, the best first; empty where there is none.

    Names alone count, as in find_boot_entry(), only where no configuration has an entry.
    """
    entries, named = [], False
    for config in _configs(volume):
        for stanza, reason in _ranked(config):
            named = True
            if all(find_named(volume, name, stanza.folders) for name in (stanza.kernel, *stanza.initrds)):
                entries.append(_resolve(volume, config, stanza, reason))
    found = None if named else _scanned(volume)
    return tuple(entries) if found is None else (found,)


def _configs(volume: IsoVolume) -> Iterator[Config]:
    isolinux = [f"{folder}/{name}" for folder in _FOLDERS for name in _NAMES]
    yield from (read_config(volume, file) for file in _config_files(volume, isolinux, _NAMES))
    yield from (read_menu(volume, file) for file in _config_files(volume, list(_GRUB_PATHS), ("grub.cfg",)))


def _config_files(volume: IsoVolume, paths: list[str], names: tuple[str, ...]) -> list[IsoFile]:
    known = [file for path in paths if (file := volume.find(path)) is not None]
    others = [file for file in volume.walk() if file.path.rpartition("/")[2].lower() in names]
    files = {file.path: file for file in [*known, *sorted(others, key=lambda file: file.path)] if not file.is_directory}
    return list(files.values())[:_MAX_CONFIGS]


def _ranked(config: Config) -> list[tuple[Stanza, str]]:
    """The entries with kernel and initrd in order of choice, each once.

    One that first reads the whole medium goes last, provided that another one starts the live system without.
    """
    live = [(stanza, "it's the first entry that starts a live system") for stanza in config.stanzas if _is_live(stanza)]
    others = [(stanza, "it's the first entry with a kernel and an initrd") for stanza in config.stanzas]
    unique: dict[int, tuple[Stanza, str]] = {}
    for stanza, reason in (*config.preferred, *live, *others):
        if stanza.initrds:
            unique.setdefault(id(stanza), (stanza, reason))
    ranked = list(unique.values())
    if any(_is_live(stanza) and not _checks(stanza) for stanza, _ in ranked):
        ranked.sort(key=lambda item: _checks(item[0]))
    return ranked


def _is_live(stanza: Stanza) -> bool:
    return any(word.startswith(_LIVE) for word in stanza.arguments)


def _checks(stanza: Stanza) -> bool:
    return not _CHECKS.isdisjoint(stanza.arguments)


def _resolve(volume: IsoVolume, config: Config, stanza: Stanza, reason: str) -> BootEntry:
    kernel = _existing(volume, config, stanza, "kernel", stanza.kernel)
    initrds = tuple(_existing(volume, config, stanza, "initrd", name) for name in stanza.initrds)
    return BootEntry(stanza.name, kernel, initrds, stanza.arguments, config.path, reason)


def _existing(volume: IsoVolume, config: Config, stanza: Stanza, role: str, name: str) -> str:
    found = find_named(volume, name, stanza.folders)
    if found is not None:
        return _bootable_path(found.path)
    path = name if name.startswith("/") else f"{stanza.folders[0]}/{name}"
    folder = path.rpartition("/")[0] or "/"
    names = sorted(file.path.rpartition("/")[2] for file in volume.list(folder))
    there = ", ".join(names[:_SHOWN_NAMES]) + (", ..." if len(names) > _SHOWN_NAMES else "") or "nothing"
    message = (
        f"{config.path}: the entry '{stanza.name}' names the {role} {path}, which isn't in the ISO "
        f"(in {folder}: {there}); the ISO is incomplete or was rebuilt: fetch it again from AWS"
    )
    raise BootFileMissing(message)


def _bootable_path(path: str) -> str:
    # What isn't UTF-8 or can't be printed couldn't be written to grub.cfg as the name that's in the ISO.
    if not path.isprintable() or "\N{REPLACEMENT CHARACTER}" in path:
        message = f"the boot file's name {path!a} has characters that GRUB's configuration can't hold; rename it"
        raise IsoCorrupt(message)
    return path


def _scanned(volume: IsoVolume) -> BootEntry | None:
    pair = find_pair(volume)
    if pair is None or not volume.label:
        return None
    kernel, initrd = (_bootable_path(file.path) for file in pair)
    reason = f"no boot configuration names an entry; {kernel} and {initrd} lie next to each other"
    name = kernel.rpartition("/")[2]
    return BootEntry(name, kernel, (initrd,), live_arguments(volume.label), "scan", reason)
