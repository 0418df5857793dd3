"""Names in FAT directories: 32-byte records, short names in 8.3 form and the long names before them.

Microsoft's "FAT: General Overview of On-Disk Format" 1.03, sections "FAT Directory Structure" and "Long Directory
Entries".
"""

from __future__ import annotations

import re
import struct

# 1980-01-01 00:00, the beginning of FAT time: the same files give the same bytes whenever they're written.
_DATE = (0 << 9) | (1 << 5) | 1
_TIME = 0
_SHORT = re.compile(r"[A-Z0-9_\-]{1,8}(\.[A-Z0-9_\-]{1,3})?")
_FORBIDDEN = re.compile(r'[\x00-\x1f"*/:<>?\\|]')
LONG_NAME_LIMIT = 255
UNITS_PER_RECORD = 13


def directory_entry(short: bytes, *, attributes: int, cluster: int = 0, size: int = 0) -> bytes:
    """One 32-byte record: `short` is the name in 11 bytes, blank-padded."""
    return struct.pack(
        "<11sBBBHHHHHHHI",
        short,
        attributes,
        0,
        0,
        _TIME,
        _DATE,
        _DATE,
        cluster >> 16,
        _TIME,
        _DATE,
        cluster & 0xFFFF,
        size,
    )


def directory_records(names: list[str]) -> dict[str, bytes]:
    """For every name its records, long ones first; the short one comes last and leads nowhere yet.

    Raises ValueError for a name that FAT can't keep or that differs from another by case only.
    """
    if len({name.upper() for name in names}) != len(names):
        message = f"names that differ by case only can't stand in one FAT directory: {', '.join(sorted(names))}"
        raise ValueError(message)
    taken = {_packed(name) for name in names if _SHORT.fullmatch(name)}
    records = {}
    for name in names:
        _check(name)
        if _SHORT.fullmatch(name):
            records[name] = directory_entry(_packed(name), attributes=0)
            continue
        short = _short_alias(name, taken)
        taken.add(short)
        records[name] = _long_records(name, short) + directory_entry(short, attributes=0)
    return records


def checksum(short: bytes) -> int:
    """The short name's checksum that every record of its long name carries."""
    total = 0
    for byte in short:
        total = ((total & 1) << 7) + (total >> 1) + byte & 0xFF
    return total


def _check(name: str) -> None:
    if not name or len(_units(name)) > LONG_NAME_LIMIT or _FORBIDDEN.search(name) or name != name.rstrip(". "):
        message = f"{name!r} can't be a name in a FAT directory"
        raise ValueError(message)


def _units(name: str) -> list[bytes]:
    encoded = name.encode("utf-16-le")
    return [encoded[start : start + 2] for start in range(0, len(encoded), 2)]


def _packed(name: str) -> bytes:
    stem, _, ending = name.partition(".")
    return stem.ljust(8).encode("ascii") + ending.ljust(3).encode("ascii")


def _short_alias(name: str, taken: set[bytes]) -> bytes:
    """The 8.3 name beside a long one: what can be kept of it, with a number that makes it unique."""
    stem, _, ending = name.upper().rpartition(".") if "." in name.lstrip(".") else (name.upper(), "", "")
    stem, ending = (re.sub(r"[^A-Z0-9_\-]", "", part.encode("ascii", "ignore").decode()) for part in (stem, ending))
    for number in range(1, 1_000_000):
        tail = f"~{number}"
        short = (stem[: 8 - len(tail)] + tail).ljust(8).encode("ascii") + ending[:3].ljust(3).encode("ascii")
        if short not in taken:
            return short
    message = f"{name}: too many names like it in one directory"
    raise ValueError(message)


def _long_records(name: str, short: bytes) -> bytes:
    units = _units(name)
    if len(units) % UNITS_PER_RECORD:
        units.append(b"\0\0")
    units += [b"\xff\xff"] * (-len(units) % UNITS_PER_RECORD)
    count = len(units) // UNITS_PER_RECORD
    records = []
    for order in range(count, 0, -1):
        part = units[(order - 1) * UNITS_PER_RECORD : order * UNITS_PER_RECORD]
        number = order | (0x40 if order == count else 0)
        records.append(
            struct.pack(
                "<B10sBBB12sH4s",
                number,
                b"".join(part[:5]),
                0x0F,
                0,
                checksum(short),
                b"".join(part[5:11]),
                0,
                b"".join(part[11:]),
            )
        )
    return b"".join(records)
