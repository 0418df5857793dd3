"""An output appears whole or not at all, and never where it would do harm."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from failback.errors import ImageError, OutputRefused
from failback.sinks.output import new_file

if TYPE_CHECKING:
    from pathlib import Path


def test_it_appears_when_the_block_ends_well(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with new_file(target, inputs=(), needed=3) as out:
        os.write(out, b"abc")
        assert not target.exists()
    assert target.read_bytes() == b"abc"
    assert list(tmp_path.iterdir()) == [target]


def test_it_replaces_an_older_one(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"older and longer")
    with new_file(target, inputs=(), needed=3) as out:
        os.write(out, b"abc")
    assert target.read_bytes() == b"abc"


@pytest.mark.parametrize("fault", [ImageError("bad"), KeyboardInterrupt()])
def test_nothing_is_left_when_the_block_fails(tmp_path: Path, fault: BaseException) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"older")

    def write_and_fail() -> None:
        with new_file(target, inputs=(), needed=3) as out:
            os.write(out, b"abc")
            raise fault

    with pytest.raises(type(fault)):
        write_and_fail()
    assert target.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(("number", "fault"), [(errno.ENOSPC, "disk is full"), (errno.EIO, "Input/output error")])
def test_a_failing_disk_is_one_clear_error(tmp_path: Path, number: int, fault: str) -> None:
    with (
        pytest.raises(OutputRefused, match=fault),
        new_file(tmp_path / "out", inputs=(), needed=0),
    ):
        raise OSError(number, os.strerror(number))
    assert not list(tmp_path.iterdir())


def test_the_input_is_never_the_output(tmp_path: Path) -> None:
    iso = tmp_path / "iso"
    iso.write_bytes(b"iso")
    (tmp_path / "link").symlink_to(iso)
    with pytest.raises(OutputRefused, match="the input itself"), new_file(tmp_path / "link", inputs=(iso,), needed=0):
        pass
    assert iso.read_bytes() == b"iso"


def test_a_folder_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputRefused, match="no regular file"), new_file(tmp_path, inputs=(), needed=0):
        pass
    with pytest.raises(OutputRefused, match="no folder"), new_file(tmp_path / "a/b", inputs=(), needed=0):
        pass


def test_too_little_room_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(OutputRefused, match="bytes are needed"), new_file(tmp_path / "o", inputs=(), needed=10**18):
        pass
    assert not list(tmp_path.iterdir())
