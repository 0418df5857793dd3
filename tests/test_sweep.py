"""The watcher's sweep: few calls for many servers, one sweep at a time, and nobody's trouble is anybody else's."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from failback.errors import CloudBusy, CloudRefused
from failback.model.recovery import RecoveryInstance, ReplicatedDisk
from failback.model.request import ServerRequest
from failback.model.server import Parked, ReplicationProgress, ServerOutcome, ServerRecord
from failback.recovery_ports import MOST_IDS
from failback.sweep import LEASE, LEASE_FOR, MOST_FAULTS, Swept, sweep
from failback.waiting import STAGE
from tests.memory.clock import NOON, FixedClock
from tests.memory.recovery import MemoryRecovery
from tests.memory.run_log import MemoryRunLog
from tests.memory.server_book import MemoryServerBook
from tests.memory.task_tokens import MemoryTokens
from tests.memory.waiting_room import MemoryWaitingRoom

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
RUN = "failback-azure-home"
READY = {"failback_state": "FAILBACK_READY_FOR_LAUNCH", "replication_state": "CONTINUOUS"}
STALLED = {"replication_state": "STALLED", "error": "UNSTABLE_NETWORK"}
GOING_ON: dict[str, Any] = {"replication_state": "INITIAL_SYNC", "error": ""}


class _Foreign(Exception):
    """What an SDK raises."""


def guard(call: Callable[[], T], /) -> T:
    try:
        return call()
    except _Foreign as error:
        message = "AWS throttles"
        raise CloudBusy(message) from error


class CountingRecovery(MemoryRecovery):
    """Counts the calls that DRS gets: one for each 200 ids. `meanwhile` happens during each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.busy: set[int] = set()
        self.meanwhile: Callable[[], object] = lambda: None

    def instances(self, ids: Sequence[str]) -> Any:  # noqa: ANN401
        self.calls += -(-len(ids) // MOST_IDS)
        self.meanwhile()
        if self.calls in self.busy:
            raise _Foreign
        return super().instances(ids)


class Station:
    """Everything that a sweep takes, with `count` servers parked that replicate."""

    def __init__(self, count: int, *, on_stuck: str = "fail", hours: float = 24) -> None:
        self.clock, self.room, self.recovery = FixedClock(), MemoryWaitingRoom(), CountingRecovery()
        self.book = MemoryServerBook()
        self.run_log = MemoryRunLog(self.book)
        self.ids = [f"i-{number:017x}" for number in range(count)]
        self.tokens = MemoryTokens(f"token of {one}" for one in self.ids)
        self.book.enlist(RUN, [ServerRequest(recovery_instance=one) for one in self.ids])
        for one in self.ids:
            self.recovery.add(instance(one))
            self.room.park(self.waiting(one, on_stuck=on_stuck, deadline=NOON + timedelta(hours=hours)))

    def waiting(self, server: str, **more: Any) -> Parked:  # noqa: ANN401
        own = {"run": RUN, "server": server, "token": f"token of {server}"}
        return Parked.model_validate({**own, "milestone": "replication", "since": NOON, "stuck_minutes": 60, **more})

    def sweep(self, holder: str = "one") -> Swept:
        return sweep(
            room=self.room,
            recovery=self.recovery,
            tokens=self.tokens,
            book=self.book,
            run_log=self.run_log,
            clock=self.clock,
            holder=holder,
            guard=guard,
        )

    def record(self, server: str) -> ServerRecord:
        found = self.book.find(RUN, server)
        assert found is not None
        return found

    def progress(self, server: str) -> ReplicationProgress:
        found = self.record(server).progress
        assert found is not None
        return found

    def parked(self, server: str) -> Parked:
        return self.room.parked["replication", RUN, server]


def instance(server: str) -> RecoveryInstance:
    return RecoveryInstance(
        id=server,
        arn=f"arn:aws:drs:eu-west-1:111122223333:recovery-instance/{server}",
        source_server="s-0a1b2c3d4e5f60718",
        ec2_state="RUNNING",
        failback_state="FAILBACK_IN_PROGRESS",
        replication_state="INITIAL_SYNC",
        disks=(ReplicatedDisk(device="/dev/xvda", total=1000, replicated=100),),
    )


@pytest.mark.parametrize(("count", "calls"), [(0, 0), (1, 1), (50, 1), (200, 1), (201, 2), (450, 3)])
def test_one_call_for_each_200_servers(count: int, calls: int) -> None:
    station = Station(count)
    assert station.sweep() == Swept(looked_at=count)
    assert station.recovery.calls == calls
    assert sorted(one for batch in station.recovery.described for one in batch) == station.ids
    assert all(station.progress(one).verdict == "waiting" for one in station.ids)
    station.clock.forward(days=0.9)
    assert station.sweep() == Swept(looked_at=count)
    assert station.recovery.calls == 2 * calls, "what a sweep costs doesn't grow with the hours"


def test_what_is_ready_is_answered_and_let_out() -> None:
    station = Station(3)
    first, second, third = station.ids
    station.recovery.change(second, **READY)
    assert station.sweep() == Swept(looked_at=3, answered=1)
    assert list(station.tokens.succeeded) == [f"token of {second}"]
    outcome = station.record(second).outcome
    assert outcome is not None
    assert outcome.outcome == "ready"
    assert station.run_log.server_entries[RUN, second][STAGE].status == "done"
    assert [one.server for one in station.room.everyone()] == [first, third]
    assert station.sweep() == Swept(looked_at=2)
    assert station.recovery.described[-1] == (first, third)


def test_a_failback_that_somebody_launched_is_done() -> None:
    station = Station(1)
    station.recovery.change(station.ids[0], failback_state="FAILBACK_COMPLETED", replication_state="STOPPED")
    assert station.sweep() == Swept(looked_at=1, answered=1)
    assert station.progress(station.ids[0]).verdict == "done"


def test_a_stall_is_counted_from_its_beginning_and_forgotten_when_it_goes_on() -> None:
    station = Station(1)
    (server,) = station.ids
    station.recovery.change(server, **STALLED)
    for _ in range(59):
        assert station.sweep().answered == 0
        assert station.parked(server).stuck_since == NOON
        station.clock.forward(minutes=1)
    station.recovery.change(server, **GOING_ON)
    station.sweep()
    assert station.parked(server).stuck_since is None
    station.clock.forward(minutes=1)
    station.recovery.change(server, **STALLED)
    assert station.sweep().answered == 0
    assert station.progress(server).verdict == "stuck"
    station.clock.forward(minutes=59)
    assert station.sweep().answered == 0
    station.clock.forward(minutes=1)
    assert station.sweep().answered == 1
    error, cause = station.tokens.failed[f"token of {server}"]
    assert error == "ReplicationStuck"
    assert "UNSTABLE_NETWORK" in cause
    assert station.record(server).outcome is None
    assert not list(station.room.everyone())


def test_a_stall_that_is_waited_out_is_told_and_ends_at_the_deadline() -> None:
    station = Station(1, on_stuck="wait", hours=24)
    (server,) = station.ids
    station.recovery.change(server, **STALLED)
    for _ in range(24):
        assert station.sweep().answered == 0
        assert station.progress(server).verdict == "stuck"
        station.clock.forward(hours=1)
    assert station.sweep().answered == 1
    assert station.tokens.failed[f"token of {server}"][0] == "ReplicationTooSlow"


def test_progress_is_written_when_it_shows_or_is_a_minute_old() -> None:
    station = Station(1)
    (server,) = station.ids
    station.sweep()
    station.clock.forward(seconds=20)
    station.recovery.change(server, disks=(ReplicatedDisk(device="/dev/xvda", total=1000, replicated=109),))
    station.sweep()
    assert station.progress(server).at == NOON, "nobody sees less than a per cent"
    station.recovery.change(server, disks=(ReplicatedDisk(device="/dev/xvda", total=1000, replicated=110),))
    station.sweep()
    assert station.progress(server).at == NOON + timedelta(seconds=20)
    station.clock.forward(minutes=1)
    station.sweep()
    assert station.progress(server).at == NOON + timedelta(seconds=80)


def test_two_sweeps_at_once_answer_once() -> None:
    station = Station(2)
    for server in station.ids:
        station.recovery.change(server, **READY)
    others: list[Swept] = []
    station.recovery.meanwhile = lambda: others.append(station.sweep("another"))
    assert station.sweep("one") == Swept(looked_at=2, answered=2)
    assert others == [Swept(busy=True)]
    assert station.recovery.calls == 1
    assert LEASE not in station.run_log.leases, "it's given back"


def test_a_watcher_that_died_keeps_the_next_one_away_for_the_leases_time_only() -> None:
    station = Station(1)
    station.run_log.lease(LEASE, "dead", now=NOON, until=NOON + LEASE_FOR)
    assert station.sweep() == Swept(busy=True)
    station.clock.forward(seconds=LEASE_FOR.total_seconds())
    assert station.sweep() == Swept(looked_at=1)


def test_the_lease_is_renewed_before_each_batch() -> None:
    station = Station(450)
    station.recovery.meanwhile = lambda: station.clock.forward(seconds=60)
    assert station.sweep() == Swept(looked_at=450)


def test_a_lost_lease_ends_the_sweep() -> None:
    station = Station(450)

    def slow() -> None:
        station.clock.forward(seconds=100)
        station.run_log.lease(LEASE, "another", now=station.clock.now(), until=station.clock.now() + LEASE_FOR)

    station.recovery.meanwhile = slow
    assert station.sweep() == Swept(looked_at=200, left=250, busy=True)
    assert station.run_log.leases[LEASE][0] == "another", "somebody else's stays"


def test_a_lease_that_cannot_be_renewed_is_as_good_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    station = Station(201)
    real, given = station.run_log.lease, []

    def lease(*arguments: Any, **named: Any) -> str:  # noqa: ANN401
        given.append(arguments)
        if len(given) > 1:
            raise _Foreign
        return real(*arguments, **named)

    monkeypatch.setattr(station.run_log, "lease", lease)
    assert station.sweep() == Swept(looked_at=200, left=1, busy=True)


@pytest.mark.parametrize("throttled", [1, 2, 3])
def test_a_throttled_batch_loses_nothing_and_stops_no_other(throttled: int) -> None:
    station = Station(450)
    for server in station.ids:
        station.recovery.change(server, **READY)
    station.recovery.busy = {throttled}
    left = 50 if throttled == 3 else 200
    answered = 450 - left
    swept = station.sweep()
    assert swept == Swept(looked_at=answered, answered=answered, left=left, faults=("AWS throttles",))
    assert len(list(station.room.everyone())) == left
    assert station.sweep() == Swept(looked_at=left, answered=left)
    assert len(station.tokens.succeeded) == 450


@pytest.mark.parametrize("port", ["book.progress", "book.settle", "run_log.note", "tokens.succeed", "room.leave"])
@pytest.mark.parametrize("error", [_Foreign(), CloudRefused("no right"), ValueError("can't be read")], ids=repr)
def test_one_servers_trouble_stops_no_other(port: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    station = Station(5)
    for server in station.ids:
        station.recovery.change(server, **READY)
    unlucky = station.ids[2]
    owner, name = port.split(".")
    real = getattr(getattr(station, owner), name)

    def troubled(*given: Any, **named: Any) -> Any:  # noqa: ANN401
        if unlucky in f"{given} {named}":
            raise error
        return real(*given, **named)

    with monkeypatch.context() as trouble:
        trouble.setattr(getattr(station, owner), name, troubled)
        swept = station.sweep()
    assert (swept.looked_at, swept.answered, swept.left) == (4, 4, 1)
    (fault,) = swept.faults
    assert fault.startswith(unlucky)
    assert [one.server for one in station.room.everyone()] == [unlucky]
    assert station.sweep() == Swept(looked_at=1, answered=0 if port == "room.leave" else 1)
    assert len(station.tokens.succeeded) == 5
    assert not list(station.room.everyone())


def test_a_run_whose_servers_cannot_be_read_is_left_for_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    station = Station(3)
    other = station.waiting(station.ids[2], run="another", on_stuck="fail", deadline=NOON + timedelta(hours=1))
    station.room.park(other)
    station.recovery.change(other.server, **READY)
    real = station.book.of

    def unreadable(run: str) -> Sequence[ServerRecord]:
        if run == "another":
            return real(run)
        message = "the book can't be read"
        raise ValueError(message)

    monkeypatch.setattr(station.book, "of", unreadable)
    fault = f"run {RUN}: the book can't be read"
    assert station.sweep() == Swept(looked_at=1, answered=1, left=3, faults=(fault,))


def test_one_that_waits_and_cannot_be_read_keeps_nobody_else() -> None:
    station = Station(2)
    station.room.damaged = [f"who waits as {number} can't be read" for number in range(30)]
    station.recovery.change(station.ids[0], **READY)
    swept = station.sweep()
    assert (swept.looked_at, swept.answered, swept.left) == (2, 1, 30)
    assert swept.faults == tuple(station.room.damaged[:MOST_FAULTS])


def test_one_that_is_given_back_during_the_sweep_stays_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    station = Station(1)
    (server,) = station.ids
    station.recovery.change(server, **READY)
    real = station.book.of

    def read_before(run: str) -> Sequence[ServerRecord]:
        before = real(run)
        station.book.settle(run, server, ServerOutcome(outcome="failed", at=NOON))
        return before

    monkeypatch.setattr(station.book, "of", read_before)
    station.sweep()
    outcome = station.record(server).outcome
    assert outcome is not None
    assert outcome.outcome == "failed"


def test_an_instance_that_DRS_does_not_know_any_more() -> None:
    station = Station(2)
    del station.recovery.known[station.ids[0]]
    assert station.sweep() == Swept(looked_at=2)
    assert station.progress(station.ids[0]).verdict == "stuck"
    assert station.parked(station.ids[0]).stuck_since == NOON
    assert station.progress(station.ids[1]).verdict == "waiting"


def test_one_that_waits_without_a_record_is_answered_too() -> None:
    station = Station(2)
    station.book.records.clear()
    station.recovery.change(station.ids[0], **READY)
    assert station.sweep() == Swept(looked_at=2, answered=1)


def test_nobody_waits_any_more() -> None:
    """The execution was stopped: its server is let out as soon as there's something to answer."""
    station = Station(1)
    station.tokens.waiting.clear()
    station.recovery.change(station.ids[0], **READY)
    assert station.sweep() == Swept(looked_at=1)
    assert not list(station.room.everyone())


def test_faults_are_told_once_and_not_without_end() -> None:
    swept = sum((Swept(left=1, faults=(f"{number // 2}",)) for number in range(100)), Swept())
    assert (swept.left, len(swept.faults), len(set(swept.faults))) == (100, MOST_FAULTS, MOST_FAULTS)


def test_without_the_lease_table_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    station = Station(1)

    def lease(*_given: Any, **_named: Any) -> str:  # noqa: ANN401
        raise _Foreign

    monkeypatch.setattr(station.run_log, "lease", lease)
    with pytest.raises(CloudBusy):
        station.sweep()
    assert station.recovery.calls == 0


def test_a_lease_that_cannot_be_given_back_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    station = Station(1)

    def release(*_given: object) -> None:
        raise _Foreign

    monkeypatch.setattr(station.run_log, "release", release)
    assert station.sweep() == Swept(looked_at=1)


def test_500_servers_take_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """With writes of 10 ms, as DynamoDB's; one after the other they would take five seconds."""
    station = Station(500)
    real, at_once, most, lock = station.book.progress, 0, 0, threading.Lock()

    def slow(*given: Any) -> None:  # noqa: ANN401
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.01)
        real(*given)
        with lock:
            at_once -= 1

    monkeypatch.setattr(station.book, "progress", slow)
    began = time.monotonic()
    assert station.sweep() == Swept(looked_at=500)
    assert time.monotonic() - began < 4
    assert most > 1
    assert station.recovery.calls == 3
