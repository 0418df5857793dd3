"""Pieces of memory read as one body: as a plain reader over all of them would."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failback.pieces import Pieces

PIECES = st.lists(st.binary(max_size=9), max_size=6)


@given(pieces=PIECES, reads=st.lists(st.integers(0, 12), max_size=12), place=st.integers(0, 60))
def test_it_reads_as_one_buffer_does(pieces: list[bytes], reads: list[int], place: int) -> None:
    whole, ours = io.BytesIO(b"".join(pieces)), Pieces(pieces)
    assert len(ours) == len(whole.getvalue())
    start = min(place, len(ours))
    assert ours.seek(start) == whole.seek(start)
    for size in reads:
        assert ours.read(size) == whole.read(size)
        assert ours.tell() == whole.tell()
    assert ours.read() == whole.read()


@given(pieces=PIECES, back=st.integers(0, 60))
def test_it_seeks_from_its_place_and_from_its_end(pieces: list[bytes], back: int) -> None:
    ours, text = Pieces(pieces), b"".join(pieces)
    back = min(back, len(text))
    assert ours.seek(-back, os.SEEK_END) == len(text) - back
    assert ours.read() == text[len(text) - back :]
    assert ours.seek(-back, os.SEEK_CUR) == len(text) - back


@pytest.mark.parametrize("place", [-1, 4])
def test_there_is_nothing_outside(place: int) -> None:
    with pytest.raises(ValueError, match=f"no place {place} in pieces of 3 bytes"):
        Pieces([b"ab", b"c"]).seek(place)
