"""read_initrd against initrds packed by GNU cpio and the compressors' own programs, and against damage."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import lzma
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failback.errors import DataCorrupt, UnknownCompression
from failback.image.cpio import CpioMember, write_cpio
from failback.image.initrd import Initrd, module_name, read_initrd
from failback.image.initrd_segments import SEGMENT_LIMIT, UNPACKED_LIMIT, Unpacking, unpack
from failback.image.source import BytesSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE, PROGRAM, DIRECTORY, LINK = (
    stat.S_IFREG | 0o644,
    stat.S_IFREG | 0o755,
    stat.S_IFDIR | 0o755,
    stat.S_IFLNK | 0o777,
)
OLD, NEW = "4.14.336-253.554.amzn2.x86_64", "5.10.209-198.812.amzn2.x86_64"
COMPRESSORS = {
    "gzip": ("gzip", "-9n"),
    "xz": ("xz", "--check=crc32"),
    "lzma": ("lzma",),
    "bzip2": ("bzip2",),
    "zstd": ("zstd", "-q", "-T0"),
}
MAIN_FILES = {
    f"usr/lib/modules/{OLD}/kernel/fs/squashfs/squashfs.ko.xz": b"module" * 999,
    f"usr/lib/modules/{OLD}/kernel/drivers/md/dm-mod.ko": b"module" * 9999,
    f"usr/lib/modules/{OLD}/modules.builtin": b"kernel/fs/ext4/ext4.ko\nkernel/drivers/nvme/host/nvme-core.ko\n",
    f"usr/lib/modules/{NEW}/kernel/fs/isofs/isofs.ko.zst": b"module",
    f"usr/lib/modules/{NEW}/kernel/extra/ena.ko.gz": b"module",
    "usr/sbin/dmsquash-live-root": b"#!/bin/sh\n",
    "usr/bin/bash": b"\x7fELF" * 50_000,
    "usr/bin/no-program": b"x",
    "usr/lib/dracut/hooks/pre-pivot/10-x.sh": b"x",
}
MAIN_LINKS = {
    "lib": "usr/lib",
    "sbin": "usr/sbin",
    "bin": "usr/bin",
    "usr/bin/sh": "bash",
    "usr/bin/cp": "/bin/busybox",
}
EARLY_FILES = {"kernel/x86/microcode/GenuineIntel.bin": b"\x01" * 4097, "early_cpio": b"1"}


def members(files: dict[str, bytes], links: dict[str, str] | None = None) -> list[CpioMember]:
    """The files and links with the directories that the kernel wants to see before them."""
    named = {**files, **(links or {})}
    parents = {"/".join(name.split("/")[:depth]) for name in named for depth in range(1, name.count("/") + 1)}
    found = [CpioMember(name, DIRECTORY) for name in sorted(parents)]
    modes = {name: FILE if "/modules" in name or name.endswith("no-program") else PROGRAM for name in files}
    found += [CpioMember(name, modes[name], data) for name, data in files.items()]
    return found + [CpioMember(name, LINK, target.encode()) for name, target in (links or {}).items()]


def read(*initrds: bytes) -> Initrd:
    return read_initrd([BytesSource(initrd) for initrd in initrds])


def packed(archive: bytes, codec: str) -> bytes:
    if codec == "cpio":
        return archive
    command = COMPRESSORS[codec]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} isn't installed")
    return subprocess.run([*command, "-c"], input=archive, capture_output=True, check=True).stdout


MAIN = write_cpio(members(MAIN_FILES, MAIN_LINKS))
EARLY = write_cpio(members(EARLY_FILES))


def check_main(initrd: Initrd) -> None:
    assert initrd.kernel_versions == (OLD, NEW)
    assert initrd.modules == {OLD: {"squashfs", "dm_mod"}, NEW: {"isofs", "ena"}}
    assert initrd.builtin == {OLD: {"ext4", "nvme_core"}, NEW: set()}
    assert initrd.dracut_live
    assert initrd.hook_directory == "usr/lib/dracut/hooks"
    assert initrd.missing_commands(["sh", "cp", "bash", "no-program", "ln"]) == ("cp", "no-program", "ln")


@pytest.mark.parametrize("codec", ["cpio", *COMPRESSORS])
def test_reads_what_the_compressors_packed(codec: str) -> None:
    body = packed(MAIN, codec)
    for early, between, after in itertools.product(
        [b"", EARLY], [b"", bytes(4), bytes(1000)], [b"", bytes(3), bytes(512)]
    ):
        initrd = read(early + between + body + after)
        assert initrd.segments == (("cpio",) if early else ()) + (codec,)
        assert initrd.has("early_cpio") == bool(early)
        check_main(initrd)


@pytest.mark.parametrize("codec", COMPRESSORS)
def test_reads_several_archives_within_one_compressed_segment(codec: str) -> None:
    more = write_cpio(members({"etc/conf": b"x"}))
    initrd = read(packed(EARLY + bytes(64) + MAIN + more, codec))
    assert initrd.segments == (codec,)
    assert initrd.has("early_cpio")
    assert initrd.has("etc/conf")
    check_main(initrd)


@pytest.mark.parametrize("codec", COMPRESSORS)
def test_a_compressed_segment_may_be_followed_by_another(codec: str) -> None:
    padding = bytes(-len(packed(MAIN, codec)) % 4)
    more = write_cpio(members({"etc/conf": b"x"}))
    initrd = read(EARLY + packed(MAIN, codec) + padding + more + packed(more, codec) + gzip.compress(more))
    assert initrd.segments == ("cpio", codec, "cpio", codec, "gzip")
    assert initrd.has("etc/conf")
    check_main(initrd)


def test_several_files_are_one_initrd() -> None:
    agent = write_cpio([CpioMember("usr/lib/dracut/hooks/pre-pivot/50-agent.sh", PROGRAM, b"x")])
    initrd = read(EARLY, gzip.compress(MAIN), agent)
    assert initrd.segments == ("cpio", "gzip", "cpio")
    assert initrd.has("lib/dracut/hooks/pre-pivot/50-agent.sh")
    check_main(initrd)
    assert not read(agent).has("usr/lib/dracut/hooks/pre-pivot/50-agent.sh")


def test_nothing_holds_nothing() -> None:
    for initrd in (read(), read(b""), read(bytes(700))):
        assert initrd.segments == initrd.kernel_versions == ()
        assert initrd.hook_directory is None
        assert not initrd.dracut_live
        assert not initrd.has_module("squashfs", OLD)


@pytest.mark.skipif(shutil.which("cpio") is None, reason="GNU cpio isn't installed")
def test_reads_what_gnu_cpio_packed(tmp_path: Path) -> None:
    for member in members(MAIN_FILES, MAIN_LINKS):
        path = tmp_path / member.name
        if member.mode == DIRECTORY:
            path.mkdir()
        elif member.mode == LINK:
            path.symlink_to(member.data.decode())
        else:
            path.write_bytes(member.data)
            path.chmod(member.mode)
    # dracut hard-links equal files; GNU cpio gives the content to the last name only.
    second = tmp_path / "usr/lib/modules" / NEW / "modules.builtin"
    second.hardlink_to(tmp_path / "usr/lib/modules" / OLD / "modules.builtin")
    names = sorted(f"./{path.relative_to(tmp_path)}" for path in tmp_path.rglob("*"))
    listed = "\0".join([".", *names]).encode()
    command = ["cpio", "--quiet", "-o", "-0", "-H", "newc"]
    archive = subprocess.run(command, input=listed, cwd=tmp_path, capture_output=True, check=True).stdout
    initrd = read(gzip.compress(archive))
    assert initrd.builtin[OLD] == initrd.builtin[NEW] == {"ext4", "nvme_core"}
    assert initrd.modules == {OLD: {"squashfs", "dm_mod"}, NEW: {"isofs", "ena"}}
    assert initrd.hook_directory == "usr/lib/dracut/hooks"
    assert initrd.missing_commands(["sh", "cp", "no-program"]) == ("cp", "no-program")


def test_has_module_knows_files_the_kernel_itself_and_other_names() -> None:
    initrd = read(MAIN)
    assert initrd.has_module("dm-mod", OLD)
    assert initrd.has_module("dm_mod", OLD)
    assert initrd.has_module("nvme-core", OLD)
    assert initrd.has_module("iso9660", NEW)
    assert not initrd.has_module("iso9660", OLD)
    assert not initrd.has_module("ext4", NEW)
    assert not initrd.has_module("ext4", "6.1.0")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("kernel/drivers/md/dm-mod.ko.xz", "dm_mod"),
        ("dm-mod", "dm_mod"),
        ("/lib/modules/5.10/extra/x.ko", "x"),
        ("x.ko.gz", "x"),
        ("x.ko.zst", "x"),
        ("x.ko.sig", "x.ko.sig"),
        (".ko", ".ko"),
    ],
)
def test_module_names(path: str, name: str) -> None:
    assert module_name(path) == name


@pytest.mark.parametrize(
    ("hooks", "links", "found"),
    [
        (["lib/dracut/hooks/pre-pivot/x"], {}, "lib/dracut/hooks"),
        (["usr/lib/dracut/hooks/pre-pivot/x"], {}, "usr/lib/dracut/hooks"),
        (["usr/lib/dracut/hooks/pre-pivot/x"], {"lib": "usr/lib"}, "usr/lib/dracut/hooks"),
        (["var/lib/dracut/hooks/x"], {"lib/dracut/hooks": "../../var/lib/dracut/hooks"}, "var/lib/dracut/hooks"),
        (["var/lib/dracut/hooks/x", "lib/dracut/hooks/y"], {}, "var/lib/dracut/hooks"),
        (["lib/dracut/hooks"], {}, None),
        (["x"], {"lib": "lib", "var": "lib"}, None),
    ],
)
def test_finds_the_directory_of_hooks(hooks: list[str], links: dict[str, str], found: str | None) -> None:
    assert read(write_cpio(members(dict.fromkeys(hooks, b""), links))).hook_directory == found


def test_links_in_circles_are_no_way_in() -> None:
    initrd = read(write_cpio(members({}, {"bin": "sbin", "sbin": "bin", "lib": "./lib"})))
    assert not initrd.has("bin/sh")
    assert initrd.kernel_versions == ()
    assert initrd.missing_commands(["sh"]) == ("sh",)
    with pytest.raises(DataCorrupt, match="circles"):
        initrd.resolve("lib/modules")


def cut_points(length: int) -> list[int]:
    return sorted({1, 2, 5, 12, 13, 17, length // 3, length // 2, length - 9, length - 8, length - 4, length - 1})


@pytest.mark.parametrize("codec", ["cpio", *COMPRESSORS])
@pytest.mark.parametrize("early", [b"", EARLY], ids=["alone", "after-early"])
def test_a_cut_initrd_is_corrupt_wherever_it_is_cut(codec: str, early: bytes) -> None:
    body = packed(MAIN, codec)
    whole = len(body) if codec != "cpio" else body.rindex(b"TRAILER!!!\0") + 11
    for length in cut_points(whole):
        with pytest.raises(DataCorrupt):
            read(early + body[:length])


def test_a_compressed_archive_that_is_cut_inside_is_corrupt() -> None:
    with pytest.raises(DataCorrupt, match="before its trailer"):
        read(gzip.compress(MAIN[: len(MAIN) // 2]))


@pytest.mark.parametrize("codec", ["cpio", *COMPRESSORS])
def test_flipped_bits_are_refused_or_harmless(codec: str) -> None:
    body = packed(EARLY + MAIN, codec)

    @settings(deadline=None, max_examples=25)
    @given(st.integers(0, len(body) - 1), st.integers(0, 7))
    def flip(position: int, bit: int) -> None:
        damaged = bytearray(EARLY + body)
        damaged[len(EARLY) + position] ^= 1 << bit
        with contextlib.suppress(DataCorrupt, UnknownCompression):
            assert read(bytes(damaged)).segments[0] == "cpio"

    flip()


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\x1f\x8b\x08\0", b"\xfd7zXZ\0", b"BZh9", b"\x28\xb5\x2f\xfd", b"0707"]),
)
def test_any_bytes_are_refused_or_hold_nothing(data: bytes, head: bytes) -> None:
    try:
        initrd = read(EARLY + head + data)
    except (DataCorrupt, UnknownCompression):
        return
    assert initrd.kernel_versions == ()


@pytest.mark.parametrize("command", [("lz4", "-q"), ("lz4", "-q", "-l")], ids=" ".join)
def test_lz4_is_named(command: tuple[str, ...]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip("lz4 isn't installed")
    body = subprocess.run([*command, "-c"], input=MAIN, capture_output=True, check=True).stdout
    with pytest.raises(UnknownCompression, match="lz4"):
        read(EARLY + body)


def test_lzo_is_named() -> None:
    with pytest.raises(UnknownCompression, match="lzo"):
        read(EARLY, b"\x89LZO\0\r\n\x1a\n" + bytes(50) + b"x")


@pytest.mark.parametrize("codec", ["cpio", *COMPRESSORS])
def test_what_is_unknown_is_named_with_its_place(codec: str) -> None:
    body = packed(MAIN, codec)
    body += bytes(-len(body) % 4)
    with pytest.raises(UnknownCompression, match=rf"initrd 2 of 2: at byte {len(body)} begins something \(71 77 65"):
        read(b"", body + b"qwertyuiopasdfgh")


def test_an_archive_that_the_kernel_would_not_load_is_refused() -> None:
    body = gzip.compress(MAIN)
    body += bytes(-len(body) % 4 + 2)
    with pytest.raises(DataCorrupt, match=f"at byte {len(body)}, which is no multiple of 4"):
        read(body + EARLY)
    with pytest.raises(DataCorrupt, match="no multiple of 4"):
        read(gzip.compress(EARLY + bytes(2) + MAIN))


def test_junk_within_a_compressed_segment_is_refused() -> None:
    for junk in (b"junk" * 40, lzma.compress(EARLY), b"0" * 200):
        with pytest.raises(DataCorrupt, match="where a member's header should begin"):
            read(gzip.compress(EARLY + junk))


def test_what_unpacks_to_too_much_is_refused() -> None:
    source = BytesSource(gzip.compress(MAIN))
    unpack(source, Unpacking(unpacked=UNPACKED_LIMIT - len(MAIN)), what="initrd")
    with pytest.raises(DataCorrupt, match="unpacks to more than 1024 MiB"):
        unpack(source, Unpacking(unpacked=UNPACKED_LIMIT - len(MAIN) + 1), what="initrd")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_the_number_of_segments_is_bounded(pack: Callable[[bytes], bytes]) -> None:
    segment = pack(EARLY)
    segment += bytes(-len(segment) % 4)
    assert len(read(segment * SEGMENT_LIMIT).segments) == SEGMENT_LIMIT
    with pytest.raises(DataCorrupt, match="more than 64 segments"):
        read(segment * (SEGMENT_LIMIT + 1))
