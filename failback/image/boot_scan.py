"""Finds a kernel and its initrd by their names, for an ISO whose boot configuration says nothing."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from failback.image.iso import IsoFile, IsoVolume

_KERNEL = re.compile(r"vmlinuz(.*)", re.IGNORECASE)
_INITRD = re.compile(r"(?:initrd|initramfs).*", re.IGNORECASE)
# They start something else than the system: a rescue shell, or the memory dump after a crash.
_OTHER_PURPOSE = ("rescue", "kdump")
# Where live ISOs keep what they boot, most likely first.
_FOLDERS = ("/isolinux", "/boot/isolinux", "/syslinux", "/boot/syslinux", "/images/pxeboot", "/boot", "/live")
# Each is looked for among all initrds; an ISO has two or three.
_MAX_KERNELS = 32
# udev keeps these in the names under /dev/disk/by-label; everything else in ASCII becomes \xHH.
_LABEL_SAFE = re.compile(r"[^A-Za-z0-9#+\-.:=@_\x80-\U0010ffff]")


def find_pair(volume: IsoVolume) -> tuple[IsoFile, IsoFile] | None:
    """Return the likeliest kernel and initrd that lie in one folder, or None."""
    folders: defaultdict[str, list[IsoFile]] = defaultdict(list)
    for file in volume.walk():
        folder, _, name = file.path.rpartition("/")
        if not file.is_directory and file.size and (_KERNEL.fullmatch(name) or _INITRD.fullmatch(name)):
            folders[folder].append(file)
    pairs = (_best_pair(folders[folder]) for folder in sorted(folders, key=_folder_rank))
    return next((pair for pair in pairs if pair is not None), None)


def live_arguments(label: str) -> tuple[str, ...]:
    """The arguments that make dracut's live module take the volume with this label as its medium."""
    escaped = _LABEL_SAFE.sub(lambda match: f"\\x{ord(match[0]):02x}", label)
    return (f"root=live:CDLABEL={escaped}", "rd.live.image")


def _best_pair(files: Iterable[IsoFile]) -> tuple[IsoFile, IsoFile] | None:
    usable = [file for file in files if not any(word in _name(file).lower() for word in _OTHER_PURPOSE)]
    kernels = [(match[1].strip(".-"), file) for file in usable if (match := _KERNEL.fullmatch(_name(file)))]
    initrds = sorted((file for file in usable if _INITRD.fullmatch(_name(file))), key=_name)
    if not kernels or not initrds:
        return None
    kernels.sort(key=lambda item: _version_key(item[0]), reverse=True)
    for version, kernel in kernels[:_MAX_KERNELS]:
        same = [file for file in initrds if version and version in _name(file)]
        if same:
            return kernel, same[0]
    return min(kernels, key=lambda item: len(item[0]))[1], min(initrds, key=lambda file: len(_name(file)))


def _name(file: IsoFile) -> str:
    return file.path.rpartition("/")[2]


def _folder_rank(folder: str) -> tuple[int, str]:
    lower = folder.lower()
    return (_FOLDERS.index(lower) if lower in _FOLDERS else len(_FOLDERS), folder)


def _version_key(version: str) -> list[tuple[int, str]]:
    # Numbers by their first digits only: a name may hold more of them than int() takes.
    return [(int(part[:18]), "") if part.isdecimal() else (-1, part) for part in re.findall(r"[0-9]+|[^0-9]+", version)]
