"""Many transfers at once: how many, again after busy answers, and an end with the first real error."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from failback.errors import CloudBusy, CloudRefused, CloudUnreachable
from failback.transfer import FIRST_WAIT, LONGEST_WAIT, AdaptiveGate, jittered, run_all

if TYPE_CHECKING:
    from collections.abc import Iterator


class Hands:
    """A clock that is moved, and what was slept."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def busy(retry_after: float = 0.0) -> CloudBusy:
    error = CloudBusy("busy")
    error.retry_after = retry_after
    return error


def test_all_work_is_done_once() -> None:
    done: list[int] = []
    run_all(range(500), done.append, gate=AdaptiveGate(4, most=8), attempts=1)
    assert sorted(done) == list(range(500))


def test_never_more_at_once_than_the_gate_lets_through() -> None:
    gate, lock, inside, most = AdaptiveGate(2, most=6), threading.Lock(), 0, 0

    def do(item: int) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            assert inside <= gate.limit
        time.sleep(0.001)
        with lock:
            inside -= 1

    run_all(range(100), do, gate=gate, attempts=1)
    assert 3 <= most <= 6
    assert gate.limit == 6


def test_work_is_taken_from_as_places_get_free() -> None:
    taken = 0
    released = threading.Event()

    def work() -> Iterator[int]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield number

    def do(item: int) -> None:
        if item == 0:
            deadline = time.monotonic() + 5
            while taken < 3 and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(0.02)
            assert taken <= 4
            released.set()
        released.wait(5)

    run_all(work(), do, gate=AdaptiveGate(3, most=3), attempts=1)
    assert taken == 100


def test_busy_answers_are_tried_again_after_what_the_cloud_asks_for() -> None:
    hands, answers = Hands(), [busy(), busy(7.0), CloudUnreachable("away")]
    gate = AdaptiveGate(1, most=1, clock=hands.clock)

    def do(item: int) -> None:
        if answers:
            raise answers.pop(0)

    run_all([1], do, gate=gate, attempts=4, backoff=lambda attempt: attempt / 10, sleep=hands.sleep)
    assert hands.slept == [0.1, 7.0, 0.3]


def test_the_last_attempt_s_error_is_raised() -> None:
    hands, calls = Hands(), 0

    def do(item: int) -> None:
        nonlocal calls
        calls += 1
        raise busy()

    with pytest.raises(CloudBusy):
        run_all([1], do, gate=AdaptiveGate(1, most=1), attempts=3, sleep=hands.sleep)
    assert calls == 3
    assert len(hands.slept) == 2


def test_an_error_for_good_ends_it_soon_and_ends_the_waiting_too() -> None:
    done: list[int] = []

    def do(item: int) -> None:
        if item == 3:
            raise CloudRefused("no")
        if item == 2:
            raise busy()
        done.append(item)

    began = time.monotonic()
    with pytest.raises(CloudRefused, match="no"):
        run_all(range(10_000), do, gate=AdaptiveGate(4, most=4), attempts=5, backoff=lambda attempt: 30.0)
    assert time.monotonic() - began < 10
    assert len(done) < 9_000


def test_an_error_of_the_work_itself_is_raised() -> None:
    def work() -> Iterator[int]:
        yield 1
        message = "no more"
        raise ValueError(message)

    with pytest.raises(ValueError, match="no more"):
        run_all(work(), lambda item: None, gate=AdaptiveGate(2, most=2), attempts=1)


def test_the_gate_is_halved_once_in_a_burst_and_grows_back() -> None:
    hands = Hands()
    gate = AdaptiveGate(8, least=2, most=9, clock=hands.clock)
    for _ in range(5):
        gate.busy()
    assert gate.limit == 4
    for moment in (1.0, 2.0, 3.0):
        hands.now = moment
        gate.busy()
    assert gate.limit == 2
    for _ in range(2 + 3):
        gate.succeeded()
    assert gate.limit == 4
    for _ in range(100):
        gate.succeeded()
    assert gate.limit == 9


def test_a_burst_of_busy_answers_shrinks_the_gate_and_good_ones_let_it_grow() -> None:
    gate, seen = AdaptiveGate(8, most=8, cool_down=0.0), []

    def do(item: int) -> None:
        seen.append(gate.limit)
        if len(seen) in range(20, 24):
            raise busy()

    run_all(range(300), do, gate=gate, attempts=9, sleep=lambda seconds: None)
    assert min(seen) <= 2
    assert gate.limit == 8


def test_a_gate_needs_sound_bounds() -> None:
    with pytest.raises(ValueError, match="1 <= least"):
        AdaptiveGate(9, most=8)


def test_waits_double_up_to_a_bound_and_are_drawn_from_all_of_it() -> None:
    assert [jittered(attempt, lambda: 1.0) for attempt in (1, 2, 3)] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]
    assert jittered(30, lambda: 1.0) == LONGEST_WAIT
    assert jittered(3, lambda: 0.0) == 0
