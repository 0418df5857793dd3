"""Judges the footer of an uploaded fixed VHD.

Source: Microsoft's "Virtual Hard Disk Image Format Specification" 1.0, section "Hard Disk Footer Format".

Unconfirmed: with which error an upload without a sound footer is refused.
"""

from __future__ import annotations

import struct

from failback.sinks.vhd import FOOTER_SIZE

_COOKIE = b"conectix"
_CURRENT_SIZE, _DISK_TYPE, _CHECKSUM = 48, 60, 64
_FIXED = 2


def footer_fault(footer: bytes, disk_size: int) -> str | None:
    """What's wrong with the footer of a disk of `disk_size` bytes (without the footer); None if it's good."""
    if len(footer) != FOOTER_SIZE or not footer.startswith(_COOKIE):
        return "its last 512 bytes are no VHD footer: the cookie 'conectix' is missing"
    (stated,) = struct.unpack_from(">I", footer, _CHECKSUM)
    checksum = ~(sum(footer) - sum(footer[_CHECKSUM : _CHECKSUM + 4])) & 0xFFFFFFFF
    if stated != checksum:
        return f"its VHD footer has the checksum {stated:#010x}, its bytes give {checksum:#010x}"
    (kind,) = struct.unpack_from(">I", footer, _DISK_TYPE)
    if kind != _FIXED:
        return f"its VHD is of type {kind}; only fixed ones ({_FIXED}) are taken"
    (size,) = struct.unpack_from(">Q", footer, _CURRENT_SIZE)
    if size != disk_size:
        return f"its VHD footer states {size} bytes, {disk_size} were announced"
    return None
