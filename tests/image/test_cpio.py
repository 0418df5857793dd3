"""write_cpio and CpioReader against GNU cpio in both directions, and against damage."""

from __future__ import annotations

import shutil
import stat
import subprocess
import tempfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failback.errors import DataCorrupt
from failback.image.cpio import (
    KEPT_LIMIT,
    MEMBER_LIMIT,
    NAME_LIMIT,
    CpioBudget,
    CpioEntry,
    CpioMember,
    CpioReader,
    write_cpio,
)

needs_cpio = pytest.mark.skipif(shutil.which("cpio") is None, reason="GNU cpio isn't installed")

FILE, DIRECTORY, LINK = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777
SAMPLE = (
    CpioMember("usr", DIRECTORY),
    CpioMember("usr/sh", stat.S_IFREG | 0o755, b"#!/bin/sh\n"),
    CpioMember("usr/empty", FILE),
    CpioMember("bin", LINK, b"usr"),
)

file_names = st.text(st.characters(codec="utf-8", exclude_characters="\0/\n"), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..")
)
contents = st.dictionaries(file_names, st.binary(max_size=70), max_size=6)
chunk_lengths = st.integers(1, 300)


def read_all(archive: bytes, *, chunk: int = 1 << 16, budget: CpioBudget | None = None) -> list[CpioEntry]:
    reader = CpioReader(lambda _: True, what="archive", budget=budget)
    found = [entry for at in range(0, len(archive), chunk) for entry in reader.feed(archive[at : at + chunk])]
    reader.finish()
    return found


def gnu_cpio(*arguments: str, given: bytes, directory: Path) -> bytes:
    done = subprocess.run(["cpio", "--quiet", *arguments], input=given, cwd=directory, capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout


@needs_cpio
@settings(deadline=None, max_examples=25)
@given(contents)
def test_gnu_cpio_extracts_what_was_written(files: dict[str, bytes]) -> None:
    members = [CpioMember("d", DIRECTORY), CpioMember("l", LINK, b"d/x")]
    archive = write_cpio([*members, *(CpioMember(f"d/{name}", FILE, data) for name, data in files.items())])
    assert len(archive) % 512 == 0
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        listed = gnu_cpio("-t", given=archive, directory=directory)
        assert sorted(listed.decode().split("\n")) == sorted(["", "d", "l", *(f"d/{n}" for n in files)])
        gnu_cpio("-i", "--no-preserve-owner", given=archive, directory=directory)
        assert {path.name: path.read_bytes() for path in (directory / "d").iterdir()} == files
        assert (directory / "l").readlink() == Path("d/x")


@needs_cpio
@settings(deadline=None, max_examples=25)
@given(contents, chunk_lengths, st.sampled_from(["newc", "crc"]))
def test_reads_what_gnu_cpio_wrote(files: dict[str, bytes], chunk: int, variant: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for number, (file, data) in enumerate(files.items()):
            (directory / file).write_bytes(data)
            (directory / f"{number}.link\n").symlink_to(file)
        names = sorted(path.name for path in directory.iterdir())
        archive = gnu_cpio("-o", "-0", "-H", variant, given="\0".join(names).encode(), directory=directory)
    entries = {entry.name: entry for entry in read_all(archive, chunk=chunk)}
    assert sorted(entries) == names
    assert {file: entries[file].content for file in files} == files
    assert all(stat.S_ISREG(entries[file].mode) and entries[file].size == len(files[file]) for file in files)
    targets = {entry.content for entry in entries.values() if stat.S_ISLNK(entry.mode)}
    assert targets == {file.encode() for file in files}


@needs_cpio
def test_hard_links_share_their_inode(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    first, second = read_all(gnu_cpio("-o", "-H", "newc", given=b"a\nb\n", directory=tmp_path))
    assert first.inode == second.inode
    assert first.links == second.links == 2
    assert {first.content, second.content} == {b"", b"content"}


@given(contents, chunk_lengths)
def test_reads_back_what_it_wrote_in_any_pieces(files: dict[str, bytes], chunk: int) -> None:
    archive = write_cpio([CpioMember(name, FILE, data) for name, data in files.items()])
    assert [(e.name, e.mode, e.content) for e in read_all(archive, chunk=chunk)] == [
        (name, FILE, data) for name, data in files.items()
    ]


def test_the_same_members_give_the_same_bytes() -> None:
    assert write_cpio(SAMPLE) == write_cpio(list(SAMPLE))
    assert len({entry.inode for entry in read_all(write_cpio(SAMPLE))}) == len(SAMPLE)


def test_names_that_are_no_text_survive() -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    archive = write_cpio([CpioMember(name, FILE)])
    assert b"caf\xe9\0" in archive
    assert read_all(archive)[0].name == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/etc", "./etc", "../etc", "a/../b", "a//b", "a/", "a/.", "a\0b", "TRAILER!!!", "x" * NAME_LIMIT],
)
def test_refuses_unsafe_names(name: str) -> None:
    with pytest.raises(ValueError, match="no safe name"):
        write_cpio([CpioMember(name, FILE)])


@pytest.mark.parametrize(
    "member",
    [
        CpioMember("d", DIRECTORY, b"content"),
        CpioMember("l", LINK),
        CpioMember("l", LINK, b"a\0b"),
        CpioMember("l", LINK, b"x" * NAME_LIMIT),
        CpioMember("device", stat.S_IFCHR | 0o600),
        CpioMember("no-type", 0o644, b"x"),
        CpioMember("huge-mode", stat.S_IFREG | 1 << 20),
    ],
)
def test_refuses_what_is_no_file_directory_or_link(member: CpioMember) -> None:
    with pytest.raises(ValueError, match="make no file"):
        write_cpio([member])


def test_refuses_a_name_twice() -> None:
    with pytest.raises(ValueError, match="'a' is there twice"):
        write_cpio([CpioMember("a", FILE), CpioMember("a", DIRECTORY)])


def test_refuses_a_directory_after_what_lies_in_it() -> None:
    with pytest.raises(ValueError, match="comes before its directory 'a'"):
        write_cpio([CpioMember("a/b/c", FILE), CpioMember("a", DIRECTORY)])


def test_stops_at_the_trailer_and_says_where() -> None:
    archive = write_cpio(SAMPLE)
    archive = archive[: archive.index(b"TRAILER!!!") + 11]
    archive += bytes(-len(archive) % 4)
    reader = CpioReader(lambda _: False, what="archive")
    found = reader.feed(archive + b"what follows")
    assert [entry.name for entry in found] == [member.name for member in SAMPLE]
    assert reader.ended
    assert reader.used == len(archive)
    assert reader.feed(b"more") == []
    assert reader.used == len(archive)


def test_keeps_only_what_is_wanted() -> None:
    reader = CpioReader(lambda entry: PurePosixPath(entry.name).name == "sh", what="archive")
    contents_by_name = {entry.name: entry.content for entry in reader.feed(write_cpio(SAMPLE))}
    assert contents_by_name == {"usr": None, "usr/sh": b"#!/bin/sh\n", "usr/empty": None, "bin": None}


def test_a_name_may_be_padded_with_further_nuls() -> None:
    archive = bytearray(write_cpio([CpioMember("abc", FILE, b"data")]))
    archive[110:114] = b"abc\0" + bytes(4)
    archive[94:102] = b"00000008"
    assert [(entry.name, entry.content) for entry in read_all(bytes(archive))] == [("abc", b"data")]


def test_a_cut_archive_is_corrupt_wherever_it_is_cut() -> None:
    archive = write_cpio(SAMPLE)
    end = archive.index(b"TRAILER!!!\0") + 11
    for length in range(end):
        with pytest.raises(DataCorrupt, match="cut off"):
            read_all(archive[:length])


@given(st.data())
def test_flipped_bits_are_corrupt_or_harmless(data: st.DataObject) -> None:
    archive = bytearray(write_cpio(SAMPLE))
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        entries = read_all(bytes(archive), chunk=data.draw(chunk_lengths))
    except DataCorrupt:
        return
    assert len(entries) <= len(SAMPLE)


@given(st.binary(max_size=400))
def test_any_bytes_are_corrupt_or_harmless(data: bytes) -> None:
    with pytest.raises(DataCorrupt):
        read_all(data)


def with_field(number: int, value: int) -> bytes:
    """An archive of one file "abc" with the header's field `number` set."""
    archive = bytearray(write_cpio([CpioMember("abc", LINK, b"data")]))
    archive[6 + number * 8 : 14 + number * 8] = b"%08X" % value
    return bytes(archive)


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (with_field(11, 0), "a name of 0 bytes"),
        (with_field(11, NAME_LIMIT + 1), "a name of 4097 bytes"),
        (with_field(11, 3), "a name without its end"),
        (with_field(6, NAME_LIMIT), "a target of 4096 bytes"),
        (write_cpio(SAMPLE).replace(b"070701", b"070707"), "where a member's header should begin"),
        (write_cpio(SAMPLE).replace(b"070701", b"070701+"), "isn't hexadecimal"),
        (write_cpio(SAMPLE).replace(b"0707010000000", b"070701 000000"), "isn't hexadecimal"),
        (write_cpio(SAMPLE).replace(b"070701000", b"070701\xff00"), "isn't hexadecimal"),
    ],
)
def test_names_what_is_wrong(archive: bytes, message: str) -> None:
    with pytest.raises(DataCorrupt, match=message):
        read_all(archive)


def test_the_number_of_members_is_bounded() -> None:
    assert len(SAMPLE) < MEMBER_LIMIT
    with pytest.raises(DataCorrupt, match="more members"):
        read_all(write_cpio(SAMPLE), budget=CpioBudget(members=len(SAMPLE)))


def test_contents_beyond_the_limit_are_refused_before_they_are_read() -> None:
    archive = bytearray(write_cpio([CpioMember("a", FILE)]))
    archive[54:62] = b"%08X" % KEPT_LIMIT
    with pytest.raises(DataCorrupt, match="more members, names or lists"):
        read_all(bytes(archive[:112]))
