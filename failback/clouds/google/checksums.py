"""CRC32C as Cloud Storage gives it, of bytes and of what's put together of pieces.

Source: RFC 3720, appendix B.4 (the polynomial of CRC32C); "Data validation" of Cloud Storage (base64, big-endian).
"""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

POLYNOMIAL = 0x82F63B78
"""Of CRC32C, its bits in reverse."""
Matrix = tuple[int, ...]


def crc32c_of(pieces: Iterable[bytes]) -> int:
    """The checksum of pieces, one behind the other."""
    import google_crc32c

    value = 0
    for piece in pieces:
        value = int(google_crc32c.extend(value, piece))
    return value


def as_text(checksum: int) -> str:
    """A checksum as Cloud Storage writes it."""
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()


def from_text(text: str) -> int:
    """A checksum that Cloud Storage has written."""
    return int.from_bytes(base64.b64decode(text), "big")


def joined(pieces: Iterable[tuple[int, int]]) -> int:
    """The checksum of pieces put together, given the checksum and the length in bytes of each.

    A checksum is linear in the bits before it: what comes first is carried over the zeros that the rest would be.
    """
    value = 0
    for checksum, length in pieces:
        value = _times(_zeros(length), value) ^ checksum
    return value


@lru_cache(maxsize=64)
def _zeros(length: int) -> Matrix:
    """What `length` bytes of zeros behind a checksum make of it, by squares of what one zero bit does.

    Parts are all of one size, and to square takes a hundred times as long as to apply what's kept.
    """
    step, whole, bits = _ONE_BIT, _NO_BIT, 8 * length
    while bits:
        if bits & 1:
            whole = _product(step, whole)
        step, bits = _product(step, step), bits >> 1
    return whole


def _times(matrix: Matrix, vector: int) -> int:
    value = 0
    for column in matrix:
        if vector & 1:
            value ^= column
        vector >>= 1
    return value


def _product(left: Matrix, right: Matrix) -> Matrix:
    return tuple(_times(left, column) for column in right)


_NO_BIT: Matrix = tuple(1 << bit for bit in range(32))
_ONE_BIT: Matrix = (POLYNOMIAL, *_NO_BIT[:31])
"""What one zero bit behind a checksum makes of each of its bits, the lowest first."""
