"""MD5 and CRC32C of bytes that pass, as Cloud Storage writes and judges them.

Source: Cloud Storage documentation, "Hashes and ETags" (base64; the CRC big-endian).
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

import google_crc32c

from localcloud.google_identity.refusal import ApiRefusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from localcloud.google_storage.record import Promise


_POLYNOMIAL = 0x82F63B78
"""Castagnoli's, reflected: the highest bit is the factor of x to the power of 0."""
_X_8 = 1 << 31 - 8


class Digests:
    """Both over the same bytes."""

    def __init__(self) -> None:
        self.size, self._crc = 0, 0
        self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self.size += len(data)
        self._md5.update(data)
        self._crc = google_crc32c.extend(self._crc, data)

    @property
    def md5(self) -> str:
        """In base64."""
        return base64.b64encode(self._md5.digest()).decode("ascii")

    @property
    def crc32c(self) -> str:
        """In base64."""
        return _crc_text(self._crc)

    def check(self, promise: Promise) -> None:
        """Refuse bytes that aren't those whose checksums were given."""
        for name, given, computed in (
            ("CRC32C", promise.crc32c, self.crc32c),
            ("MD5 hash", promise.md5, self.md5),
        ):
            if given is not None and given != computed:
                message = f'Provided {name} "{given}" doesn\'t match calculated {name} "{computed}".'
                raise ApiRefusal(400, "invalid", message)


def joined_crc(parts: Iterable[tuple[str, int]]) -> str:
    """The CRC32C of bytes one after the other, each given by its own CRC32C and its size: none of them is read."""
    value = 0
    for text, size in parts:
        value = _after_zeros(value, size) ^ int.from_bytes(base64.b64decode(text), "big")
    return _crc_text(value)


def _after_zeros(value: int, size: int) -> int:
    """A CRC times x to the power of eight times `size`, modulo the polynomial; bits are reflected."""
    power = _X_8
    while size:
        if size & 1:
            value = _product(value, power)
        power, size = _product(power, power), size >> 1
    return value


def _product(left: int, right: int) -> int:
    result = 0
    for bit in range(31, -1, -1):
        if left >> bit & 1:
            result ^= right
        right = right >> 1 ^ (_POLYNOMIAL if right & 1 else 0)
    return result


def _crc_text(value: int) -> str:
    return base64.b64encode(value.to_bytes(4, "big")).decode("ascii")
