"""Every codec against the reference tools; damage, bombs and concatenations."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import shutil
import subprocess
import tracemalloc
import zlib
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from failback.errors import DataCorrupt, ImageError, UnknownCompression
from failback.image.compression import Codec, decompress, decompress_stream, decompressor, detect
from failback.image.source import BytesSource

READABLE: tuple[Codec, ...] = ("gzip", "zlib", "xz", "lzma", "bzip2", "zstd")
DETECTED: tuple[Codec, ...] = ("gzip", "xz", "lzma", "bzip2", "zstd")


def compress(data: bytes, codec: Codec) -> bytes:
    match codec:
        case "gzip":
            return gzip.compress(data, 1, mtime=0)
        case "zlib":
            return zlib.compress(data, 1)
        case "xz":
            return lzma.compress(data, preset=0)
        case "lzma":
            return lzma.compress(data, format=lzma.FORMAT_ALONE, preset=0)
        case "bzip2":
            return bz2.compress(data, 1)
        case _:
            return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(data)


def sample(size: int) -> bytes:
    """Half noise, half repetition, so that blocks of every sort occur."""
    half = size // 2
    return random.Random(size).randbytes(half) + (b"drs-failback " * size)[: size - half]


@pytest.mark.parametrize(
    ("codec", "command"),
    [
        ("gzip", ["gzip", "-9n"]),
        ("xz", ["xz", "--check=crc32", "-6"]),
        ("xz", ["xz", "--x86", "--lzma2=dict=1MiB"]),
        ("lzma", ["lzma", "-3"]),
        ("bzip2", ["bzip2", "-9"]),
        ("zstd", ["zstd", "-q", "-19"]),
        ("zstd", ["zstd", "-q", "-1", "--no-check", "--no-content-size"]),
        ("zstd", ["zstd", "-q", "-3", "--long=27"]),
    ],
)
def test_reads_what_the_reference_tools_write(codec: Codec, command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} isn't installed")
    data = sample(700_001) + bytes(300_000)
    packed = subprocess.run([*command, "-c"], input=data, capture_output=True, check=True).stdout
    assert detect(packed) == codec
    assert decompress(packed, codec, what="sample", limit=len(data)) == data


@settings(max_examples=60, deadline=None)
@given(
    codec=st.sampled_from(READABLE),
    size=st.integers(0, 300_000),
    piece=st.integers(1, 70_000),
    max_output=st.integers(1, 200_000),
    tail=st.binary(max_size=64),
)
def test_one_stream_in_pieces_ends_exactly(codec: Codec, size: int, piece: int, max_output: int, tail: bytes) -> None:
    piece, max_output = max(piece, size // 200), max(max_output, size // 200)
    data = sample(size)
    packed = compress(data, codec) + tail
    stream, output, fed = decompressor(codec, what="sample"), bytearray(), 0
    while not stream.finished:
        portion = packed[fed : fed + piece] if stream.needs_input else b""
        assert portion or not stream.needs_input, "it wants more than there is"
        fed += len(portion)
        part = stream.feed(portion, max_output)
        assert len(part) <= max_output
        output += part
    assert bytes(output) == data
    assert stream.unused + packed[fed:] == tail
    before = stream.unused
    assert stream.feed(b"late") == b""
    assert stream.unused == before + b"late"


@pytest.mark.parametrize("codec", DETECTED)
@pytest.mark.parametrize("piece", [1, 7, 5000, 10**7])
def test_streams_may_follow_each_other(codec: Codec, piece: int) -> None:
    first, second = sample(3000), sample(20)
    packed = compress(first, codec) + bytes(11) + compress(second, codec) + compress(b"", codec) + bytes(512)
    pieces = [packed[at : at + piece] for at in range(0, len(packed), piece)]
    assert b"".join(decompress_stream(pieces, codec, what="sample", limit=4000)) == first + second


def test_streams_from_a_source_of_several_pieces() -> None:
    data = random.Random(1).randbytes(1_500_000)
    source = BytesSource(compress(data, "xz"))
    parts = list(decompress_stream(source, "xz", what="sample", limit=len(data)))
    assert b"".join(parts) == data
    assert len(parts) > 1


def test_zstd_frames_of_every_form() -> None:
    data = sample(400_000)
    skippable = b"\x53\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(data)
    large_blocks = zstandard.ZstdCompressor(level=3).compress(bytes(5_000_000))
    packed = skippable + unsized + large_blocks + skippable
    assert detect(packed) == "zstd"
    assert decompress(packed, "zstd", what="sample", limit=6_000_000) == data + bytes(5_000_000)


@pytest.mark.parametrize("codec", READABLE)
def test_cut_anywhere_is_said(codec: Codec) -> None:
    packed = compress(sample(2000), codec)
    for length in range(len(packed)):
        with pytest.raises(DataCorrupt, match=r"modules/x\.ko"):
            decompress(packed[:length], codec, what="modules/x.ko", limit=2000)


@settings(max_examples=200, deadline=None)
@given(codec=st.sampled_from(READABLE), place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_damage_is_found_or_harmless(codec: Codec, place: float, change: int) -> None:
    data = sample(3000)
    packed = bytearray(compress(data, codec))
    packed[int(place * len(packed))] ^= change
    try:
        unpacked = decompress(bytes(packed), codec, what="sample", limit=100_000)
    except ImageError:
        return
    # gzip's header has a time; lzma-alone has no checksum at all.
    assert unpacked == data or codec == "lzma"


@settings(max_examples=200, deadline=None)
@given(codec=st.sampled_from(READABLE), data=st.binary(max_size=200), keep=st.integers(0, 20))
def test_noise_never_surprises(codec: Codec, data: bytes, keep: int) -> None:
    with suppress(ImageError):
        decompress(compress(b"x" * 50, codec)[:keep] + data, codec, what="noise", limit=1 << 20)


@pytest.mark.parametrize("codec", READABLE)
def test_bombs_stay_bounded(codec: Codec) -> None:
    bomb = compress(bytes(64 << 20), codec)
    tracemalloc.start()
    try:
        with pytest.raises(DataCorrupt, match="more than 3000000 bytes"):
            decompress(bomb, codec, what="bomb", limit=3_000_000)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", READABLE)
def test_the_limit_is_exact(codec: Codec) -> None:
    packed = compress(b"12345", codec)
    assert decompress(packed, codec, what="sample", limit=5) == b"12345"
    with pytest.raises(DataCorrupt):
        decompress(packed, codec, what="sample", limit=4)
    with pytest.raises(DataCorrupt):
        decompress(packed, codec, what="sample", limit=0)


@pytest.mark.parametrize("codec", READABLE)
def test_something_else_behind_it_is_refused(codec: Codec) -> None:
    with pytest.raises(DataCorrupt, match="something else"):
        decompress(compress(b"data", codec) + b"something else", codec, what="sample", limit=100)


def test_windows_beyond_all_use_are_refused() -> None:
    whole = compress(sample(100), "lzma")
    with pytest.raises(DataCorrupt):
        decompress(b"\x5d" + b"\xff\xff\xff\xff" + whole[5:], "lzma", what="sample", limit=1000)
    frame_of_two_gigabytes = b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([(31 - 10) << 3]) + b"\x01\x00\x00"
    with pytest.raises(DataCorrupt):
        decompress(frame_of_two_gigabytes, "zstd", what="sample", limit=1000)


@pytest.mark.parametrize(
    ("head", "codec"),
    [
        (b"\x02\x21\x4c\x18" + bytes(20), "lz4"),
        (b"\x04\x22\x4d\x18" + bytes(20), "lz4"),
        (b"\x89LZO\0\r\n\x1a\n" + bytes(20), "lzo"),
    ],
)
def test_what_cant_be_read_is_named(head: bytes, codec: Codec) -> None:
    assert detect(head) == codec
    with pytest.raises(UnknownCompression, match=rf"boot/initrd: is compressed with {codec}"):
        decompressor(codec, what="boot/initrd")


@pytest.mark.parametrize(
    "head", [b"", b"070701", b"\x7fELF" + bytes(20), bytes(20), b"\x5d", b"\x5d" + b"\x07" * 20, b"]" + bytes(12)]
)
def test_what_isnt_compressed_is_nothing(head: bytes) -> None:
    assert detect(head) is None
