"""ext2, ext3 and ext4: features in and out of reach, indexed directories, deep extent trees, damage and malice."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failback.errors import DataCorrupt, ImageError
from failback.image.ext4 import Ext4
from failback.image.source import BytesSource, FileSource
from tests.hostile import patched, read_everything

if TYPE_CHECKING:
    from pathlib import Path


SUPER = 1024
ROOT_INODE = 2
SUPER_FIELDS = [
    *((at, 4) for at in (0x0, 0x4, 0x14, 0x18, 0x1C, 0x20, 0x28, 0x4C, 0x5C, 0x60, 0x64, 0x104, 0x150)),
    *((at, 2) for at in (0x38, 0x58, 0xFE)),
]


def make(folder: Path, image: Path, *options: str, size: str = "4M") -> bytes:
    if shutil.which("mke2fs") is None:
        pytest.skip("mke2fs (e2fsprogs) isn't installed")
    subprocess.run(["mke2fs", "-q", "-d", str(folder), *options, str(image), size], check=True, capture_output=True)
    return image.read_bytes()


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("content")
    (root / "a" / "b").mkdir(parents=True)
    for number in range(30):
        (root / "a" / f"small{number}").write_text("x" * number * 10)
    (root / "a" / "b" / "large").write_bytes(random.Random(1).randbytes(400_000))
    with (root / "sparse").open("wb") as file:
        for block in range(0, 400, 2):
            file.seek(block * 4096)
            file.write(b"%d" % block)
    (root / "link").symlink_to("a/b/large")
    (root / "long").symlink_to("a/" + "./" * 60 + "b/large")
    (root / "circle").symlink_to("a/../circle")
    return root


@pytest.fixture(scope="module", params=["ext4", "ext2"])
def image(request: pytest.FixtureRequest, content: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make(content, tmp_path_factory.mktemp("image") / "image", "-t", request.param, "-b", "1024", "-N", "64")


def survive(image: bytes) -> None:
    with suppress(ImageError):
        read_everything(Ext4(BytesSource(image)))


def inode_at(image: bytes, number: int) -> int:
    """Where an inode of the first group begins, by hand."""
    size = struct.unpack_from("<H", image, SUPER + 0x58)[0]
    table = struct.unpack_from("<I", image, 2048 + 8)[0]
    return int(table * 1024 + (number - 1) * size)


def number_of(image: bytes, name: bytes) -> int:
    at = image.index(bytes([len(name)]), 0)
    while image[at + 2 : at + 2 + len(name)] != name:
        at = image.index(bytes([len(name)]), at + 1)
    return int(struct.unpack_from("<I", image, at - 6)[0])


def test_the_image_is_whole(image: bytes) -> None:
    tree = Ext4(BytesSource(image))
    assert read_everything(tree) == 38
    assert tree.open("/long").read(0, 10) == random.Random(1).randbytes(400_000)[:10]


@pytest.mark.parametrize("options", [("-t", "ext4", "-b", "1024"), ("-t", "ext4"), ("-t", "ext2"), ("-t", "ext3")])
def test_many_extents_and_holes(content: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    """200 extents make a tree of two levels where a block has room for 84."""
    make(content, tmp_path / "image", *options)
    expected = (content / "sparse").read_bytes()
    with FileSource(tmp_path / "image") as opened:
        source = Ext4(opened).open("/sparse")
        assert source.read(0, source.size) == expected
        for start in range(0, len(expected) - 5000, 3001):
            assert source.read(start, 5000) == expected[start : start + 5000]


def test_reserved_extents_read_as_zeros(content: Path, tmp_path: Path) -> None:
    if shutil.which("debugfs") is None:
        pytest.skip("debugfs (e2fsprogs) isn't installed")
    path = tmp_path / "image"
    make(content, path, "-t", "ext4", "-b", "1024")
    commands = "fallocate /sparse 0 2000\nset_inode_field /sparse size 2048000\n"
    subprocess.run(["debugfs", "-w", "-f", "-", str(path)], input=commands.encode(), check=True, capture_output=True)
    expected = (content / "sparse").read_bytes()
    with FileSource(path) as opened:
        source = Ext4(opened).open("/sparse")
        assert source.read(0, source.size) == expected + bytes(2_048_000 - len(expected))


@pytest.mark.parametrize("block", ["1024", "4096"])
def test_indexed_directories_are_read_in_line(tmp_path: Path, block: str) -> None:
    if shutil.which("e2fsck") is None:
        pytest.skip("e2fsck (e2fsprogs) isn't installed")
    (tmp_path / "tree" / "many").mkdir(parents=True)
    names = [f"{number:04}-{'n' * (number % 90)}" for number in range(2000)]
    for name in names:
        (tmp_path / "tree" / "many" / name).touch()
    path = tmp_path / "image"
    make(tmp_path / "tree", path, "-t", "ext4", "-b", block, "-N", "2100", size="16M")
    subprocess.run(["e2fsck", "-fyD", str(path)], capture_output=True)  # makes the index; answers 1 for "changed"
    shown = subprocess.run(["debugfs", "-R", "htree_dump /many", str(path)], capture_output=True, check=True)
    assert b"Root node dump" in shown.stdout, "the directory should have an index now"
    with FileSource(path) as opened:
        assert [entry.path for entry in Ext4(opened).list("/many")] == [f"/many/{name}" for name in sorted(names)]


@pytest.mark.parametrize("feature", ["inline_data", "encrypt"])
def test_features_that_cant_be_read_are_named(content: Path, tmp_path: Path, feature: str) -> None:
    made = make(content, tmp_path / "image", "-t", "ext4", "-O", feature)
    with pytest.raises(DataCorrupt, match=feature):
        Ext4(BytesSource(made))


def test_a_journal_device_and_unknown_features_are_refused(image: bytes) -> None:
    with pytest.raises(DataCorrupt, match="journal_dev, unknown ones \\(0x40000000\\)"):
        Ext4(BytesSource(patched(image, SUPER + 0x60, struct.pack("<I", 0x40000008))))


def test_a_journal_that_needs_recovery_does_not_hinder(image: bytes) -> None:
    features = struct.unpack_from("<I", image, SUPER + 0x60)[0] | 0x4
    assert read_everything(Ext4(BytesSource(patched(image, SUPER + 0x60, struct.pack("<I", features))))) == 38


@pytest.mark.parametrize("made", [b"", bytes(1024), bytes(2048), b"\xff" * 4096, b"hsqs" + bytes(5000)])
def test_what_is_none_is_refused(made: bytes) -> None:
    with pytest.raises(DataCorrupt):
        Ext4(BytesSource(made))


def test_an_image_cut_anywhere_says_so(image: bytes) -> None:
    for length in [*range(0, len(image), 50_001), len(image) - 1]:
        with pytest.raises(DataCorrupt):
            Ext4(BytesSource(image[:length]))


@pytest.mark.parametrize("field", SUPER_FIELDS, ids=lambda field: f"{field[0]:#x}")
def test_extremes_in_the_super_block(image: bytes, field: tuple[int, int]) -> None:
    at, width = field
    top = (1 << 8 * width) - 1
    for value in (0, 1, 2, 5, 31, 128, 4096, top // 2, top // 2 + 1, top - 1, top):
        survive(patched(image, SUPER + at, min(value, top).to_bytes(width, "little")))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), value=st.sampled_from((0, 1, 0x0C, 0x7F, 0x80, 0xFF)), width=st.sampled_from((1, 2, 4)))
def test_extremes_in_inodes_and_directories(image: bytes, data: st.DataObject, value: int, width: int) -> None:
    inodes = inode_at(image, 1)
    names = image.index(b"small1") // 1024 * 1024
    place = data.draw(
        st.integers(2048, 2048 + 64) | st.integers(inodes, inodes + 64 * 256) | st.integers(names, names + 1024)
    )
    survive(patched(image, place, bytes([value] * width)))


def test_a_directory_within_itself_ends(image: bytes) -> None:
    """The entry "b" of /a is made to lead to the root."""
    at = image.index(b"\x01\x02b") - 6
    made = patched(image, at, struct.pack("<I", ROOT_INODE))
    tree = Ext4(BytesSource(made))
    found = tree.find("/a/b/a/b/a")
    assert found is not None
    assert found.kind == "directory"
    assert tree.find("/a/b" * 200) is None
    survive(made)


def test_endless_directory_entries_are_refused(image: bytes) -> None:
    names = image.index(b"small1") // 1024 * 1024
    for length in (0, 4, 7, 10, 2048, 65535):
        with pytest.raises(DataCorrupt, match="directory entry"):
            list(Ext4(BytesSource(patched(image, names + 4, struct.pack("<H", length)))).list("/a"))


def test_inodes_that_do_not_exist_are_refused(image: bytes) -> None:
    at = image.index(b"\x01\x02b") - 6
    with pytest.raises(DataCorrupt, match="leads to inode 999999"):
        Ext4(BytesSource(patched(image, at, struct.pack("<I", 999_999)))).find("/a/b")


def test_an_extent_tree_that_bites_its_tail_is_refused(content: Path, tmp_path: Path) -> None:
    made = make(content, tmp_path / "image", "-t", "ext4", "-b", "1024", "-N", "64")
    at = inode_at(made, number_of(made, b"sparse")) + 0x28
    magic, _, _, depth = struct.unpack_from("<HHHH", made, at)
    assert (magic, depth) == (0xF30A, 1)
    child = struct.unpack_from("<I", made, at + 12 + 4)[0] * 1024
    inner = struct.pack("<HHHHI", 0xF30A, 1, 84, 1, 0) + struct.pack("<IIHH", 0, child // 1024, 0, 0)
    with pytest.raises(DataCorrupt, match="contradict"):
        Ext4(BytesSource(patched(made, child, inner))).open("/sparse").read(0, 10)


def test_extents_out_of_order_end(content: Path, tmp_path: Path) -> None:
    made = make(content, tmp_path / "image", "-t", "ext4", "-b", "1024", "-N", "64")
    at = inode_at(made, number_of(made, b"large")) + 0x28
    extents = b"".join(struct.pack("<IHHI", *extent) for extent in ((5, 1, 0, 9), (0, 0, 0, 0), (3, 1, 0, 9)))
    hostile = patched(made, at, struct.pack("<HHHHI", 0xF30A, 3, 4, 0, 0) + extents)
    with suppress(ImageError):
        Ext4(BytesSource(hostile)).open("/a/b/large").read(0, 400_000)
