"""The volume descriptors of an ISO 9660 file system: what it is called, how long it is, where its trees begin."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.errors import IsoCorrupt, IsoTruncated, NotAnIso

if TYPE_CHECKING:
    from failback.image.source import ByteSource

SECTOR = 2048
"""Bytes of a logical sector, and the only logical block size that GRUB's driver reads."""

_FIRST_DESCRIPTOR = 16
# Writers emit 2 to 6: a primary, a boot record, Joliet, an enhanced one, a terminator. UDF bridges add some.
_MAX_DESCRIPTORS = 64
_PRIMARY, _SUPPLEMENTARY, _TERMINATOR = 1, 2, 255
_JOLIET_ESCAPES = (b"%/@", b"%/C", b"%/E")
_DIRECTORY_FLAG = 2


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One tree of the volume; `size` and `root_length` in bytes, `root_block` in sectors."""

    label: str
    size: int
    created: str
    root_block: int
    root_length: int


@dataclass(frozen=True, slots=True)
class Descriptors:
    """The primary descriptor, and the Joliet one where there is one."""

    primary: Descriptor
    joliet: Descriptor | None


def read_descriptors(source: ByteSource) -> Descriptors:
    """Read the descriptors (ECMA-119 8) from sector 16 on; raises NotAnIso, IsoTruncated or IsoCorrupt."""
    _check_is_iso(source)
    primary: bytes | None = None
    joliet: bytes | None = None
    for number in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + _MAX_DESCRIPTORS):
        sector = _read_descriptor(source, number)
        if sector[0] == _TERMINATOR:
            break
        if sector[0] == _PRIMARY:
            primary = _same_primary(primary, sector)
        elif sector[0] == _SUPPLEMENTARY and sector[88:91] in _JOLIET_ESCAPES:
            joliet = sector
    else:
        message = (
            f"the volume descriptors have no end within {_MAX_DESCRIPTORS} sectors; the ISO is damaged, fetch it again"
        )
        raise IsoCorrupt(message)
    if primary is None:
        message = "there is no primary volume descriptor: give the client's .iso file as downloaded"
        raise NotAnIso(message)
    return Descriptors(_parse(primary), None if joliet is None else _parse(joliet, encoding="utf-16-be"))


def both_endian(data: bytes, offset: int, what: str) -> int:
    """Read a 32-bit number recorded in both byte orders (ECMA-119 7.3.3); raises IsoCorrupt where the two differ."""
    little: int = struct.unpack_from("<I", data, offset)[0]
    big: int = struct.unpack_from(">I", data, offset + 4)[0]
    if little != big:
        message = f"{what} is stated twice, as {little} and as {big}; the ISO is damaged, fetch it again"
        raise IsoCorrupt(message)
    return little


def _check_is_iso(source: ByteSource) -> None:
    if source.size == 0:
        message = "the file is empty, not an ISO; the download probably failed: fetch it again"
        raise NotAnIso(message)
    start = _FIRST_DESCRIPTOR * SECTOR
    if source.size < start + SECTOR or source.read(start + 1, 5) != b"CD001":
        message = (
            f"no ISO 9660 file system: 'CD001' isn't at byte {start + 1} of {source.size}; "
            "it's another kind of file or a saved error page: give the client's .iso file as downloaded"
        )
        raise NotAnIso(message)


def _read_descriptor(source: ByteSource, number: int) -> bytes:
    if (number + 1) * SECTOR > source.size:
        message = f"the file ends after {source.size} bytes, within the volume descriptors; fetch the ISO again"
        raise IsoTruncated(message)
    sector = source.read(number * SECTOR, SECTOR)
    if sector[1:6] != b"CD001":
        message = f"sector {number} should hold a volume descriptor and doesn't; the ISO is damaged, fetch it again"
        raise IsoCorrupt(message)
    return sector


def _same_primary(known: bytes | None, found: bytes) -> bytes:
    # Copies are allowed (ECMA-119 6.7.1.1). Linux takes the first and GRUB the last, so they have to agree.
    if known is not None and known != found:
        message = "there are two different primary volume descriptors: Linux and GRUB would see different files"
        raise IsoCorrupt(message)
    return found


def _parse(sector: bytes, *, encoding: str = "utf-8") -> Descriptor:
    """Decode a primary or supplementary descriptor (ECMA-119 8.4, 8.5)."""
    block_size: int = struct.unpack_from("<H", sector, 128)[0]
    if block_size != SECTOR:
        message = f"the volume states blocks of {block_size} bytes; GRUB can boot from {SECTOR} only"
        raise IsoCorrupt(message)
    if not sector[156 + 25] & _DIRECTORY_FLAG:
        message = "the volume's root isn't marked as a directory; the ISO is damaged, fetch it again"
        raise IsoCorrupt(message)
    return Descriptor(
        label=sector[40:72].decode(encoding, errors="replace").split("\0", 1)[0].strip(" "),
        size=both_endian(sector, 80, "the volume's size") * block_size,
        created=_date(sector[813:830]),
        root_block=both_endian(sector, 156 + 2, "the root directory's place") + sector[156 + 1],
        root_length=both_endian(sector, 156 + 10, "the root directory's length"),
    )


def _date(field: bytes) -> str:
    """Format a date and time (ECMA-119 8.4.26.1) as `2024-02-20 12:34:56 +00:00`, or '' where none is stated."""
    digits = field[:14].decode("ascii", errors="replace")
    if not (digits.isascii() and digits.isdigit()) or digits == "0" * 14:
        return ""
    minutes = int.from_bytes(field[16:17], "big", signed=True) * 15
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]} {digits[8:10]}:{digits[10:12]}:{digits[12:14]} {zone}"
