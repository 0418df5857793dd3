"""The fixed VHD sink: the raw disk followed by a footer of 512 bytes, as Azure takes it.

The footer is that of Microsoft's "Virtual Hard Disk Image Format Specification" 1.0, section "Hard Disk Footer
Format"; geometry by its appendix "CHS Calculation".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from failback.image.plan import MIB, SECTOR
from failback.sinks.raw import write_all, write_raw

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

    from failback.image.plan import DiskPlan
    from failback.image.source import ByteSource

FOOTER_SIZE = 512
# Cookie, features, format version, data offset, timestamp, creator application, version and host, original and
# current size, cylinders, heads, sectors, disk type, checksum, unique id, saved state.
_FOOTER = struct.Struct(">8sIIQI4sI4sQQHBBII16sB")
_CHECKSUM_OFFSET = 64
_RESERVED_FEATURE = 2
_VERSION = 0x00010000
_NO_DYNAMIC_HEADER = 0xFFFFFFFFFFFFFFFF
# "win " makes readers trust the size field and not the geometry, which can't express every size.
_CREATOR = b"win "
_CREATOR_VERSION = 0x000A0000
_CREATOR_HOST = b"Wi2k"
_FIXED = 2


def write_vhd(
    plan: DiskPlan, iso: ByteSource, descriptor: int, *, disk_id: uuid.UUID, progress: Callable[[int], None]
) -> None:
    """Write `plan` and its footer to an empty file; Azure takes whole MiB only, so others are a ValueError."""
    footer = vhd_footer(plan.size, disk_id)
    write_raw(plan, iso, descriptor, progress=progress)
    write_all(descriptor, footer, plan.size)
    progress(FOOTER_SIZE)


def vhd_footer(size: int, disk_id: uuid.UUID) -> bytes:
    """The footer of a fixed disk of `size` bytes; its time is always 2000-01-01: the same disk, the same bytes."""
    if size % MIB:
        message = f"a VHD for Azure has whole MiB; {size} bytes are none"
        raise ValueError(message)
    cylinders, heads, sectors = geometry(size)
    body = _FOOTER.pack(
        b"conectix", _RESERVED_FEATURE, _VERSION, _NO_DYNAMIC_HEADER, 0, _CREATOR, _CREATOR_VERSION, _CREATOR_HOST,
        size, size, cylinders, heads, sectors, _FIXED, 0, disk_id.bytes, 0,
    ).ljust(FOOTER_SIZE, b"\0")  # fmt: skip
    checksum = ~sum(body) & 0xFFFFFFFF
    return body[:_CHECKSUM_OFFSET] + struct.pack(">I", checksum) + body[_CHECKSUM_OFFSET + 4 :]


def geometry(size: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors per track for `size` bytes; informative only, capped at about 127 GiB."""
    total = min(size // SECTOR, 65535 * 16 * 255)
    if total >= 65535 * 16 * 63:
        return total // 255 // 16, 16, 255
    tracks = total // 17
    heads, sectors = max(4, (tracks + 1023) // 1024), 17
    if tracks >= heads * 1024 or heads > 16:
        heads, sectors, tracks = 16, 31, total // 31
    if tracks >= heads * 1024:
        sectors, tracks = 63, total // 63
    return tracks // heads, heads, sectors
