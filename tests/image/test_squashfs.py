"""Squashfs images that are damaged, cut off, hostile, or packed with what can't be read."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failback.errors import DataCorrupt, ImageError, UnknownCompression
from failback.image.source import BytesSource
from failback.image.squashfs import Squashfs
from tests.hostile import patched, read_everything

if TYPE_CHECKING:
    from pathlib import Path


SUPER_FIELDS = [
    *((at, 4) for at in (0, 4, 8, 12, 16)),
    *((at, 2) for at in (20, 22, 24, 26, 28, 30)),
    *((at, 8) for at in (32, 40, 48, 56, 64, 72, 80, 88)),
]
PLAIN = ("-comp", "gzip", "-noI", "-noD", "-noF", "-noX")


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("content")
    (root / "a" / "b").mkdir(parents=True)
    for number in range(30):
        (root / "a" / f"small{number}").write_text("x" * number * 10)
    (root / "a" / "b" / "large").write_bytes(random.Random(1).randbytes(50_000) + bytes(50_000))
    (root / "link").symlink_to("a/b/large")
    (root / "circle").symlink_to("a/../circle")
    return root


def pack(content: Path, image: Path, *options: str) -> bytes:
    if shutil.which("mksquashfs") is None:
        pytest.skip("mksquashfs (squashfs-tools) isn't installed")
    command = ["mksquashfs", str(content), str(image), "-noappend", "-quiet", "-no-progress", "-b", "4096", *options]
    subprocess.run(command, check=True, capture_output=True)
    return image.read_bytes()


@pytest.fixture(scope="module")
def plain(content: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Nothing in it is compressed, so every byte of its tables can be reached by a test."""
    return pack(content, tmp_path_factory.mktemp("plain") / "image", *PLAIN)


@pytest.fixture(scope="module")
def packed(content: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return pack(content, tmp_path_factory.mktemp("packed") / "image", "-comp", "gzip")


def survive(image: bytes) -> None:
    with suppress(ImageError):
        read_everything(Squashfs(BytesSource(image)))


def test_the_images_are_whole(plain: bytes, packed: bytes) -> None:
    assert read_everything(Squashfs(BytesSource(plain))) == read_everything(Squashfs(BytesSource(packed))) == 35


@pytest.mark.parametrize(("codec", "name"), [("lz4", "lz4"), ("lzo", "lzo")])
def test_codecs_that_cant_be_read_are_named(content: Path, tmp_path: Path, codec: str, name: str) -> None:
    image = pack(content, tmp_path / "image", "-comp", codec)
    with pytest.raises(UnknownCompression, match=rf"compressed with {name}"):
        Squashfs(BytesSource(image))


def test_an_unknown_codec_is_named_by_number(plain: bytes) -> None:
    with pytest.raises(UnknownCompression, match="number 77"):
        Squashfs(BytesSource(patched(plain, 20, struct.pack("<H", 77))))


@pytest.mark.parametrize("image", [b"", b"hsqs", bytes(96), b"hsqs" + bytes(200), b"\xff" * 4096, b"sqsh" + bytes(200)])
def test_what_is_none_is_refused(image: bytes) -> None:
    with pytest.raises(DataCorrupt):
        Squashfs(BytesSource(image))


def test_an_image_cut_anywhere_says_so(packed: bytes) -> None:
    used = struct.unpack_from("<Q", packed, 40)[0]
    for length in [*range(0, used, 97), used - 1]:
        with pytest.raises(DataCorrupt):
            Squashfs(BytesSource(packed[:length]))
    Squashfs(BytesSource(packed[:used]))


@pytest.mark.parametrize("field", SUPER_FIELDS, ids=lambda field: f"byte{field[0]}")
def test_extremes_in_the_super_block(plain: bytes, packed: bytes, field: tuple[int, int]) -> None:
    at, width = field
    top = (1 << 8 * width) - 1
    for value in (0, 1, 2, 3, 4096, top // 2, top // 2 + 1, top - 96, top - 1, top):
        for image in (plain, packed):
            survive(patched(image, at, min(value, top).to_bytes(width, "little")))


@settings(max_examples=100, deadline=None)
@given(
    place=st.integers(0, 1 << 30),
    value=st.sampled_from((0, 1, 0x7F, 0x80, 0xFE, 0xFF)),
    width=st.sampled_from((1, 2, 4)),
)
def test_extremes_in_the_tables(plain: bytes, place: int, value: int, width: int) -> None:
    tables = struct.unpack_from("<Q", plain, 64)[0]
    survive(patched(plain, tables + place % (len(plain) - tables - width), bytes([value] * width)))


@settings(max_examples=80, deadline=None)
@given(place=st.integers(96, 1 << 30), change=st.integers(1, 255))
def test_damage_in_compressed_parts(packed: bytes, place: int, change: int) -> None:
    place = 96 + place % (len(packed) - 96)
    survive(patched(packed, place, bytes([packed[place] ^ change])))


def inode_offset(plain: bytes, name: str) -> int:
    """Where the inode of the large file or of a link begins in the uncompressed image."""
    return {"large": plain.index(struct.pack("<I", 100_000)) - 28, "link": plain.index(b"a/b/large") - 24}[name]


def test_a_file_of_impossible_size_costs_nothing(plain: bytes) -> None:
    at = inode_offset(plain, "large")
    assert struct.unpack_from("<H", plain, at)[0] == 2
    image = patched(plain, at + 28, struct.pack("<I", 0xFFFFFFFF))
    tracemalloc.start()
    try:
        with pytest.raises(ImageError):
            Squashfs(BytesSource(image)).open("/a/b/large")
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_link_of_impossible_length_is_refused(plain: bytes) -> None:
    at = inode_offset(plain, "link")
    assert struct.unpack_from("<H", plain, at)[0] == 3
    with pytest.raises(DataCorrupt, match="symbolic link of 4294967295"):
        Squashfs(BytesSource(patched(plain, at + 20, b"\xff" * 4))).find("/link")


def test_names_that_no_file_has_are_refused(plain: bytes) -> None:
    for name in (b"sma/l29", b"sma\0l29"):
        image = patched(plain, plain.index(b"small29"), name)
        with pytest.raises(DataCorrupt, match="which no file can have"):
            list(Squashfs(BytesSource(image)).list("/a"))


def test_a_directory_within_itself_ends(plain: bytes) -> None:
    """The entry "b" of /a is made to lead to the root's inode."""
    root = struct.unpack_from("<Q", plain, 32)[0]
    at = plain.index(b"\x01\0\0\0b", struct.unpack_from("<Q", plain, 72)[0]) - 4
    image = patched(plain, at, struct.pack("<H", root & 0xFFFF))
    tree = Squashfs(BytesSource(image))
    found = tree.find("/a/b/a/b/a")
    assert found is not None
    assert found.kind == "directory"
    assert tree.find("/a/b" * 200) is None
    survive(image)


def test_missing_files_and_circles(plain: bytes) -> None:
    tree = Squashfs(BytesSource(plain))
    assert tree.find("/circle") is None
    assert tree.find("/absent/x") is None
    assert list(tree.list("/absent")) == []
    with pytest.raises(DataCorrupt, match="/circle"):
        tree.open("/circle")
    with pytest.raises(DataCorrupt, match="is no file"):
        tree.open("/a")
