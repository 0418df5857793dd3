"""Both file system readers against whole random trees, made by mksquashfs and mke2fs."""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failback.errors import DataCorrupt, IsoTruncated
from failback.image.ext4 import Ext4
from failback.image.source import FileSource
from failback.image.squashfs import Squashfs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from failback.image.tree import EntryKind, FileTree, TreeEntry

SQUASHFS_OPTIONS = (
    ["-comp", "gzip", "-b", "4096"],
    ["-comp", "gzip", "-b", "131072", "-Xcompression-level", "1"],
    ["-comp", "xz", "-b", "8192"],
    ["-comp", "lzma", "-b", "4096"],
    ["-comp", "zstd", "-b", "16384", "-Xcompression-level", "3"],
    ["-comp", "gzip", "-b", "4096", "-noI", "-noD", "-noF"],
    ["-comp", "gzip", "-b", "4096", "-no-fragments"],
    ["-comp", "gzip", "-b", "4096", "-always-use-fragments", "-no-duplicates"],
)
EXT_OPTIONS = (
    ["-t", "ext4"],
    ["-t", "ext4", "-b", "1024"],
    ["-t", "ext4", "-b", "1024", "-g", "256", "-O", "^64bit"],
    ["-t", "ext4", "-b", "1024", "-g", "256", "-O", "meta_bg,^resize_inode"],
    ["-t", "ext4", "-O", "^extents,^64bit"],
    ["-t", "ext4", "-b", "1024", "-I", "128", "-O", "^flex_bg"],
    ["-t", "ext3", "-b", "1024"],
    ["-t", "ext2", "-b", "4096"],
    ["-t", "ext2", "-b", "1024", "-O", "^filetype,^sparse_super,^resize_inode"],
)
# Around the block sizes above, around an inode's 12 direct blocks of 1 KiB, and around one table of 256 of them.
SIZES = sorted(
    {
        max(0, base + change)
        for base in (0, 60, 1024, 4096, 8192, 16384, 3 * 4096, 12 * 1024, 268 * 1024, 131072, 140_000)
        for change in (-1, 0, 1)
    }
)
NAMES = st.text("abcé ßあ\U0001f600-_.$'\"", min_size=1, max_size=12).filter(lambda name: name not in (".", ".."))


@dataclass(frozen=True)
class Content:
    size: int
    form: str
    seed: int

    def write(self, path: Path) -> None:
        if self.form == "holes":
            with path.open("wb") as file:
                file.truncate(self.size)
                for at in range(0, self.size, 20_000):
                    file.seek(at)
                    file.write(random.Random(self.seed + at).randbytes(min(3, self.size - at)))
        elif self.form == "noise":
            path.write_bytes(random.Random(self.seed).randbytes(self.size))
        else:
            path.write_bytes((b"%d line of text\n" % self.seed * (self.size // 8 + 1))[: self.size])


CONTENTS = st.builds(
    Content, st.sampled_from(SIZES), st.sampled_from(("noise", "text", "holes")), st.integers(0, 1 << 16)
)
PATHS = st.lists(NAMES, min_size=1, max_size=5)
TARGETS = st.lists(st.sampled_from(("..", ".", "a", "b", "link", "")) | NAMES, min_size=1, max_size=8).map("/".join)


def make_tree(directory: Path, data: st.DataObject) -> None:
    """Files, directories, links of every sort, and some of them through each other's names."""
    for parts in data.draw(st.lists(PATHS, max_size=8), "directories"):
        _try(lambda path: path.mkdir(parents=True), directory.joinpath(*parts))
    known = [Path("/") / found.relative_to(directory) for found in directory.rglob("*")] + [Path("/")]
    places = st.sampled_from(sorted(known))
    for place, name, content in data.draw(st.lists(st.tuples(places, NAMES, CONTENTS), max_size=12), "files"):
        _try(content.write, directory / str(place).lstrip("/") / name)
    ends = TARGETS.filter(bool) | places.map(str) | st.just("../../../../../../a") | st.just("x" * 80 + "/..")
    for place, name, target in data.draw(st.lists(st.tuples(places, NAMES, ends), max_size=8), "links"):
        _try(partial(Path.symlink_to, target=target), directory / str(place).lstrip("/") / name)


def _try(make: Callable[[Path], None], path: Path) -> None:
    if not os.path.lexists(path) and not any(parent.is_file() for parent in path.parents):
        make(path)


def kind_of(path: Path) -> EntryKind:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "symlink"
    return "directory" if stat.S_ISDIR(mode) else "file"


def reference_follow(root: Path, path: str) -> Path | None:
    """chroot(2)'s way along `path`, on the directory that the image was made from."""
    here, pending, links = root, deque(path.split("/")), 0
    while pending:
        if not here.is_dir():
            return None
        part = pending.popleft()
        if part == "..":
            here = here if here == root else here.parent
        elif part not in ("", "."):
            step = here / part
            if len(part.encode()) > 255 or not os.path.lexists(step):
                return None
            if step.is_symlink():
                links += 1
                target = os.readlink(step)  # noqa: PTH115 -- pathlib drops the "/." of "file/."
                if links > 40:
                    return None
                pending.extendleft(reversed(target.split("/")))
                here = root if target.startswith("/") else here
            else:
                here = step
    return here


def walk(tree: FileTree, path: str = "/") -> Iterator[TreeEntry]:
    for entry in tree.list(path):
        yield entry
        if entry.kind == "directory":
            yield from walk(tree, entry.path)


def compare(tree: FileTree, directory: Path, *, extra: frozenset[str] = frozenset()) -> None:
    """Everything in the directory is in the tree just so, and nothing else is."""
    entries = {entry.path: entry for entry in walk(tree) if entry.path not in extra}
    real = {f"/{path.relative_to(directory)}": path for path in directory.rglob("*")}
    assert entries.keys() == real.keys()
    for path, entry in entries.items():
        status = real[path].lstat()
        expected_size = status.st_size if stat.S_ISREG(status.st_mode) else 0
        assert (entry.kind, entry.size, entry.mode) == (kind_of(real[path]), expected_size, status.st_mode)
        compare_found(tree, directory, path)


def compare_found(tree: FileTree, directory: Path, path: str) -> None:
    expected, found = reference_follow(directory, path), tree.find(path)
    assert (found is None) == (expected is None)
    if found is None or expected is None:
        with pytest.raises(DataCorrupt):
            tree.open(path)
        return
    assert found.path.strip("/") == ("" if expected == directory else str(expected.relative_to(directory)))
    if found.kind == "file":
        compare_content(tree, path, expected.read_bytes())


def compare_content(tree: FileTree, path: str, content: bytes) -> None:
    source = tree.open(path)
    assert source.size == len(content)
    assert source.read(0, len(content)) == content
    randomness = random.Random(len(content))
    for _ in range(5):
        start = randomness.randint(0, len(content))
        length = randomness.randint(0, len(content) - start)
        assert source.read(start, length) == content[start : start + length]
    for start, length in ((len(content), 1), (0, len(content) + 1), (-1, 1), (0, -1)):
        with pytest.raises(IsoTruncated):
            source.read(start, length)


def mksquashfs(directory: Path, image: Path, options: list[str]) -> None:
    if shutil.which("mksquashfs") is None:
        pytest.skip("mksquashfs (squashfs-tools) isn't installed")
    command = [
        "mksquashfs",
        str(directory),
        str(image),
        "-noappend",
        "-quiet",
        "-no-progress",
        "-processors",
        "1",
        *options,
    ]
    subprocess.run(command, check=True, capture_output=True)


def mke2fs(directory: Path, image: Path, options: list[str], *, size: str = "8M") -> None:
    if shutil.which("mke2fs") is None:
        pytest.skip("mke2fs (e2fsprogs) isn't installed")
    subprocess.run(["mke2fs", "-q", *options, "-d", directory, image, size], check=True, capture_output=True)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), options=st.sampled_from(SQUASHFS_OPTIONS))
def test_squashfs_holds_what_was_put_in(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, options: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("squashfs")
    (folder / "tree").mkdir()
    make_tree(folder / "tree", data)
    mksquashfs(folder / "tree", folder / "image", options)
    with FileSource(folder / "image") as source:
        compare(Squashfs(source), folder / "tree")
    shutil.rmtree(folder)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), options=st.sampled_from(EXT_OPTIONS))
def test_ext_holds_what_was_put_in(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, options: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("ext")
    (folder / "tree").mkdir()
    make_tree(folder / "tree", data)
    mke2fs(folder / "tree", folder / "image", options)
    with FileSource(folder / "image") as source:
        compare(Ext4(source), folder / "tree", extra=frozenset({"/lost+found"}))
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def odd_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the random ones rarely have: very deep, very many, very long, and names that aren't UTF-8."""
    root = tmp_path_factory.mktemp("odd")
    deep = root.joinpath(*["d"] * 120)
    deep.mkdir(parents=True)
    (deep / "end").write_text("bottom")
    (root / "many").mkdir()
    for number in range(1500):
        (root / "many" / f"file with number {number:05}").write_text(str(number))
    (root / ("n" * 255)).write_text("long name")
    (root / "fast").symlink_to("m" * 59)
    (root / "slow").symlink_to("d/" * 119 + "d/end")
    (root / "self").symlink_to("self")
    (root / "ping").symlink_to("pong")
    (root / "pong").symlink_to("/ping")
    (root / "up").symlink_to("../../../many")
    (root / "large").write_bytes(random.Random(4).randbytes(6_000_000))
    os.mkfifo(root / "fifo")
    Path(os.fsdecode(bytes(root) + b"/caf\xe9")).write_text("latin")
    return root


SMALL_GROUPS = ["-t", "ext4", "-b", "1024", "-g", "1024"]
"""40 groups in 40 MiB, whose descriptors take three blocks: with meta_bg they lie in three places."""


@pytest.mark.parametrize(
    "options",
    [
        None,
        ["-t", "ext4"],
        ["-t", "ext4", "-b", "1024"],
        ["-t", "ext2"],
        [*SMALL_GROUPS, "-O", "meta_bg,^resize_inode"],
        [*SMALL_GROUPS, "-O", "meta_bg,^resize_inode,^flex_bg,^sparse_super"],
        [*SMALL_GROUPS, "-O", "meta_bg,^resize_inode,^flex_bg,sparse_super2"],
    ],
    ids=lambda options: " ".join(options) if options else "squashfs",
)
def test_odd_trees(odd_tree: Path, tmp_path: Path, options: list[str] | None) -> None:
    image = tmp_path / "image"
    if options is None:
        mksquashfs(odd_tree, image, ["-comp", "gzip", "-b", "4096"])
    else:
        mke2fs(odd_tree, image, [*options, "-N", "2000"], size="40M")
    with FileSource(image) as source:
        tree: FileTree = Squashfs(source) if options is None else Ext4(source)
        assert [entry.path for entry in tree.list("/up")] == [f"/many/file with number {n:05}" for n in range(1500)]
        compare_content(tree, "/many/file with number 01499", b"1499")
        compare_content(tree, "/slow", b"bottom")
        compare_content(tree, "/large", (odd_tree / "large").read_bytes())
        compare_content(tree, "/" + "n" * 255, b"long name")
        compare_content(tree, r"/caf\xe9", b"latin")
        for nowhere in ("/self", "/ping", "/fast", "/many/x", "/large/x", "/large/", "/many/../large/..", "/x/.."):
            assert tree.find(nowhere) is None
        fifo = tree.find("fifo")
        assert fifo is not None
        assert fifo.kind == "other"
        assert list(tree.list("/large")) == []
        root = tree.find("/../..//./")
        assert root is not None
        assert (root.path, root.kind) == ("/", "directory")
