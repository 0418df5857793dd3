"""The check of an archive: each kind of damage is found, and a sound one isn't blamed."""

from __future__ import annotations

import gzip
import random
from typing import TYPE_CHECKING

import pytest

from failback.errors import SelfCheckFailed
from failback.image.plan import GIB, MIB, extent, make_plan
from failback.image.source import BytesSource
from failback.sinks.gce_check import check_gce
from tests.sinks.gce_archives import packed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOISE = random.Random(7).randbytes(MIB)
PLAN = make_plan(
    GIB, [extent(0, b"boot" * 128), extent(MIB, NOISE), extent(8 * MIB, bytes(MIB)), extent(9 * MIB, b"text" * 99_999)]
)


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    return packed(PLAN, tmp_path / "disk.tar.gz").read_bytes()


def check(archive: bytes) -> int:
    """The bytes that were compared."""
    told: list[int] = []
    check_gce(BytesSource(archive), PLAN, BytesSource(b""), progress=told.append)
    return sum(told)


def test_a_sound_archive_is_compared_as_a_whole(whole: bytes) -> None:
    assert check(whole) >= PLAN.data_bytes
    # However it's compressed.
    assert check(gzip.compress(gzip.decompress(whole))) >= PLAN.data_bytes


def other_bit(archive: bytes) -> bytes:
    at = archive.index(NOISE[1000:1100])
    return archive[:at] + bytes([archive[at] ^ 1]) + archive[at + 1 :]


def other_content(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda archive: gzip.compress(change(gzip.decompress(archive)), 1)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (other_bit, "holds something else in the 262144 bytes from 1048576"),
        (lambda archive: archive[:-1], "cut off"),
        (lambda archive: archive[: len(archive) // 2], "holds something else"),
        (lambda archive: archive + b"\0", "something follows"),
        (lambda archive: archive[:-8] + b"\1\2\3\4" + archive[-4:], "incorrect data check"),
        (lambda archive: archive[:-4] + b"\1\2\3\4", "incorrect length check"),
        (lambda archive: b"PK" + archive[2:], "incorrect header check"),
        (lambda archive: b"", "head isn't what was planned"),
        (other_content(lambda tar: tar.replace(b"disk.raw", b"disk.vhd")), "head isn't what was planned"),
        (other_content(lambda tar: tar + bytes(512)), "doesn't end as an archive does"),
        (other_content(lambda tar: tar[:-512]), "doesn't end as an archive does"),
        (other_content(lambda tar: tar[:-1] + b"x"), "doesn't end as an archive does"),
    ],
    ids=["bit", "last byte", "half", "more", "crc", "length", "magic", "nothing", "name", "long", "short", "end"],
)
def test_damage_is_found(whole: bytes, damage: Callable[[bytes], bytes], said: str) -> None:
    with pytest.raises(SelfCheckFailed, match=said):
        check(damage(whole))
