"""Takes an initrd apart and puts it together again: cpio archive in the "newc" format, behind one compression.

Format: Documentation/driver-api/early-userspace/buffer-format.rst of the Linux kernel. Written for the stand-in's own
initrd, which is one gzip member; independent of the product's reader on purpose, so that each tests the other.
"""

from __future__ import annotations

import gzip
import io
import lzma
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import zstandard

from failback.errors import StandinError

if TYPE_CHECKING:
    from collections.abc import Mapping

InitrdCompression = Literal["none", "gzip", "xz", "zstd"]

MAGIC = b"070701"
HEADER = 110
ALIGNMENT = 4
TRAILER = "TRAILER!!!"
# The archive's end is padded to a block, as the cpio program does.
BLOCK = 512


@dataclass(frozen=True, slots=True)
class Member:
    """One cpio member; `fields` are the thirteen numbers of its header in their order, which `write_cpio` completes."""

    name: str
    fields: tuple[int, ...]
    data: bytes


# Places within `fields`.
MODE, LINKS, FILE_SIZE, NAME_SIZE = 1, 4, 6, 11
DIRECTORY_MODE, FILE_MODE = 0o040755, 0o100755


def read_cpio(archive: bytes) -> list[Member]:
    """The members of a newc archive without its trailer; raises StandinError where it isn't one."""
    members: list[Member] = []
    offset = 0
    while True:
        header = archive[offset : offset + HEADER]
        if header[:6] != MAGIC or len(header) < HEADER:
            message = f"the initrd has no cpio header at byte {offset}; it wasn't made by this recipe"
            raise StandinError(message)
        fields = tuple(int(header[place : place + 8], 16) for place in range(6, HEADER, 8))
        name_end = offset + HEADER + fields[NAME_SIZE]
        name = archive[offset + HEADER : name_end - 1].decode()
        start = _align(name_end)
        if name == TRAILER:
            return members
        members.append(Member(name, fields, archive[start : start + fields[FILE_SIZE]]))
        offset = _align(start + fields[FILE_SIZE])


def write_cpio(members: list[Member]) -> bytes:
    """A newc archive of the members, in their order."""
    archive = io.BytesIO()
    for member in (*members, new_member(TRAILER, 0)):
        name = member.name.encode() + b"\0"
        fields = list(member.fields)
        fields[FILE_SIZE], fields[NAME_SIZE] = len(member.data), len(name)
        archive.write(MAGIC + b"".join(b"%08x" % field for field in fields) + name)
        archive.write(bytes(_align(archive.tell()) - archive.tell()))
        archive.write(member.data)
        archive.write(bytes(_align(archive.tell()) - archive.tell()))
    archive.write(bytes(-archive.tell() % BLOCK))
    return archive.getvalue()


def new_member(name: str, mode: int, data: bytes = b"") -> Member:
    """A member that belongs to root and carries no time; `mode` with the file's type."""
    set_fields = {MODE: mode, LINKS: 1}
    return Member(name, tuple(set_fields.get(place, 0) for place in range(13)), data)


def early_archive() -> bytes:
    """The uncompressed archive that dracut puts first for microcode: the kernel looks into it before all else."""
    folders = ("kernel", "kernel/x86", "kernel/x86/microcode")
    return write_cpio(
        [*(new_member(folder, DIRECTORY_MODE) for folder in folders), new_member("early_cpio", FILE_MODE, b"1\n")]
    )


def with_files(members: list[Member], files: Mapping[str, bytes]) -> list[Member]:
    """The members and new executable files (path -> content) in folders that are there."""
    return [*members, *(new_member(path, FILE_MODE, data) for path, data in files.items())]


def without_modules(members: list[Member], names: frozenset[str]) -> list[Member]:
    """The members less the kernel modules of those names, - and _ being one; StandinError for one that isn't there."""
    wanted = {name.replace("-", "_") for name in names}
    dropped = {member.name: module_name(member.name) for member in members if module_name(member.name) in wanted}
    absent = wanted - set(dropped.values())
    if absent:
        message = f"the initrd holds no such kernel modules: {', '.join(sorted(absent))}; they may be built in"
        raise StandinError(message)
    return [member for member in members if member.name not in dropped]


def module_name(path: str) -> str | None:
    """`virtio_scsi` for lib/modules/6.1.0/kernel/drivers/scsi/virtio_scsi.ko; None for what is no kernel module."""
    name, dot, extension = path.rpartition("/")[2].partition(".ko")
    return name.replace("-", "_") if dot and extension in ("", ".gz", ".xz", ".zst") else None


def decompress_initrd(initrd: bytes) -> bytes:
    """The cpio archive inside the stand-in's initrd (gzip)."""
    try:
        return gzip.decompress(initrd)
    except (OSError, EOFError) as error:
        message = f"the stand-in's initrd isn't a whole gzip file: {error}"
        raise StandinError(message) from error


def compress_initrd(archive: bytes, compression: InitrdCompression) -> bytes:
    """The archive as the kernel takes it; the same archive gives the same bytes."""
    match compression:
        case "none":
            return archive
        case "gzip":
            return gzip.compress(archive, compresslevel=1, mtime=0)
        case "xz":
            # The kernel's decompressor knows no other check than CRC32.
            return lzma.compress(archive, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=0)
        case "zstd":
            return zstandard.ZstdCompressor(level=3, write_content_size=True).compress(archive)


def _align(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
