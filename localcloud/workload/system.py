"""Builds the workload's bootable disk from the stand-in ISO's kernel and initrd, or hands out the one that is there."""

from __future__ import annotations

import fcntl
import hashlib
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assets.grub_images import build_grub
from failback.errors import GrubUnavailable, StandinError
from failback.image.fat import fat32
from failback.image.gpt import BIOS_BOOT, EFI_SYSTEM, LINUX_DATA, Partition, partition_table
from failback.image.grub import boot_code, core_image, grub_config, load_grub
from failback.image.iso import IsoVolume
from failback.image.layout import CORE_OFFSET, GRUB_CONFIG_PATH, GRUB_EFI_PATH, SYSTEM_OFFSET, SYSTEM_SIZE
from failback.image.plan import SECTOR, Extent, extent, make_plan
from failback.image.source import FileSource
from localcloud.standin.build import build_standin, say_nothing
from localcloud.workload.initrd import make_initrd
from localcloud.workload.layout import CORE_SIZE, DISK_SIZE, RECORD_OFFSET, RECORD_ROOM, Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.image.grub import GrubImages

BUILD = Path(__file__).resolve().parents[2] / "build"
SYSTEM_NAME = "workload.raw"
KERNEL, INITRD = "boot/vmlinuz", "boot/initrd.img"
ARGUMENTS = ("rdinit=/init", "console=tty0", "console=ttyS0,115200n8")
# The system's own, so that two builds from the same parts are the same bytes.
_GUIDS = uuid.UUID("6a1c1f0e-40c3-4f5e-9d52-5e1fb17bac01")


@dataclass(frozen=True, slots=True)
class Parts:
    """What's put on the disk."""

    grub: GrubImages
    kernel: bytes
    initrd: bytes


def build_system(build: Path = BUILD, *, progress: Callable[[str], None] = say_nothing) -> Path:
    """The bootable disk `build`/workload/workload.raw, sparse, made unless it's there and its parts are the same.

    Takes a second; if the stand-in ISO isn't there either, that one's minutes. Raises StandinError, GrubUnavailable.
    """
    folder = build / "workload"
    folder.mkdir(parents=True, exist_ok=True)
    iso = build_standin(build / "standin", progress=progress)
    with (folder / "lock").open("w") as lock:
        # Two that start at once: the second waits, and finds what the first has made.
        fcntl.flock(lock, fcntl.LOCK_EX)
        grub = _grub(build / "grub")
        disk, stamp, key = folder / SYSTEM_NAME, folder / "key", _key(iso, grub)
        if not (disk.is_file() and stamp.is_file() and stamp.read_text() == key):
            progress("the servers' own system, from the ISO's kernel")
            stamp.unlink(missing_ok=True)
            write_system(disk, read_parts(iso, grub))
            stamp.write_text(key)
    return disk


def read_parts(iso: Path, grub: GrubImages) -> Parts:
    """The parts, of which kernel and initrd come from a stand-in ISO; raises StandinError where it has none."""
    with FileSource(iso) as source:
        volume, found = IsoVolume.open(source), list[bytes]()
        for path in ("/isolinux/vmlinuz", "/isolinux/initrd.img"):
            file = volume.find(path)
            if file is None:
                message = f"{iso} has no {path}: it isn't the stand-in ISO"
                raise StandinError(message)
            found.append(b"".join(source.read(offset, length) for offset, length in file.extents))
    return Parts(grub, found[0], make_initrd(found[1]))


def write_system(path: Path, parts: Parts) -> None:
    """Write the disk with a record that has no nonce yet, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.truncate(DISK_SIZE)
        for each in make_plan(DISK_SIZE, _extents(parts)).extents:
            assert isinstance(each.content, bytes), "nothing of it is copied from an ISO"
            os.pwrite(file.fileno(), each.content, each.offset)
    fresh.replace(path)


def _extents(parts: Parts) -> list[Extent]:
    core_sector = CORE_OFFSET // SECTOR
    configuration = grub_config(
        title="The workload", kernel=f"/{KERNEL}", initrds=(f"/{INITRD}",), arguments=ARGUMENTS, iso=2
    )
    files = {
        GRUB_EFI_PATH: parts.grub.efi,
        GRUB_CONFIG_PATH: configuration.encode(),
        KERNEL: parts.kernel,
        INITRD: parts.initrd,
    }
    code = boot_code(parts.grub, core_sector=core_sector)
    return [
        *partition_table(_partitions(), disk_size=DISK_SIZE, disk_guid=_guid("disk"), boot_code=code),
        extent(CORE_OFFSET, core_image(parts.grub, core_sector=core_sector)),
        *fat32(files, at=SYSTEM_OFFSET, size=SYSTEM_SIZE, label="WORKLOAD", serial=1),
        extent(RECORD_OFFSET, Record("bios").to_bytes()),
    ]


def _partitions() -> tuple[Partition, ...]:
    places = (
        ("WORKLOAD-GRUB", CORE_OFFSET, CORE_SIZE, BIOS_BOOT),
        ("WORKLOAD-BOOT", SYSTEM_OFFSET, SYSTEM_SIZE, EFI_SYSTEM),
        ("WORKLOAD-RECORD", RECORD_OFFSET, RECORD_ROOM, LINUX_DATA),
    )
    return tuple(Partition(offset, size, kind, _guid(name), name) for name, offset, size, kind in places)


def _guid(name: str) -> uuid.UUID:
    return uuid.uuid5(_GUIDS, name)


def _grub(folder: Path) -> GrubImages:
    """GRUB's images as set-up has built them, or built now."""
    try:
        return load_grub(folder)
    except GrubUnavailable:
        build_grub(folder)
        return load_grub(folder)


def _key(iso: Path, grub: GrubImages) -> str:
    """Names the disk: a hash over the ISO's own key, GRUB and every file of this folder."""
    digest = hashlib.sha256(iso.with_name("key").read_bytes() + grub.digest.encode())
    for path in sorted(Path(__file__).parent.iterdir()):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
