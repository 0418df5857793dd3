"""The directory records of an ISO 9660 file system, with the names that GRUB's iso9660 driver gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from failback.errors import IsoCorrupt
from failback.image import iso_susp
from failback.image.iso_descriptors import SECTOR, both_endian

if TYPE_CHECKING:
    from collections.abc import Iterator

Naming = Literal["rock-ridge", "joliet", "plain"]

_FIXED = 33
_DIRECTORY, _MORE_EXTENTS = 2, 0x80
_SELF, _PARENT = b"\0", b"\1"
_ASCII_LOWER = bytes(range(256)).lower()


@dataclass(frozen=True, slots=True)
class Record:
    """One directory record (ECMA-119 9.1); `block` in sectors, `length` in bytes."""

    block: int
    length: int
    flags: int
    identifier: bytes
    system_use: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a directory; extents are (byte offset, byte length), `link` is '' for anything but a link."""

    name: str
    extents: tuple[tuple[int, int], ...]
    is_directory: bool
    link: str = ""
    moved_to: int | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """How the records of one volume are understood: naming, bytes to skip before SUSP fields, and where those go on."""

    naming: Naming
    skip: int
    read_area: iso_susp.ReadArea

    def entries(self, data: bytes) -> Iterator[Entry]:
        """Yield a directory's names, records of one file's further extents joined; raises IsoCorrupt."""
        group: list[Record] = []
        for record in records(data):
            if record.identifier in (_SELF, _PARENT):
                continue
            if group and record.identifier != group[0].identifier:
                break
            group.append(record)
            if not record.flags & _MORE_EXTENTS:
                entry = self._entry(group)
                group = []
                if entry.name not in (".", ".."):
                    yield entry
        if group:
            message = (
                f"'{self._name(group[0])}' should go on in a further extent and doesn't; "
                "the ISO is damaged, fetch it again"
            )
            raise IsoCorrupt(message)

    def _entry(self, group: list[Record]) -> Entry:
        record, extents = group[0], tuple((part.block * SECTOR, part.length) for part in group)
        is_directory = bool(record.flags & _DIRECTORY)
        if self.naming != "rock-ridge":
            return Entry(_checked(self._name(record)), extents, is_directory)
        found = iso_susp.read_rock_ridge(record.system_use[self.skip :], self.read_area)
        name = _checked(found.name.decode("utf-8", errors="replace") or self._name(record))
        if found.kind == "link":
            return Entry(name, (), is_directory=False, link=found.link)
        if found.moved_to is not None:
            return Entry(name, (), is_directory=False, moved_to=found.moved_to)
        if found.kind and is_directory != (found.kind == "directory"):
            message = f"'{name}' is a directory by one of its attributes and none by another; the ISO is damaged"
            raise IsoCorrupt(message)
        return Entry(name, extents, is_directory)

    def _name(self, record: Record) -> str:
        return joliet_name(record.identifier) if self.naming == "joliet" else plain_name(record.identifier)


def joliet_name(identifier: bytes) -> str:
    """Return a Joliet identifier, UTF-16, as GRUB shows it: without version, anything else kept."""
    name = identifier[: len(identifier) // 2 * 2].decode("utf-16-be", errors="replace")
    return name.rpartition(";")[0] if ";" in name else name


def plain_name(identifier: bytes) -> str:
    """Return an identifier (ECMA-119 7.5) as GRUB shows it: in lower case, without version and closing full stop."""
    name = identifier.rpartition(b";")[0] if b";" in identifier else identifier
    return name.translate(_ASCII_LOWER).removesuffix(b".").decode("utf-8", errors="replace")


def records(data: bytes) -> Iterator[Record]:
    """Yield a directory's records; a zero length means that the rest of the sector is empty (ECMA-119 6.8.1.1)."""
    position = 0
    while position < len(data):
        length = data[position]
        if not length:
            position = (position // SECTOR + 1) * SECTOR
            continue
        if position % SECTOR + length > SECTOR or position + length > len(data):
            message = (
                f"a directory record of {length} bytes crosses its sector's end; the ISO is damaged, fetch it again"
            )
            raise IsoCorrupt(message)
        yield parse_record(data[position : position + length])
        position += length


def parse_record(data: bytes) -> Record:
    """Decode one directory record, `data` being exactly its bytes; raises IsoCorrupt."""
    if len(data) <= _FIXED or _FIXED + data[32] > len(data) or not data[32]:
        message = (
            f"a directory record of {len(data)} bytes is too short for its name; the ISO is damaged, fetch it again"
        )
        raise IsoCorrupt(message)
    if data[26] or data[27]:
        message = "a file is stored interleaved, which neither GRUB nor Linux reads; make the ISO again without"
        raise IsoCorrupt(message)
    end = _FIXED + data[32]
    return Record(
        # An extended attribute record, counted in blocks, precedes the data (ECMA-119 9.1.2).
        block=both_endian(data, 2, "a file's place") + data[1],
        length=both_endian(data, 10, "a file's length"),
        flags=data[25],
        identifier=data[_FIXED:end],
        system_use=data[end + (data[32] + 1) % 2 :],
    )


def _checked(name: str) -> str:
    # GRUB handles names as C strings, so what follows a NUL doesn't exist for it.
    name = name.split("\0", 1)[0]
    if not name or "/" in name:
        message = f"a file is named {name!r}, which no path can lead to; the ISO is damaged, fetch it again"
        raise IsoCorrupt(message)
    return name
