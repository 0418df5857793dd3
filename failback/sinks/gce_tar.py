"""The tar that Google Cloud takes a disk in: one sparse file, disk.raw, in GNU tar's old format.

GNU tar manual, "Basic Tar Format", struct oldgnu_header and struct sparse_header. Google's document on importing disks
asks for `tar --format=oldgnu -S`, for that name, and for a disk of whole GiB.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

from failback.image.plan import GIB, SECTOR, round_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME = b"disk.raw"
_MODE = 0o644
# 2000-01-01, whenever the disk is packed: GNU tar calls 1970 implausible.
_TIME = 946_684_800
_SPARSE_FILE = b"S"
# Name, mode, owner, group, size, time, checksum, kind, link, magic and version, names of owner and group, device,
# (times, offset and long names, unused), map, whether the map goes on, the file's real size.
_HEADER = struct.Struct("100s 8s 8s 8s 12s 12s 8s 1s 100s 8s 32s 32s 16s 41x 96s ? 12s 17x")
_MAP_GOES_ON = struct.Struct("504s ? 7x")
_ENTRIES, _MORE_ENTRIES = 4, 21
_CHECKSUM_OFFSET = 148
# What eleven octal digits can't say is binary, with the field's highest bit set.
_OCTAL_LIMIT = 8**11
# Two blocks of zeros end an archive, which is padded to a whole record of 20 blocks.
_END = 2 * SECTOR
_RECORD = 20 * SECTOR


class SparseTar:
    """The archive of a disk of `disk_size` bytes that has data in `runs` only: sorted (offset, length), whole sectors.

    `head` comes first, then the runs' data one behind the other, then zeros up to `size` bytes. Raises ValueError for a
    disk that isn't whole GiB, or runs that can't be.
    """

    def __init__(self, disk_size: int, runs: Sequence[tuple[int, int]]) -> None:
        if disk_size <= 0 or disk_size % GIB:
            message = f"Google Cloud takes disks of whole GiB (1,073,741,824 bytes); {disk_size:,} bytes are none"
            raise ValueError(message)
        _check_runs(disk_size, runs)
        self.runs = runs
        self.data_size = sum(length for _, length in runs)
        self.head = _head(disk_size, runs, self.data_size)
        self.size = round_up(len(self.head) + self.data_size + _END, _RECORD)

    @property
    def padding(self) -> int:
        """Zeros behind the data, in bytes."""
        return self.size - len(self.head) - self.data_size

    def pieces(self, longest: int, *, first: int = 0) -> Iterator[tuple[int, int]]:
        """The runs cut into pieces of `longest` bytes, without the `first` bytes of data, which end with a piece."""
        skipped = 0
        for offset, length in self.runs:
            if skipped + length <= first:
                skipped += length
                continue
            for start in range(max(0, first - skipped), length, longest):
                yield offset + start, min(longest, length - start)
            skipped += length


def _check_runs(disk_size: int, runs: Sequence[tuple[int, int]]) -> None:
    ordered = all(offset + length <= following for (offset, length), (following, _) in pairwise(runs))
    whole = all(length > 0 and offset % SECTOR == length % SECTOR == 0 for offset, length in runs)
    if not ordered or not whole or (runs and (runs[0][0] < 0 or sum(runs[-1]) > disk_size)):
        message = f"the runs of data aren't sorted whole sectors within the {disk_size:,} bytes of the disk"
        raise ValueError(message)


def _head(disk_size: int, runs: Sequence[tuple[int, int]], data_size: int) -> bytes:
    entries = [_number(offset) + _number(length) for offset, length in runs]
    if not runs or sum(runs[-1]) < disk_size:
        # An empty run at the end makes a reader give the file its size.
        entries.append(_number(disk_size) + _number(0))
    header = _HEADER.pack(
        NAME, b"%07o" % _MODE, b"%07o" % 0, b"%07o" % 0, _number(data_size), _number(_TIME), b" " * 8, _SPARSE_FILE,
        b"", b"ustar  ", b"", b"", b"", b"".join(entries[:_ENTRIES]), len(entries) > _ENTRIES, _number(disk_size),
    )  # fmt: skip
    checksum = b"%06o\0 " % sum(header)
    blocks = [header[:_CHECKSUM_OFFSET], checksum, header[_CHECKSUM_OFFSET + len(checksum) :]]
    for start in range(_ENTRIES, len(entries), _MORE_ENTRIES):
        end = start + _MORE_ENTRIES
        blocks.append(_MAP_GOES_ON.pack(b"".join(entries[start:end]), end < len(entries)))
    return b"".join(blocks)


def _number(value: int) -> bytes:
    return b"%011o\0" % value if value < _OCTAL_LIMIT else b"\x80" + value.to_bytes(11, "big")
