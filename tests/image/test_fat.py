"""FAT32: what we write, fsck.vfat and mtools accept and read the same; what is damaged, we notice."""

from __future__ import annotations

import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failback.errors import SelfCheckFailed
from failback.image.fat import FatGeometry, fat32
from failback.image.fat_names import directory_records
from failback.image.fat_read import read_fat
from failback.image.plan import MIB, SECTOR, make_plan
from failback.image.source import FileSource

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 34 * MIB
needs_fsck = pytest.mark.skipif(shutil.which("fsck.vfat") is None, reason="fsck.vfat (dosfstools) isn't installed")
needs_mtools = pytest.mark.skipif(shutil.which("mcopy") is None, reason="mcopy (mtools) isn't installed")

# mtools reads long names in the user's locale, so the names that it's shown are ASCII; ours cover more.
NAME = st.from_regex(r"[A-Za-z0-9_\-]{1,12}( [a-z]{1,9})?(\.[A-Za-z0-9]{1,5})?", fullmatch=True)
WIDE_NAME = st.text(st.characters(categories=("Lu", "Ll", "Nd"), max_codepoint=0xFFFF), min_size=1, max_size=60)
SIZES = st.sampled_from([0, 1, 511, 512, 513, 1024, 5000, 70_000])
RESERVED = {"con", "prn", "aux", "nul"}


def trees(names: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, bytes]]:
    """Random files in up to three folders deep, no two names alike but for case."""
    path = st.lists(names, min_size=1, max_size=3).map("/".join)
    return st.dictionaries(path, SIZES, min_size=1, max_size=12).map(_sound)


def _sound(sizes: dict[str, int]) -> dict[str, bytes]:
    kept: dict[str, bytes] = {}
    # Every name once whatever its case and place, and no file where another path wants a folder.
    seen: set[str] = set()
    for path, size in sizes.items():
        words = path.upper().split("/")
        if not seen.intersection(words) and len(set(words)) == len(words) and not RESERVED & {w.lower() for w in words}:
            seen.update(words)
            kept[path] = (path.encode() * (size // len(path.encode()) + 1))[:size]
    return kept


def write(target: Path, files: dict[str, bytes], *, at: int = 0) -> None:
    """The volume as a sparse file."""
    plan = make_plan(at + SIZE, fat32(files, at=at, size=SIZE, label="LABEL", serial=0xCAFE1234))
    with target.open("wb") as out:
        out.truncate(SIZE)
        for part in plan.extents:
            assert isinstance(part.content, bytes)
            out.seek(part.offset - at)
            out.write(part.content)


@given(trees(NAME) | trees(WIDE_NAME))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_volume_reads_back(tmp_path: Path, files: dict[str, bytes]) -> None:
    write(tmp_path / "fat", files)
    with FileSource(tmp_path / "fat") as source:
        assert read_fat(source).files() == files


@needs_fsck
@given(trees(NAME))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_fsck_finds_nothing(tmp_path: Path, files: dict[str, bytes]) -> None:
    write(tmp_path / "fat", files)
    done = subprocess.run(["fsck.vfat", "-n", tmp_path / "fat"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@needs_mtools
@given(trees(NAME))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mtools_reads_the_same_files(tmp_path: Path, files: dict[str, bytes]) -> None:
    write(tmp_path / "fat", files)
    out = tmp_path / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    if files:
        subprocess.run(["mcopy", "-s", "-i", tmp_path / "fat", "::*", out], check=True, capture_output=True)
    copied = {str(each.relative_to(out)): each.read_bytes() for each in out.rglob("*") if each.is_file()}
    assert copied == files


def test_many_names_that_shorten_alike(tmp_path: Path) -> None:
    files = {f"a folder/quite a long name {number}.text": b"x" * number for number in range(120)}
    write(tmp_path / "fat", files)
    with FileSource(tmp_path / "fat") as source:
        assert read_fat(source).files() == files


def test_the_same_files_give_the_same_bytes_in_any_order() -> None:
    one = fat32({"b": b"2", "a/c": b"1"}, at=0, size=SIZE, label="L", serial=1)
    assert fat32({"a/c": b"1", "b": b"2"}, at=0, size=SIZE, label="L", serial=1) == one


@pytest.mark.parametrize("name", ["", "a:b", "dot.", "blank ", "x" * 256, 'quote"', "back\\slash", "bell\x07"])
def test_a_name_that_fat_cannot_keep_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="can't be a name"):
        directory_records([name])


def test_names_that_differ_by_case_only_are_refused() -> None:
    with pytest.raises(ValueError, match="by case only"):
        fat32({"Name": b"", "NAME": b""}, at=0, size=SIZE, label="L", serial=1)


def test_a_name_for_a_file_and_a_folder_is_refused() -> None:
    with pytest.raises(ValueError, match="a file"):
        fat32({"a": b"", "a/b": b""}, at=0, size=SIZE, label="L", serial=1)


def test_too_much_and_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match="don't fit"):
        fat32({"a": bytes(SIZE)}, at=0, size=SIZE, label="L", serial=1)
    with pytest.raises(ValueError, match="too few"):
        FatGeometry(32 * MIB)


@given(st.integers(33 * MIB // SECTOR, 10**6))
def test_the_table_covers_every_cluster(sectors: int) -> None:
    geometry = FatGeometry(sectors * SECTOR)
    assert geometry.fat_sectors * SECTOR // 4 >= geometry.clusters + 2
    assert (geometry.fat_sectors - 1) * SECTOR // 4 < geometry.clusters + 2 + 2


def damaged(path: Path, offset: int, data: bytes) -> FileSource:
    with path.open("r+b") as out:
        out.seek(offset)
        out.write(data)
    return FileSource(path)


def test_damage_is_noticed(tmp_path: Path) -> None:
    geometry = FatGeometry(SIZE)
    first, second = 32 * SECTOR, (32 + geometry.fat_sectors) * SECTOR
    path = tmp_path / "fat"

    def both(entry: int, value: int) -> FileSource:
        write(path, {"folder/file": b"x" * 3000})
        packed = struct.pack("<I", value)
        damaged(path, first + entry * 4, packed).close()
        return damaged(path, second + entry * 4, packed)

    write(path, {"file": b"x"})
    with damaged(path, first + 8, b"\0") as source, pytest.raises(SelfCheckFailed, match="differ"):
        read_fat(source)
    with both(5, 5) as source, pytest.raises(SelfCheckFailed, match="circle"):
        read_fat(source).files()
    with (
        both(5, 0x0FFFFFFF) as source,
        pytest.raises(SelfCheckFailed, match="holds 1024 bytes, its directory says 3000"),
    ):
        read_fat(source).files()
    write(path, {"file": b"x"})
    with damaged(path, 82, b"FAT16") as source, pytest.raises(SelfCheckFailed, match="no FAT32"):
        read_fat(source)


def test_a_folder_that_holds_itself_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "fat"
    write(path, {"FOLDER/FILE": b"x"})
    root = FatGeometry(SIZE).offset(2)
    # The second record of the root is the folder; its first cluster becomes the root's own.
    with damaged(path, root + 32 + 26, struct.pack("<H", 2)) as source, pytest.raises(SelfCheckFailed, match="circles"):
        read_fat(source).files()
