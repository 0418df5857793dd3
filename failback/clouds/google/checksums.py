"""CRC32C as Cloud Storage gives it, of bytes and of what's put together of pieces.

Source: RFC 3720, appendix B.4 (the polynomial of CRC32C); "Data validation" of Cloud Storage (base64, big-endian).
"""

from __future__ import annotations

import base64
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
        value = _after_zeros(value, length) ^ checksum
    return value


def _after_zeros(checksum: int, length: int) -> int:
    """A checksum after `length` bytes of zeros more, by squares of what one zero bit does."""
    step = _square(_square(_square(_ONE_BIT)))
    while length:
        if length & 1:
            checksum = _times(step, checksum)
        step, length = _square(step), length >> 1
    return checksum


def _times(matrix: Matrix, vector: int) -> int:
    value = 0
    for column in matrix:
        if vector & 1:
            value ^= column
        vector >>= 1
    return value


def _square(matrix: Matrix) -> Matrix:
    return tuple(_times(matrix, column) for column in matrix)


_ONE_BIT: Matrix = (POLYNOMIAL, *(1 << bit for bit in range(31)))
"""What one zero bit behind a checksum makes of each of its bits, the lowest first."""
