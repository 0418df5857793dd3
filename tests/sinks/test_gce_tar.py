"""The sparse tar's head: the same bytes as GNU tar's own, and fields that octal digits can't hold."""

from __future__ import annotations

import gzip
import io
import random
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from failback.image.plan import GIB, MIB, extent, make_plan
from failback.image.source import BytesSource
from failback.sinks.gce import plan_runs
from failback.sinks.gce_tar import SparseTar
from failback.sinks.raw import write_raw
from tests.sinks.gce_archives import packed, runs_of

if TYPE_CHECKING:
    from pathlib import Path

NOISE = random.Random(8).randbytes(9000)


def member_of(head: bytes) -> tarfile.TarInfo:
    """What Python's reader understands of a head."""
    with tarfile.open(fileobj=io.BytesIO(head), mode="r:") as read:
        member = read.next()
    assert member is not None
    return member


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 24, 25, 26, 60])
@pytest.mark.parametrize("to_the_end", [False, True], ids=["hole", "data"])
def test_it_is_what_gnu_tar_writes(tmp_path: Path, count: int, to_the_end: bool) -> None:
    parts = [extent(index * 16384 + 4096, NOISE[:8192]) for index in range(count)]
    plan = make_plan(GIB, [*parts, *([extent(GIB - 4096, NOISE[:4096])] if to_the_end else [])])
    with (tmp_path / "disk.raw").open("w+b") as disk:
        write_raw(plan, BytesSource(b""), disk.fileno(), progress=lambda _: None)
    fixed = ("--owner=0", "--group=0", "--numeric-owner", "--mode=0644", "--mtime=@946684800")
    theirs = subprocess.run(
        ["tar", "--format=oldgnu", "-S", *fixed, "-C", tmp_path, "-cf", "-", "disk.raw"],
        capture_output=True,
        check=True,
    ).stdout
    ours = gzip.decompress(packed(plan, tmp_path / "disk.tar.gz").read_bytes())
    if to_the_end:
        # GNU tar notes an empty run at the end even where the last one reaches it; that may take a block of the map.
        assert runs_of(member_of(ours)) == runs_of(member_of(theirs)) == list(plan_runs(plan))
    else:
        assert ours == theirs


def test_sizes_beyond_eight_gib_are_binary() -> None:
    runs = [(0, 9 * GIB), (20 * GIB, 512)]
    tar = SparseTar(21 * GIB, runs)
    assert tar.head[124:136] == b"\x80" + (9 * GIB + 512).to_bytes(11, "big")
    member = member_of(tar.head)
    assert member.size == 21 * GIB
    assert runs_of(member) == runs
    assert tar.size % 10240 == 0
    assert 1024 <= tar.padding < 10240 + 1024


def test_the_last_octal_size_and_the_first_binary_one() -> None:
    last, first = SparseTar(8 * GIB, [(8 * GIB - 512, 512)]), SparseTar(16 * GIB, [(8 * GIB, 512)])
    assert last.head[386:398] == b"77777777000\0"
    assert first.head[386:398] == b"\x80" + (8 * GIB).to_bytes(11, "big")


@pytest.mark.parametrize(
    "runs",
    [
        [(0, 100)],
        [(7, 512)],
        [(0, 0)],
        [(512, 1024), (1024, 512)],
        [(MIB, 512), (0, 512)],
        [(GIB - 512, 1024)],
        [(-512, 512)],
    ],
    ids=str,
)
def test_runs_that_cannot_be(runs: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="sorted whole sectors"):
        SparseTar(GIB, runs)


def test_pieces_from_any_of_their_ends_on() -> None:
    tar = SparseTar(GIB, [(0, 5 * 512), (MIB, 512), (2 * MIB, 4096)])
    whole = list(tar.pieces(1024))
    assert whole == [
        (0, 1024),
        (1024, 1024),
        (2048, 512),
        (MIB, 512),
        *((2 * MIB + at, 1024) for at in range(0, 4096, 1024)),
    ]
    done = 0
    for nth, (_, length) in enumerate(whole):
        assert list(tar.pieces(1024, first=done)) == whole[nth:]
        done += length
    assert list(tar.pieces(1024, first=done)) == []
