"""Pieces of memory as one body to be sent, read as they are: putting them together would touch as much memory again."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import WriteableBuffer


class Pieces(io.RawIOBase):
    """A seekable reader over `pieces`, one behind the other; `len` gives their bytes. None of them is copied here."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        super().__init__()
        self.pieces = pieces
        self._size = sum(len(piece) for piece in pieces)
        self._nth = self._within = self._at = 0

    def __len__(self) -> int:
        return self._size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        into = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(into) and self._nth < len(self.pieces):
            piece = self.pieces[self._nth]
            taken = memoryview(piece)[self._within : self._within + len(into) - filled]
            into[filled : filled + len(taken)] = taken
            filled, self._within = filled + len(taken), self._within + len(taken)
            if self._within == len(piece):
                self._nth, self._within = self._nth + 1, 0
        self._at += filled
        return filled

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        target = base + offset
        if not 0 <= target <= self._size:
            message = f"no place {target} in pieces of {self._size} bytes"
            raise ValueError(message)
        self._nth = self._at = 0
        while self._nth < len(self.pieces) and self._at + len(self.pieces[self._nth]) <= target:
            self._at += len(self.pieces[self._nth])
            self._nth += 1
        self._within, self._at = target - self._at, target
        return target

    def tell(self) -> int:
        return self._at
