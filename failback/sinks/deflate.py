"""Gzip by the piece: pieces are deflated in any order by several threads, and joined they're one member.

A member is RFC 1952, what's in it RFC 1951. Every piece ends on a byte's boundary (a stored block, or what zlib calls a
sync flush) and refers to nothing before it; the CRC-32 of all comes of the pieces' own.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from concurrent.futures import Future

T = TypeVar("T")

# No name, no time, no system (255): the same content, the same bytes.
GZIP_HEAD = bytes([0x1F, 0x8B, zlib.DEFLATED, 0, 0, 0, 0, 0, 0, 255])
# The last block of a member: compressed by the fixed codes, and empty.
_LAST_BLOCK = b"\x03\x00"
_RAW = -15
# RFC 1951, section 3.2.4: a stored block's length has 16 bits and is followed by its complement.
_LONGEST_STORED = 0xFFFF
# A trial of 8 KiB from four places takes a tenth of what deflating a piece of 256 KiB for nothing would.
_SAMPLES, _SAMPLE = 4, 2048
# What shrinks by less than a sixteenth is stored: it's gzip's or zstd's already, or ciphered.
_WORTH_IT = 15 / 16
# The CRC's polynomial, lowest power in the highest bit.
_POLYNOMIAL = 0xEDB88320
_ONE, _ONE_BYTE = 1 << 31, 1 << 23


@dataclass(frozen=True, slots=True)
class Packed:
    """A piece of a member: its deflated bytes, and the CRC-32 and length of what they unpack to."""

    data: bytes
    crc: int
    length: int


def pack(data: bytes) -> Packed:
    """Deflate a piece: quickly where a sample of it shrinks, stored as it is where it doesn't."""
    packed = _deflated(data) if _shrinks(data) else b""
    stored = len(data) + 5 * -(-len(data) // _LONGEST_STORED)
    return Packed(packed if 0 < len(packed) < stored else _stored(data), zlib.crc32(data), len(data))


def pack_in_order(read: Callable[[T], bytes], wanted: Iterable[T], *, workers: int, ahead: int) -> Generator[Packed]:
    """Read and pack each of `wanted` by `workers` threads, and give them in order; `ahead` are in memory at most."""
    pool = ThreadPoolExecutor(workers)
    under_way: deque[Future[Packed]] = deque()
    try:
        for each in wanted:
            if len(under_way) == ahead:
                yield under_way.popleft().result()
            under_way.append(pool.submit(_read_and_pack, read, each))
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def gzip_tail(crc: int, length: int) -> bytes:
    """The end of a member that unpacks to `length` bytes (of any number; 32 bits of it are kept)."""
    return _LAST_BLOCK + struct.pack("<II", crc, length & 0xFFFFFFFF)


def crc32_combine(first: int, second: int, length: int) -> int:
    """The CRC-32 of two pieces joined, from that of each and the second one's length in bytes.

    The first one's, as a polynomial over two elements, is shifted by `length` bytes: multiplied by x^(8 * length).
    """
    return _times(_shift(length), first) ^ second


def _read_and_pack(read: Callable[[T], bytes], each: T) -> Packed:
    return pack(read(each))


def _shrinks(data: bytes) -> bool:
    sample = data
    if len(data) > _SAMPLES * _SAMPLE:
        # One each from the middle of as many equal parts.
        step = len(data) // _SAMPLES
        starts = range((step - _SAMPLE) // 2, _SAMPLES * step, step)
        sample = b"".join(data[start : start + _SAMPLE] for start in starts)
    return len(_deflated(sample)) < len(sample) * _WORTH_IT


def _deflated(data: bytes) -> bytes:
    squeeze = zlib.compressobj(zlib.Z_BEST_SPEED, zlib.DEFLATED, _RAW)
    return squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH)


def _stored(data: bytes) -> bytes:
    view = memoryview(data)
    blocks: list[bytes | memoryview] = []
    for start in range(0, len(data), _LONGEST_STORED):
        block = view[start : start + _LONGEST_STORED]
        blocks += [struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF), block]
    return b"".join(blocks)


# A disk's pieces are of a few lengths.
@lru_cache(maxsize=64)
def _shift(length: int) -> int:
    """x^(8 * length) modulo the CRC's polynomial, by squaring: O(log length)."""
    power, square = _ONE, _ONE_BYTE
    while length:
        if length & 1:
            power = _times(square, power)
        square, length = _times(square, square), length >> 1
    return power


def _times(one: int, other: int) -> int:
    """The product of two polynomials modulo the CRC's."""
    product = 0
    while one:
        if one & _ONE:
            product ^= other
        one = one << 1 & 0xFFFFFFFF
        other = other >> 1 ^ (_POLYNOMIAL if other & 1 else 0)
    return product
