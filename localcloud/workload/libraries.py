"""Which shared libraries a program needs, by its own words.

Format: System V ABI, "Object Files" and "Dynamic Linking", with the 64-bit structures of its AMD64 supplement.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER = struct.Struct("<32xQ14xHH")
# Type, flags, offset in the file, virtual address, physical address, size in the file.
_SEGMENT = struct.Struct("<IIQQQQ")
_ENTRY = struct.Struct("<qQ")
_LOAD, _DYNAMIC = 1, 2
_NEEDED, _STRINGS = 1, 5


def needed(program: bytes) -> tuple[str, ...]:
    """The names of the libraries that an ELF file is linked with; none for any other file."""
    if not program.startswith(b"\x7fELF\x02\x01"):
        return ()
    segments = list(_segments(program))
    entries = [entry for kind, at, _, size in segments if kind == _DYNAMIC for entry in _entries(program, at, size)]
    addresses = [value for tag, value in entries if tag == _STRINGS]
    places = [at + addresses[0] - start for kind, at, start, size in segments
              if addresses and kind == _LOAD and start <= addresses[0] < start + size]  # fmt: skip
    return tuple(_text(program, places[0] + value) for tag, value in entries if tag == _NEEDED)


def _segments(program: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Kind, offset in the file, virtual address and size of each."""
    first, length, count = _HEADER.unpack_from(program)
    for number in range(count):
        kind, _, at, start, _, size = _SEGMENT.unpack_from(program, first + number * length)
        yield kind, at, start, size


def _entries(program: bytes, at: int, size: int) -> list[tuple[int, int]]:
    return list(_ENTRY.iter_unpack(program[at : at + size - size % _ENTRY.size]))


def _text(program: bytes, at: int) -> str:
    return program[at : program.index(b"\0", at)].decode("ascii")
