"""Reading ahead: the same bytes, few calls, bounded memory, many threads, and errors where they belong."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from failback.errors import CloudUnreachable, IsoTruncated
from failback.read_ahead import ReadAhead

DATA = random.Random(7).randbytes(1_000_003)
WINDOW = 64 * 1024
LAST = len(DATA) // WINDOW


class Store:
    """A ranged reader that notes its calls, and can be held up or fail."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.open = threading.Event()
        self.open.set()
        self.failing: set[int] = set()
        self.most = self._now = 0
        self._lock = threading.Lock()

    def read(self, offset: int, length: int) -> bytes:
        with self._lock:
            self.calls.append(offset // WINDOW)
            self._now += 1
            self.most = max(self.most, self._now)
        assert self.open.wait(10)
        with self._lock:
            self._now -= 1
        if offset // WINDOW in self.failing:
            raise CloudUnreachable(str(offset))
        return DATA[offset : offset + length]


def test_a_pass_through_reads_every_window_once() -> None:
    store, found = Store(), bytearray()
    with ReadAhead(store.read, len(DATA), window=WINDOW) as source:
        assert source.size == len(DATA)
        for offset in range(0, len(DATA), 10_000):
            found += source.read(offset, min(10_000, len(DATA) - offset))
    assert bytes(found) == DATA
    assert sorted(store.calls) == list(range(LAST + 1))


def test_windows_are_read_ahead_by_several_at_once() -> None:
    store = Store()
    with ReadAhead(store.read, len(DATA), window=WINDOW, ahead=3) as source:
        source.read(0, 1)
        store.open.clear()
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(source.read, WINDOW, 1)
            while store.most < 4:
                pass
            store.open.set()
            assert reading.result() == DATA[WINDOW : WINDOW + 1]
    assert store.most == 4


def test_jumping_about_reads_nothing_ahead_and_forgets_the_oldest() -> None:
    store = Store()
    with ReadAhead(store.read, len(DATA), window=WINDOW, ahead=1, kept=2) as source:
        for index in (9, 3, 12, 6, 9):
            assert source.read(index * WINDOW + 5, 7) == DATA[index * WINDOW + 5 : index * WINDOW + 12]
    assert store.calls == [9, 3, 12, 6, 9]


def test_ranges_over_windows_and_empty_ones_are_read_whole() -> None:
    with ReadAhead(Store().read, len(DATA), window=WINDOW) as source:
        assert source.read(10, 5 * WINDOW) == DATA[10 : 10 + 5 * WINDOW]
        assert source.read(len(DATA), 0) == b""
        with pytest.raises(IsoTruncated):
            source.read(len(DATA) - 1, 2)


def test_an_error_meets_who_needs_the_window_and_the_next_try_succeeds() -> None:
    store = Store()
    store.failing = {2}
    with ReadAhead(store.read, len(DATA), window=WINDOW, ahead=2) as source:
        assert source.read(0, 10) == DATA[:10]
        assert source.read(WINDOW, 10) == DATA[WINDOW : WINDOW + 10]
        with pytest.raises(CloudUnreachable):
            source.read(2 * WINDOW, 1)
        store.failing = set()
        assert source.read(2 * WINDOW, 1) == DATA[2 * WINDOW : 2 * WINDOW + 1]


def test_many_threads_read_the_right_bytes() -> None:
    places = [random.Random(seed).randrange(len(DATA) - 5000) for seed in range(300)]
    with ReadAhead(Store().read, len(DATA), window=WINDOW, kept=3) as source, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda offset: source.read(offset, 5000), places))
    assert found == [DATA[offset : offset + 5000] for offset in places]
