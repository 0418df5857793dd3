"""The system use area of a directory record: SUSP (IEEE P1281) and Rock Ridge (IEEE P1282) fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from failback.errors import IsoCorrupt
from failback.image.iso_descriptors import both_endian

ReadArea = Callable[[int, int, int], bytes]
"""Returns `length` bytes from `offset` bytes into block `block`: called as (block, offset, length)."""

# A name needs 255 + 5 bytes, a link 4096 + 2 for each of at most 2048 components, a timestamp field 5 + 7 x 17.
_MAX_AREA = 16 * 1024
# One continuation holds what a record can't; genisoimage starts another per sector. 8 KiB of link need 5.
_MAX_CONTINUATIONS = 16
_MAX_NAME = 255
_MAX_LINK = 4096

_NAME_CURRENT, _NAME_PARENT = 2, 4
_PART_CONTINUES, _PART_CURRENT, _PART_PARENT, _PART_ROOT = 1, 2, 4, 8

_FILE_TYPES = {0o040000: "directory", 0o120000: "link"}


@dataclass(frozen=True, slots=True)
class RockRidge:
    """What Rock Ridge says of one record; `moved_to` is the block of a relocated directory."""

    name: bytes
    link: str
    kind: str
    moved_to: int | None


def skip_length(area: bytes) -> int | None:
    """Return how many bytes precede each record's fields where SUSP is in use (P1281 5.3), or None where it isn't.

    `area` is that of the root's first record. As in GRUB the SP field has to be its very first.
    """
    if len(area) < 7 or area[:2] != b"SP" or area[4:6] != b"\xbe\xef":
        return None
    return area[6]


def has_extension(area: bytes, read: ReadArea) -> bool:
    """Whether the root's first record announces an extension (ER, P1281 5.5), which GRUB takes for Rock Ridge."""
    return any(signature == b"ER" for signature, _ in fields(area, read))


def read_rock_ridge(area: bytes, read: ReadArea) -> RockRidge:
    """Collect name, link, kind and child link (P1282 4.1) of one record; raises IsoCorrupt."""
    name, kind, moved_to, link = b"", "", None, _Link()
    for signature, data in fields(area, read):
        if signature == b"NM" and data:
            name = _extend_name(name, data)
        elif signature == b"PX" and len(data) >= 8:
            kind = _FILE_TYPES.get(int.from_bytes(data[:4], "little") & 0o170000, "file")
        elif signature == b"SL" and data:
            link.add(data[1:])
        elif signature == b"CL" and len(data) >= 8:
            moved_to = both_endian(data, 0, "a moved directory's place")
    return RockRidge(name, link.text(), kind, moved_to)


def fields(area: bytes, read: ReadArea) -> Iterator[tuple[bytes, bytes]]:
    """Yield (signature, data after the 4-byte head) of every field, continuation areas (CE) included."""
    total = 0
    for _ in range(_MAX_CONTINUATIONS):
        total += len(area)
        if total > _MAX_AREA:
            break
        following: bytes | None = None
        for signature, data in _fields_of_one(area):
            if signature == b"CE":
                following = data
            else:
                yield signature, data
        if following is None:
            return
        area = _continuation(following, read)
    message = "a file's attributes go on without end; the ISO is damaged, fetch it again"
    raise IsoCorrupt(message)


def _fields_of_one(area: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 4 <= len(area):
        signature, length = area[position : position + 2], area[position + 2]
        # What doesn't fit ends the area, as in Linux: genisoimage states wrong lengths for links of some 200 parts.
        if length < 4 or position + length > len(area) or signature == b"ST":
            return
        yield signature, area[position + 4 : position + length]
        position += length


def _continuation(data: bytes, read: ReadArea) -> bytes:
    if len(data) < 24:
        message = f"a pointer to further file attributes has {len(data)} bytes instead of 24; the ISO is damaged"
        raise IsoCorrupt(message)
    block, offset, length = (both_endian(data, at, "the place of further file attributes") for at in (0, 8, 16))
    if length > _MAX_AREA:
        message = f"further file attributes of {length} bytes; the ISO is damaged, fetch it again"
        raise IsoCorrupt(message)
    return read(block, offset, length)


def _extend_name(name: bytes, data: bytes) -> bytes:
    if data[0] & _NAME_CURRENT:
        return b"."
    if data[0] & _NAME_PARENT:
        return b".."
    name += data[1:]
    if len(name) > _MAX_NAME:
        message = f"a file name of more than {_MAX_NAME} bytes; the ISO is damaged, fetch it again"
        raise IsoCorrupt(message)
    return name


class _Link:
    """A link's target, put together from component records (P1282 4.1.3.1)."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._continues = False

    def add(self, components: bytes) -> None:
        position = 0
        while position + 2 <= len(components):
            flags, length = components[position], components[position + 1]
            self._add_one(flags, components[position + 2 : position + 2 + length])
            position += 2 + length

    def _add_one(self, flags: int, text: bytes) -> None:
        part = b"." if flags & _PART_CURRENT else b".." if flags & _PART_PARENT else text
        if flags & _PART_ROOT:
            self._parts = [b""]
        elif self._continues and self._parts:
            self._parts[-1] += part
        else:
            self._parts.append(part)
        self._continues = bool(flags & _PART_CONTINUES)

    def text(self) -> str:
        target = b"/".join(self._parts) or (b"/" if self._parts else b"")
        if len(target) > _MAX_LINK:
            message = f"a link of more than {_MAX_LINK} bytes; the ISO is damaged, fetch it again"
            raise IsoCorrupt(message)
        return target.decode("utf-8", errors="replace")
