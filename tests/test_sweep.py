"""The watcher's sweep: few calls for many servers, one sweep at a time, and nobody's trouble is anybody else's."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from failback.errors import CloudBusy, CloudRefused
from failback.model.decision import Decision
from failback.model.recovery import RecoveryInstance, ReplicatedDisk
from failback.model.request import ServerRequest
from failback.model.server import Awaited, Parked, ReplicationProgress, ServerOutcome, ServerPlan, ServerRecord
from failback.parking import STAGES
from failback.recovery_ports import MOST_IDS
from failback.sweep import LEASE, LEASE_FOR, sweep
from failback.swept import MOST_FAULTS, Swept
from tests.lambdas.surroundings import Surroundings
from tests.memory.clock import NOON
from tests.memory.launches import MemoryLaunches
from tests.memory.recovery import MemoryRecovery
from tests.memory.task_tokens import MemoryTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
RUN = "failback-azure-home"
READY = {"failback_state": "FAILBACK_READY_FOR_LAUNCH", "replication_state": "CONTINUOUS"}
STALLED = {"replication_state": "STALLED", "error": "UNSTABLE_NETWORK"}
GOING_ON: dict[str, Any] = {"replication_state": "INITIAL_SYNC", "error": ""}


class _Foreign(Exception):
    """What an SDK raises."""


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


class Station(Surroundings):
    """Everything that a sweep takes, with `count` servers parked that replicate."""

    recovery: CountingRecovery

    def __init__(self, count: int, *, milestone: Awaited = "replication", **parked: Any) -> None:  # noqa: ANN401
        super().__init__("station")
        self.recovery = CountingRecovery()
        self.launches = MemoryLaunches(self.recovery, self.clock)
        self.ids = [f"i-{number:017x}" for number in range(count)]
        self.task_tokens = MemoryTokens(f"token of {one}" for one in self.ids)
        self.servers.enlist(RUN, [ServerRequest(recovery_instance=one) for one in self.ids])
        for one in self.ids:
            self.recovery.add(instance(one))
            self.park(one, milestone, **parked)

    def guard(self, call: Callable[[], T], /) -> T:
        try:
            return call()
        except _Foreign as error:
            message = "AWS throttles"
            raise CloudBusy(message) from error

    def park(self, server: str, milestone: Awaited, *, hours: float = 24, **more: Any) -> Parked:  # noqa: ANN401
        own = {"run": RUN, "server": server, "token": f"token of {server}", "milestone": milestone, "since": NOON}
        scopes = (server, "wave:first", "run")
        bounds: dict[str, Any] = {"deadline": NOON + timedelta(hours=hours), "lag_until": NOON + timedelta(hours=1)}
        parked = Parked.model_validate({**own, **bounds, "scopes": scopes, "stage": "quiesce", **more})
        self.waiting_room.park(parked)
        return parked

    def fence(self, *servers: str) -> None:
        """All that a launch asks for: fenced, and ready for it."""
        for one in servers:
            self.servers.reach(RUN, one, "fenced", NOON)
            self.recovery.change(one, **READY)

    def decide(self, subject: str, verdict: str, scope: str, **more: object) -> None:
        own = {"subject": subject, "verdict": verdict, "scope": scope, "actor": "kim", "known_by": "a test"}
        self.decisions.decide(RUN, Decision.model_validate({**own, "at": self.clock.now(), **more}))

    def sweep(self, holder: str = "one") -> Swept:
        return sweep(self, holder=holder)

    def record(self, server: str) -> ServerRecord:
        found = self.servers.find(RUN, server)
        assert found is not None
        return found

    def progress(self, server: str) -> ReplicationProgress:
        found = self.record(server).progress
        assert found is not None
        return found

    def parked(self, server: str, milestone: Awaited = "replication") -> Parked:
        return self.waiting_room.parked[milestone, RUN, server]

    def outcome_of(self, server: str) -> Any:  # noqa: ANN401
        """The facts of the stage that the state machine was told, or the error's name."""
        token = f"token of {server}"
        if token in self.task_tokens.failed:
            return self.task_tokens.failed[token][0]
        return json.loads(self.task_tokens.succeeded[token])["facts"] if token in self.task_tokens.succeeded else None


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
    assert list(station.task_tokens.succeeded) == [f"token of {second}"]
    assert station.record(second).outcome is None, "its way goes on"
    assert station.run_log.server_entries[RUN, second]["await_replication"].status == "done"
    assert [one.server for one in station.waiting_room.everyone()] == [first, third]
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
    error, cause = station.task_tokens.failed[f"token of {server}"]
    assert error == "ReplicationStuck"
    assert "UNSTABLE_NETWORK" in cause
    assert station.record(server).outcome is None
    assert not list(station.waiting_room.everyone())


def test_a_stall_that_is_waited_out_is_told_and_ends_at_the_deadline() -> None:
    station = Station(1, on_stuck="wait", hours=24)
    (server,) = station.ids
    station.recovery.change(server, **STALLED)
    for _ in range(24):
        assert station.sweep().answered == 0
        assert station.progress(server).verdict == "stuck"
        station.clock.forward(hours=1)
    assert station.sweep().answered == 1
    assert station.task_tokens.failed[f"token of {server}"][0] == "ReplicationTooSlow"


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
    assert station.sweep() == Swept(left=450, busy=True), "what it knew when its lease ran out doesn't count any more"
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
    assert len(list(station.waiting_room.everyone())) == left
    assert station.sweep() == Swept(looked_at=left, answered=left)
    assert len(station.task_tokens.succeeded) == 450


@pytest.mark.parametrize("port", ["servers.progress", "run_log.note", "task_tokens.succeed", "waiting_room.leave"])
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
    assert [one.server for one in station.waiting_room.everyone()] == [unlucky]
    assert station.sweep() == Swept(looked_at=1, answered=0 if port == "waiting_room.leave" else 1)
    assert len(station.task_tokens.succeeded) == 5
    assert not list(station.waiting_room.everyone())


def test_a_run_whose_servers_cannot_be_read_is_left_for_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    station = Station(3)
    other = station.park(station.ids[2], "replication", run="another")
    station.recovery.change(other.server, **READY)
    real = station.servers.of

    def unreadable(run: str) -> Sequence[ServerRecord]:
        if run == "another":
            return real(run)
        message = "the book can't be read"
        raise ValueError(message)

    monkeypatch.setattr(station.servers, "of", unreadable)
    fault = f"run {RUN}: the book can't be read"
    assert station.sweep() == Swept(looked_at=1, answered=1, left=3, faults=(fault,))


def test_one_that_waits_and_cannot_be_read_keeps_nobody_else() -> None:
    station = Station(2)
    station.waiting_room.damaged = [f"who waits as {number} can't be read" for number in range(30)]
    station.recovery.change(station.ids[0], **READY)
    swept = station.sweep()
    assert (swept.looked_at, swept.answered, swept.left) == (2, 1, 30)
    assert swept.faults == tuple(station.waiting_room.damaged[:MOST_FAULTS])


def test_one_that_is_given_back_during_the_sweep_stays_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    station = Station(1)
    (server,) = station.ids
    station.recovery.change(server, **READY)
    real = station.servers.of

    def read_before(run: str) -> Sequence[ServerRecord]:
        before = real(run)
        station.servers.settle(run, server, ServerOutcome(outcome="failed", at=NOON))
        return before

    monkeypatch.setattr(station.servers, "of", read_before)
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
    station.servers.records.clear()
    station.recovery.change(station.ids[0], **READY)
    assert station.sweep() == Swept(looked_at=2, answered=1)


def test_nobody_waits_any_more() -> None:
    """The execution was stopped: its server is let out as soon as there's something to answer."""
    station = Station(1)
    station.task_tokens.waiting.clear()
    station.recovery.change(station.ids[0], **READY)
    assert station.sweep() == Swept(looked_at=1)
    assert not list(station.waiting_room.everyone())


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
    real, at_once, most, lock = station.servers.progress, 0, 0, threading.Lock()

    def slow(*given: Any) -> None:  # noqa: ANN401
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.01)
        real(*given)
        with lock:
            at_once -= 1

    monkeypatch.setattr(station.servers, "progress", slow)
    began = time.monotonic()
    assert station.sweep() == Swept(looked_at=500)
    assert time.monotonic() - began < 4
    assert most > 1
    assert station.recovery.calls == 3


MILESTONES: tuple[Awaited, ...] = ("replication", "approval", "launch", "commit", "hold")


def test_one_call_for_200_servers_whatever_they_wait_for() -> None:
    station = Station(0)
    station.ids = [f"i-{number:017x}" for number in range(300)]
    station.servers.enlist(RUN, [ServerRequest(recovery_instance=one) for one in station.ids])
    for number, server in enumerate(station.ids):
        station.recovery.add(instance(server))
        station.servers.reach(RUN, server, "fenced", NOON)
        station.park(server, MILESTONES[number % 5])
    assert station.sweep() == Swept(looked_at=300)
    asked = [server for number, server in enumerate(station.ids) if MILESTONES[number % 5] not in {"commit", "hold"}]
    assert (station.recovery.calls, sorted(station.recovery.described[0])) == (1, asked)
    assert station.decisions.read == 1, "once for each run and sweep"


@pytest.mark.parametrize("milestone", ["commit", "hold"])
def test_DRS_is_not_asked_about_who_waits_for_a_person(milestone: Awaited) -> None:
    station = Station(3, milestone=milestone)
    station.recovery.refuse["instances"] = _Foreign()
    assert station.sweep() == Swept(looked_at=3)
    assert station.recovery.calls == 0


@pytest.mark.parametrize(
    ("milestone", "subject", "verdict", "member"),
    [
        pytest.param("approval", "approval", "approve", ("actor", "kim"), id="approved"),
        pytest.param("commit", "commit", "accept", ("accepted", True), id="accepted"),
        pytest.param("hold", "hold", "retry", ("next", "quiesce"), id="tried-again"),
        pytest.param("hold", "hold", "give_back", ("next", "give_back"), id="given-back"),
    ],
)
def test_a_decision_lets_go_on_whom_it_is_about(
    milestone: Awaited, subject: str, verdict: str, member: tuple[str, object]
) -> None:
    station = Station(3, milestone=milestone)
    first, second, _third = station.ids
    station.decide(subject, verdict, second)
    assert station.sweep() == Swept(looked_at=3, answered=1)
    assert station.outcome_of(second)[member[0]] == member[1]
    station.clock.forward(minutes=1)
    station.decide(subject, verdict, "run")
    assert station.sweep() == Swept(looked_at=2, answered=2)
    assert station.outcome_of(first)[member[0]] == member[1]
    assert not list(station.waiting_room.everyone())


def test_a_decision_is_its_own_runs() -> None:
    station = Station(1, milestone="approval")
    decision = Decision(subject="approval", scope="run", verdict="approve", actor="kim", known_by="x", at=NOON)
    station.decisions.decide("another", decision)
    assert station.sweep() == Swept(looked_at=1)


def test_a_refusal_ends_the_wait() -> None:
    station = Station(1, milestone="approval")
    station.decide("approval", "refuse", station.ids[0])
    assert station.sweep().answered == 1
    assert station.outcome_of(station.ids[0]) == "ApprovalRefused"


def test_a_stop_ends_every_wait_but_that_of_a_launched_server() -> None:
    station = Station(0)
    ids = {milestone: f"i-{number:017x}" for number, milestone in enumerate(MILESTONES)}
    launched = "i-0000000000000000f"
    station.servers.enlist(RUN, [ServerRequest(recovery_instance=one) for one in (*ids.values(), launched)])
    station.task_tokens.waiting = {f"token of {one}" for one in (*ids.values(), launched)}
    for milestone, server in [*ids.items(), ("hold", launched)]:
        station.recovery.add(instance(server))
        station.fence(server)
        station.park(server, milestone)
    station.servers.reach(RUN, launched, "launched", NOON)
    station.decide("stop", "stop", "run")
    assert station.sweep() == Swept(looked_at=6, answered=5)
    ends = [station.outcome_of(ids[milestone]) for milestone in ("replication", "approval", "launch")]
    assert ends == ["Stopped"] * 3
    assert station.outcome_of(ids["commit"])["accepted"] is False
    assert station.outcome_of(ids["hold"])["next"] == "give_back"
    assert [one.server for one in station.waiting_room.everyone()] == [launched]
    assert not station.launches.asked


def test_one_that_nobody_accepts_in_time_stays_at_home() -> None:
    station = Station(1, milestone="commit", hours=2)
    station.clock.forward(hours=2)
    assert station.sweep().answered == 1
    outcome = station.record(station.ids[0]).outcome
    assert outcome is not None
    assert (outcome.outcome, outcome.stage) == ("launched", "await_commit")


def test_who_waits_for_an_approval_is_followed() -> None:
    station = Station(1, milestone="approval")
    (server,) = station.ids
    station.recovery.change(server, **READY, lag=timedelta(seconds=4))
    station.sweep()
    entry = station.run_log.server_entries[RUN, server]["await_approval"]
    assert (entry.status, entry.calls) == ("pending", 0)
    assert entry.progress is not None
    assert entry.progress.note.endswith("left to copy; 4 s behind")
    assert station.progress(server).lag_seconds == 4


def test_a_full_sync_where_a_difference_was_promised_is_told_while_it_goes_on() -> None:
    station = Station(1)
    (server,) = station.ids
    plan = {"id": server, "source_server": "s-1", "hostname": "web", "os": "linux", "firmware": "bios"}
    plan |= {"client_firmware": "bios", "machine": "web", "size": "x", "group": "sg-1", "way": "original"}
    more = {"disks": (), "private_ip": True, "bandwidth_mbps": 0, "to_copy": 1}
    station.servers.plan(RUN, ServerPlan.model_validate({**plan, **more}))
    station.sweep()
    assert "everything is being copied; DRS doesn't take the client" in station.progress(server).reason


def test_launches_of_a_run_are_one_job_over_all_batches() -> None:
    station = Station(250, milestone="launch")
    level = station.ids[150:240]
    station.fence(*station.ids)
    for server in set(station.ids) - set(level):
        station.recovery.change(server, **GOING_ON, failback_state="FAILBACK_IN_PROGRESS")
    assert station.sweep() == Swept(looked_at=250)
    assert [len(asked) for asked in station.launches.asked] == [90]
    assert sorted(station.launches.asked[0]) == level
    assert all(station.record(server).milestones.launched == NOON for server in level)
    entry = station.run_log.server_entries[RUN, level[0]]["await_launch"]
    assert entry.status == "pending"
    for server in level[:50]:
        station.launches.finish(server)
    station.launches.finish(level[50], error="conversion failed")
    station.clock.forward(minutes=1)
    assert station.sweep() == Swept(looked_at=250, answered=51)
    assert station.outcome_of(level[0])["job"] == station.launches.jobs_of(level[0])[0]
    assert station.outcome_of(level[50]) == "LaunchFailed"
    assert len(station.launches.asked) == 1


def test_what_replication_came_to_before_a_launch_stays_what_is_known_of_it() -> None:
    station = Station(1, milestone="launch")
    (server,) = station.ids
    station.fence(server)
    station.sweep()
    station.recovery.change(server, replication_state="STOPPED", disks=())
    station.clock.forward(minutes=1)
    station.sweep()
    assert (station.progress(server).verdict, station.progress(server).at) == ("ready", NOON)


def test_one_that_is_not_fenced_is_never_launched() -> None:
    station = Station(1, milestone="launch")
    station.recovery.change(station.ids[0], **READY)
    assert station.sweep().answered == 1
    assert station.outcome_of(station.ids[0]) == "FenceFailed"
    assert not station.launches.asked


def test_one_whose_part_of_the_run_is_over_is_let_out_and_not_launched() -> None:
    station = Station(5, milestone="launch")
    station.fence(*station.ids)
    station.task_tokens.waiting.clear()
    for server in station.ids[:4]:
        station.servers.settle(RUN, server, ServerOutcome(outcome="failed", at=NOON))
    assert station.sweep() == Swept(looked_at=5)
    assert station.launches.asked == [(station.ids[4],)]
    assert [one.server for one in station.waiting_room.everyone()] == [station.ids[4]]


@pytest.mark.parametrize("throttled", [1, 2])
def test_a_throttled_batch_is_launched_by_the_next_sweep(throttled: int) -> None:
    station = Station(250, milestone="launch")
    station.fence(*station.ids)
    station.recovery.busy = {throttled}
    left = 200 if throttled == 1 else 50
    assert station.sweep() == Swept(looked_at=250 - left, left=left, faults=("AWS throttles",))
    assert sum(map(len, station.launches.asked)) == 250 - left
    station.clock.forward(minutes=1)
    assert station.sweep() == Swept(looked_at=250)
    assert sorted(one for asked in station.launches.asked for one in asked) == station.ids


def test_launches_whose_book_cannot_be_read_are_left_and_stop_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    station = Station(3, milestone="launch")
    station.fence(*station.ids)
    station.servers.enlist("another", [ServerRequest(recovery_instance=station.ids[0])])
    station.park(station.ids[0], "launch", run="another")
    real = station.launch_book.of

    def unreadable(run: str) -> Any:  # noqa: ANN401
        if run == RUN:
            raise _Foreign
        return real(run)

    monkeypatch.setattr(station.launch_book, "of", unreadable)
    assert station.sweep() == Swept(looked_at=1, answered=1, left=3, faults=(f"run {RUN}: AWS throttles",))
    assert not station.launches.asked


def test_without_the_lease_nothing_is_launched() -> None:
    station = Station(2, milestone="launch")
    station.fence(*station.ids)

    def slow() -> None:
        station.clock.forward(seconds=100)
        station.run_log.lease(LEASE, "another", now=station.clock.now(), until=station.clock.now() + LEASE_FOR)

    station.recovery.meanwhile = slow
    assert station.sweep() == Swept(left=2, busy=True)
    assert not station.launches.asked


def test_a_lease_lost_between_two_batches_leaves_their_launches() -> None:
    station = Station(450, milestone="launch")
    station.fence(*station.ids)

    def slow() -> None:
        station.clock.forward(seconds=100)
        station.run_log.lease(LEASE, "another", now=station.clock.now(), until=station.clock.now() + LEASE_FOR)

    station.recovery.meanwhile = slow
    assert station.sweep() == Swept(left=450, busy=True)
    assert not station.launches.asked


@pytest.mark.parametrize("milestone", MILESTONES)
def test_a_watcher_that_was_overtaken_changes_nothing(milestone: Awaited, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was held up for longer than its lease, and another one did everything meanwhile."""
    station = Station(2, milestone=milestone)
    station.fence(*station.ids)
    for subject, verdict in (("approval", "approve"), ("commit", "accept"), ("hold", "retry")):
        station.decide(subject, verdict, "run")
    real, others = station.servers.of, list[Swept]()

    def overtaken(run: str) -> Sequence[ServerRecord]:
        monkeypatch.setattr(station.servers, "of", real)
        before = real(run)
        station.clock.forward(seconds=100)
        others.append(station.sweep("another"))
        for server in station.ids if milestone == "launch" else ():
            station.launches.finish(server)
        others.append(station.sweep("another"))
        return before

    monkeypatch.setattr(station.servers, "of", overtaken)
    station.sweep("one")
    told = {**station.task_tokens.succeeded, **station.task_tokens.failed}
    assert sum(each.answered for each in others) == 2
    assert len(told) == 2
    assert len(station.launches.asked) == (1 if milestone == "launch" else 0)
    station.clock.forward(minutes=5)
    assert station.sweep("third") == Swept()
    entries = [station.run_log.server_entries[RUN, one][STAGES[milestone]] for one in station.ids]
    assert [entry.status for entry in entries] == ["done", "done"], "not overwritten by what the first one knew"
