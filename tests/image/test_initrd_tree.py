"""The kernel's own rules for an initrd's members: what it skips, what it replaces, where links lead."""

from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failback.errors import DataCorrupt
from failback.image.cpio import CpioEntry
from failback.image.initrd_tree import LINK_LIMIT, InitrdTree

FILE, DIRECTORY, LINK = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777


def entry(name: str, mode: int, content: bytes = b"", *, inode: int = 1, links: int = 1) -> CpioEntry:
    return CpioEntry(name, mode, len(content), (0, 0, inode), links, content)


def tree_of(*entries: CpioEntry) -> InitrdTree:
    tree = InitrdTree()
    for member in entries:
        tree.add(member)
    return tree


def directories(*names: str) -> list[CpioEntry]:
    return [entry(name, DIRECTORY) for name in names]


MERGED = (
    *directories(".", "usr", "usr/lib", "./usr/bin"),
    entry("lib", LINK, b"usr/lib"),
    entry("bin", LINK, b"/usr/bin"),
)


def test_paths_lead_through_links() -> None:
    tree = tree_of(*MERGED, entry("lib/modules", DIRECTORY), entry("usr/bin/sh", FILE, b"x"))
    assert tree.resolve("lib/modules/5.10/kernel") == "usr/lib/modules/5.10/kernel"
    assert tree.resolve("/bin/sh") == "usr/bin/sh"
    assert tree.resolve("usr/../bin/./sh") == "usr/bin/sh"
    assert tree.resolve("../../etc") == "etc"
    assert tree.resolve("/") == ""
    found = tree.find("bin/sh")
    assert found is not None
    assert found.size == 1
    assert tree.find("bin/bash") is None
    assert tree.find("usr/bin/sh/further") is None


def test_a_link_to_nothing_keeps_the_path() -> None:
    tree = tree_of(entry("lib", LINK, b"usr/lib"))
    assert tree.resolve("lib/x") == "usr/lib/x"
    assert tree.find("lib") is None


def test_what_has_no_directory_is_skipped() -> None:
    tree = tree_of(entry("etc/passwd", FILE), entry("a", FILE), entry("a/b", FILE), entry("untyped", 0o644))
    assert [tree.find(path) for path in ("etc", "etc/passwd", "a/b", "untyped")] == [None] * 4
    assert tree.find("a") is not None


@pytest.mark.parametrize("name", ["", ".", "..", "/", "usr/..", "usr/."])
def test_the_root_itself_is_no_member(name: str) -> None:
    tree = tree_of(*directories("usr"), entry(name, FILE, b"x"))
    assert tree.find("usr") is not None
    assert [path for path, _ in tree.files_under("")] == []


def test_a_directory_over_a_link_replaces_it() -> None:
    tree = tree_of(*MERGED, entry("usr/lib/x", FILE), *directories("lib"))
    assert tree.find("lib/x") is None
    assert tree.resolve("lib/x") == "lib/x"


def test_a_directory_over_a_directory_keeps_what_is_in_it() -> None:
    tree = tree_of(*MERGED, entry("usr/lib/x", FILE), *directories("usr", "usr/lib"))
    assert tree.find("lib/x") is not None


def test_a_file_replaces_an_empty_directory_only() -> None:
    tree = tree_of(*directories("a", "b"), entry("a/x", FILE), entry("a", FILE), entry("b", FILE))
    assert tree.find("a/x") is not None
    b = tree.find("b")
    assert b is not None
    assert b.is_file


def test_later_files_win() -> None:
    tree = tree_of(entry("a", FILE, b"old"), entry("a", FILE, b"newer"))
    assert [(path, node.content) for path, node in tree.files_under("")] == [("/a", b"newer")]


def test_hard_links_have_the_content_of_the_one_that_has_it() -> None:
    tree = tree_of(
        entry("a", FILE, b"", inode=7, links=3),
        entry("b", FILE, b"x", inode=7, links=3),
        entry("c", FILE, inode=7, links=3),
    )
    assert [node.content for _, node in tree.files_under("")] == [b"x"] * 3
    tree.end_archive()
    tree.add(entry("d", FILE, b"", inode=7, links=2))
    other = tree.find("d")
    assert other is not None
    assert other.content == b""


def test_files_under_follows_links_to_files_only() -> None:
    tree = tree_of(
        *directories("m", "m/k", "n"),
        entry("m/k/a", FILE),
        entry("n/b", FILE),
        entry("m/b", LINK, b"../n/b"),
        entry("m/n", LINK, b"../n"),
        entry("m/loop", LINK, b"loop"),
        entry("m/gone", LINK, b"nowhere"),
    )
    assert sorted(path for path, _ in tree.files_under("m")) == ["m/b", "m/k/a"]
    assert list(tree.files_under("nowhere")) == []


@pytest.mark.parametrize(
    "loop", [[("a", "a")], [("a", "b"), ("b", "a")], [("a", "b/x"), ("b", "a/y")], [("a", "/./a/../a")]]
)
def test_circles_end(loop: list[tuple[str, str]]) -> None:
    tree = tree_of(*(entry(name, LINK, target.encode()) for name, target in loop))
    assert tree.find("a/file") is None
    with pytest.raises(DataCorrupt, match="in circles"):
        tree.resolve("a/file")
    tree.add(entry("a/file", FILE))
    assert list(tree.files_under("")) == []


def test_as_many_links_as_the_kernel_follows() -> None:
    tree = tree_of(entry("0", FILE), *(entry(f"{n}", LINK, f"{n - 1}".encode()) for n in range(1, LINK_LIMIT + 2)))
    assert tree.resolve(f"{LINK_LIMIT}") == "0"
    assert tree.find(f"{LINK_LIMIT + 1}") is None


def test_links_chained_on_purpose_end() -> None:
    tree = InitrdTree(steps=1000)
    tree.add(entry("a", LINK, b"./" * 300 + b"b"))
    tree.add(entry("b", LINK, b"./" * 300))
    with pytest.raises(DataCorrupt, match="deeper than any real one's"):
        tree.add(entry("a/a/x", FILE))


names = st.lists(st.sampled_from(["a", "b", "c", ".", "..", ""]), min_size=1, max_size=5).map("/".join)


@given(st.lists(st.tuples(names, st.sampled_from([FILE, DIRECTORY, LINK]), names), max_size=12), names)
def test_any_members_leave_a_tree_whose_resolved_paths_are_plain(
    members: list[tuple[str, int, str]], asked: str
) -> None:
    tree = tree_of(*(entry(name, mode, target.encode() if mode == LINK else b"") for name, mode, target in members))
    try:
        resolved = tree.resolve(asked)
    except DataCorrupt:
        assert tree.find(asked) is None
        return
    assert {"", ".", ".."}.isdisjoint(resolved.split("/") if resolved else [])
    assert tree.resolve(resolved) == resolved
    assert tree.find(resolved) is tree.find(asked)
