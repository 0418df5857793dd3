"""Deflated pieces: they join to what zlib reads, and their CRCs to the whole one's."""

from __future__ import annotations

import gzip
import random
import threading
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failback.sinks.deflate import GZIP_HEAD, crc32_combine, gzip_tail, pack, pack_in_order

NOISE = random.Random(9).randbytes(300_000)


@given(st.binary(max_size=4000), st.binary(max_size=4000))
def test_crcs_of_pieces_join(first: bytes, second: bytes) -> None:
    assert crc32_combine(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


@pytest.mark.parametrize("length", [1, 511, 512, 65_535, 256 * 1024, 512 * 1024, 3_000_001])
def test_crcs_of_long_pieces_join(length: int) -> None:
    second = (NOISE * 11)[:length]
    assert crc32_combine(zlib.crc32(NOISE), zlib.crc32(second), length) == zlib.crc32(NOISE + second)


def test_the_crc_of_four_gib_comes_of_halves_as_of_mebibytes() -> None:
    mebibyte = halves = zlib.crc32(bytes(1 << 20))
    for power in range(20, 32):
        halves = crc32_combine(halves, halves, 1 << power)
    joined = 0
    for _ in range(1 << 12):
        joined = crc32_combine(joined, mebibyte, 1 << 20)
    assert joined == halves
    # Of four GiB of zeros, as zlib counts through them.
    assert f"{halves:08x}" == "d202ef8d"


pieces = st.lists(
    st.one_of(
        st.binary(max_size=300),
        st.tuples(st.integers(0, 100_000), st.integers(0, 200_000)).map(lambda cut: NOISE[cut[0] : cut[0] + cut[1]]),
        st.integers(0, 200_000).map(bytes),
        st.integers(0, 60_000).map(lambda count: b"text" * count),
    ),
    max_size=6,
)


@given(pieces)
@settings(max_examples=100, deadline=None)
def test_pieces_join_to_one_member(parts: list[bytes]) -> None:
    member, crc = GZIP_HEAD, 0
    for part in parts:
        packed = pack(part)
        assert (packed.length, packed.crc) == (len(part), zlib.crc32(part))
        assert len(packed.data) <= len(part) + 5 * -(-len(part) // 65_535)
        member, crc = member + packed.data, crc32_combine(crc, packed.crc, packed.length)
    whole = b"".join(parts)
    assert gzip.decompress(member + gzip_tail(crc, len(whole))) == whole


def test_noise_is_stored_and_text_is_not() -> None:
    assert len(pack(NOISE).data) == len(NOISE) + 5 * 5
    assert NOISE[:1000] in pack(NOISE).data
    assert len(pack(b"text that repeats itself" * 10_000).data) < 3000


def test_what_the_sample_promises_wrongly_is_stored() -> None:
    """Only the four places of the sample shrink."""
    data = bytearray(NOISE[:262_144])
    for start in range((65_536 - 2048) // 2, 262_144, 65_536):
        data[start : start + 2048] = bytes(2048)
    packed = pack(bytes(data))
    assert len(packed.data) <= len(data) + 25
    assert zlib.decompress(packed.data + b"\x03\x00", -15) == data


def test_the_length_at_the_end_is_taken_modulo_two_to_the_32() -> None:
    assert gzip_tail(0, (5 << 32) + 7)[-4:] == (7).to_bytes(4, "little")


def test_they_come_in_order_and_few_wait() -> None:
    reading, most, lock = 0, 0, threading.Lock()
    taken = 0

    def read(number: int) -> bytes:
        nonlocal reading, most
        with lock:
            reading += 1
            most = max(most, reading - taken)
        # Later ones are ready sooner.
        time.sleep(0.01 if number % 3 == 0 else 0)
        return bytes([number])

    lengths = []
    for packed in pack_in_order(read, range(60), workers=4, ahead=6):
        taken += 1
        lengths.append(packed.crc)
    assert lengths == [zlib.crc32(bytes([number])) for number in range(60)]
    assert 1 < most <= 7
