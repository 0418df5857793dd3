"""Taking the stand-in's initrd apart and together, against cpio and the compressors themselves."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failback.errors import StandinError
from localcloud.standin.initrd import (
    DIRECTORY_MODE,
    FILE_MODE,
    Member,
    compress_initrd,
    decompress_initrd,
    early_archive,
    module_name,
    new_member,
    read_cpio,
    with_files,
    without_modules,
    write_cpio,
)
from localcloud.standin.variant import InitrdChange, add_arguments, change_initrd

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.standin.initrd import InitrdCompression

MODULES = "usr/lib/modules/6.1.0/kernel/drivers"
MEMBERS = [
    new_member("usr", DIRECTORY_MODE),
    new_member(f"{MODULES}/scsi/virtio_scsi.ko", FILE_MODE, b"driver"),
    new_member(f"{MODULES}/md/dm-snapshot.ko.xz", FILE_MODE, b"snapshot"),
    new_member("usr/bin/sh", FILE_MODE, b"shell"),
]
names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=30)
members = st.lists(
    st.builds(lambda name, data: new_member(name, FILE_MODE, data), names, st.binary(max_size=300)), max_size=8
)


def run(command: list[str], data: bytes, cwd: Path | None = None) -> bytes:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} isn't installed")
    return subprocess.run(command, input=data, capture_output=True, check=True, cwd=cwd).stdout


@given(members)
def test_what_is_written_is_read_back(written: list[Member]) -> None:
    archive = write_cpio(written)
    assert [(member.name, member.data) for member in read_cpio(archive)] == [(m.name, m.data) for m in written]
    assert write_cpio(read_cpio(archive)) == archive


def test_the_cpio_program_unpacks_it(tmp_path: Path) -> None:
    flat = [new_member("folder", DIRECTORY_MODE), new_member("folder/file", FILE_MODE, b"content")]
    run(["cpio", "--quiet", "-i"], write_cpio(flat), tmp_path)
    assert (tmp_path / "folder" / "file").read_bytes() == b"content"
    assert (tmp_path / "folder" / "file").stat().st_mode & 0o777 == 0o755


def test_an_archive_of_the_cpio_program_keeps_its_members(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1234567")
    (tmp_path / "b").symlink_to("a")
    archive = run(["cpio", "--quiet", "-o", "-H", "newc"], b"a\nb\n", tmp_path)
    assert [(member.name, member.data) for member in read_cpio(archive)] == [("a", b"1234567"), ("b", b"a")]
    assert read_cpio(write_cpio(read_cpio(archive))) == read_cpio(archive)


@pytest.mark.parametrize("archive", [b"", b"070701", b"\x1f\x8b" + bytes(200), write_cpio(MEMBERS)[:300]])
def test_what_is_no_archive_is_refused(archive: bytes) -> None:
    with pytest.raises(StandinError, match="cpio header"):
        read_cpio(archive)


def test_a_damaged_gzip_file_is_refused() -> None:
    with pytest.raises(StandinError, match="gzip"):
        decompress_initrd(gzip.compress(b"x" * 100)[:-9])


def test_modules_are_dropped_by_either_spelling() -> None:
    kept = without_modules(MEMBERS, frozenset({"virtio-scsi", "dm_snapshot"}))
    assert [member.name for member in kept] == ["usr", "usr/bin/sh"]


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(StandinError, match="nvme"):
        without_modules(MEMBERS, frozenset({"virtio_scsi", "nvme"}))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (f"{MODULES}/scsi/sd_mod.ko", "sd_mod"),
        (f"{MODULES}/md/dm-mod.ko.zst", "dm_mod"),
        ("usr/lib/modules/6.1.0/modules.dep", None),
        ("etc/a.kong", None),
    ],
)
def test_names_of_modules(path: str, name: str | None) -> None:
    assert module_name(path) == name


def test_added_files_can_be_executed() -> None:
    *_, added = with_files(MEMBERS, {"probe.sh": b"#!/bin/sh\n"})
    assert (added.name, added.data, added.fields[1]) == ("probe.sh", b"#!/bin/sh\n", FILE_MODE)


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd"])
def test_the_compressors_read_it_and_it_is_the_same_each_time(compression: InitrdCompression) -> None:
    archive = write_cpio(MEMBERS) * 50
    packed = compress_initrd(archive, compression)
    assert compress_initrd(archive, compression) == packed
    assert run([compression, "-dc"], packed) == archive


def test_xz_has_the_only_check_that_the_kernel_knows(tmp_path: Path) -> None:
    path = tmp_path / "initrd.xz"
    path.write_bytes(compress_initrd(b"x" * 1000, "xz"))
    assert b"CRC32" in run(["xz", "--list", "--robot", "-vv", str(path)], b"")


def test_a_changed_initrd_has_an_early_archive_first() -> None:
    initrd = compress_initrd(write_cpio(MEMBERS), "gzip")
    change = InitrdChange(frozenset({"virtio_scsi"}), {"probe": b"x"}, "none", early_cpio=True)
    changed = change_initrd(initrd, change)
    early = early_archive()
    assert changed.startswith(early)
    assert next(member.name for member in read_cpio(early)) == "kernel"
    assert [member.name for member in read_cpio(changed[len(early) :])][-2:] == ["usr/bin/sh", "probe"]


def test_arguments_go_into_every_live_entry() -> None:
    configuration = "append root=live:X rd.live.image quiet\nappend rd.live.image rd.live.check\nlocalboot\n"
    assert add_arguments(configuration, "a=b c") == (
        "append root=live:X rd.live.image a=b c quiet\nappend rd.live.image a=b c rd.live.check\nlocalboot\n"
    )
    assert add_arguments(configuration, "") == configuration
