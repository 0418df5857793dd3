"""A large object as a source of bytes: windows of it are read ahead while a reader goes through it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from failback.image.plan import MIB
from failback.image.source import check_range

if TYPE_CHECKING:
    from collections.abc import Callable

# A call to an object store takes some 30 ms before its first byte, and one connection carries about 80 MB/s. Windows
# of 4 MiB take 80 ms then; with four ahead, 5 x 4 MiB arrive every 80 ms, 250 MB/s, more than a function may take in.
WINDOW = 4 * MIB
AHEAD = 4
# Windows kept besides those ahead: of the few places that a file system's reader goes back to. With those it's 48 MiB.
KEPT = 8


class ReadAhead:
    """A ByteSource over `read(offset, length)`; a context manager, since windows are read by threads of its own.

    At most `ahead` + `kept` windows of `window` bytes are in memory. Any number of threads may read.
    """

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        size: int,
        *,
        window: int = WINDOW,
        ahead: int = AHEAD,
        kept: int = KEPT,
    ) -> None:
        self._read, self._size, self._window = read, size, window
        self._ahead, self._kept = ahead, max(1, kept)
        self._windows: OrderedDict[int, _Window] = OrderedDict()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max(1, ahead))
        self._last = -2

    @property
    def size(self) -> int:
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """That range; raises IsoTruncated beyond the end, and whatever the reader below raises."""
        check_range(self._size, offset, length, what="the object")
        index, start = divmod(offset, self._window)
        if start + length <= self._window:
            # By far the most reads: one copy, of what was asked for.
            return self._content(index)[start : start + length] if length else b""
        pieces, end = [], offset + length
        while offset < end:
            index, start = divmod(offset, self._window)
            pieces.append(self._content(index)[start : start + end - offset])
            offset = (index + 1) * self._window
        return b"".join(pieces)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _content(self, index: int) -> bytes:
        with self._lock:
            wanted = self._windows.get(index)
            if wanted is None:
                wanted = self._windows[index] = self._new(index)
            else:
                self._windows.move_to_end(index)
            if index == self._last + 1:
                self._fetch_ahead(index)
            self._last = index
            while len(self._windows) > self._ahead + self._kept:
                self._windows.popitem(last=False)
        # In the reader's own thread where it isn't here yet: it doesn't queue behind what may be needed later.
        return wanted.content()

    def _fetch_ahead(self, index: int) -> None:
        """Have the following windows read, for a reader that goes from one to the next."""
        last = (self._size - 1) // self._window
        for each in range(index + 1, min(index + self._ahead, last) + 1):
            if each not in self._windows:
                following = self._windows[each] = self._new(each)
                self._pool.submit(following.fill)

    def _new(self, index: int) -> _Window:
        offset = index * self._window
        return _Window(self._read, offset, min(self._window, self._size - offset))


class _Window:
    """A piece that's read once, by whoever comes first; after an error the next one tries again."""

    def __init__(self, read: Callable[[int, int], bytes], offset: int, length: int) -> None:
        self._read, self._offset, self._length = read, offset, length
        self._data: bytes | None = None
        self._lock = threading.Lock()

    def content(self) -> bytes:
        """The bytes, read now where they aren't here."""
        data = self._data
        if data is None:
            with self._lock:
                data = self._data
                if data is None:
                    data = self._data = self._read(self._offset, self._length)
        return data

    def fill(self) -> None:
        """Have the bytes here before they're needed; an error waits for who needs them."""
        self.content()
