"""Batches: halved down to the one server that DRS refuses, within quotas, and never two jobs for one server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from failback.errors import CloudBusy, FailbackError, LaunchFailed
from failback.launch_batches import MOST_SERVERS, SURE_AFTER, batch_of, is_open
from tests.contracts.aws.launch_yard import LaunchYard, in_memory
from tests.crashes import Crashes
from tests.launch_station import RUN, LaunchStation, notes
from tests.memory.clock import NOON
from tests.memory.launches import MemoryLaunches

if TYPE_CHECKING:
    from collections.abc import Callable

PORTS = ("launches", "launch_book", "book")


@pytest.fixture
def yard() -> LaunchYard:
    return in_memory()


def launches_of(station: LaunchStation) -> MemoryLaunches:
    assert isinstance(station.yard.launches, MemoryLaunches)
    return station.yard.launches


def ports_of(station: LaunchStation) -> dict[str, object]:
    return {"launches": station.yard.launches, "launch_book": station.launch_book, "book": station.book}


def in_one_job_each(station: LaunchStation) -> bool:
    return all(len(launches_of(station).jobs_of(server)) == 1 for server in station.servers)


def test_whoever_knows_the_same_makes_the_same_batch() -> None:
    one = batch_of(RUN, ["a", "b"], NOON, [])
    later = NOON + timedelta(seconds=3)
    assert batch_of(RUN, ["a", "b"], later, []).id == one.id
    assert batch_of(RUN, ["a", "b"], later, [batch_of(RUN, ["c"], NOON, [])]).id == one.id
    assert batch_of(RUN, ["a", "b"], later, [one]).id != one.id
    assert batch_of(RUN, ["a"], NOON, []).id != one.id
    assert batch_of("another", ["a", "b"], NOON, []).id != one.id


@pytest.mark.parametrize("place", [0, 49, 50, 99])
def test_one_bad_server_of_a_hundred_is_found_by_halving(yard: LaunchYard, place: int) -> None:
    station = LaunchStation(yard, 100)
    bad = sorted(station.servers)[place]
    launches_of(station).bad.add(bad)
    verdicts = station.look()
    assert "and is asked once more" in verdicts[bad].note
    asked = launches_of(station).asked
    # Each level of halves is two calls at most, and 2^7 is more than 100.
    assert len(asked) <= 1 + 2 * 7
    assert {server for each in launches_of(station).begun.values() for server in each.servers} == (
        set(station.servers) - {bad}
    )
    verdicts = station.later()
    assert isinstance(verdicts[bad].refusal, LaunchFailed)
    assert "it can't be launched" in str(verdicts[bad].refusal)
    assert notes({server: verdict for server, verdict in verdicts.items() if server != bad})
    station.finish([server for server in station.servers if server != bad])
    assert sum(verdict.result is not None for verdict in station.later().values()) == 99
    assert all(launches_of(station).jobs_of(server) for server in station.servers if server != bad)
    assert not any(map(is_open, station.launch_book.of(RUN)))


def test_halves_are_noted_before_they_are_asked_for(yard: LaunchYard) -> None:
    station = LaunchStation(yard, 4)
    launches_of(station).bad.add(sorted(station.servers)[3])
    known, start = launches_of(station), launches_of(station).start

    def watched(instances: Any, *, tags: Any) -> str:  # noqa: ANN401
        (noted,) = [each for each in station.launch_book.of(RUN) if each.id == tags["drs-failback:batch"]]
        assert (noted.servers, is_open(noted)) == (tuple(instances), True)
        return start(instances, tags=tags)

    known.start = watched  # type: ignore[method-assign]
    station.look()
    assert len(known.asked) == 5


def test_a_refusal_that_passes_is_none(yard: LaunchYard) -> None:
    station = LaunchStation(yard)
    launches_of(station).bad.add(station.servers[0])
    station.look()
    launches_of(station).bad.clear()
    assert notes(station.later())
    assert in_one_job_each(station)


def test_a_refusal_is_believed_only_when_a_job_would_be_listed(yard: LaunchYard) -> None:
    station = LaunchStation(yard)
    launches_of(station).bad.add(station.servers[0])
    station.look()
    station.clock.forward(seconds=SURE_AFTER.total_seconds() - 1)
    assert notes(station.look())
    station.clock.forward(seconds=1)
    (verdict,) = station.look().values()
    assert isinstance(verdict.refusal, LaunchFailed)


def test_a_refused_one_is_launched_anew_when_it_waits_again(yard: LaunchYard) -> None:
    station = LaunchStation(yard)
    (server,) = station.servers
    launches_of(station).bad.add(server)
    station.look()
    assert isinstance(station.later()[server].refusal, LaunchFailed)
    # Told as often as anybody looks: the answer may be lost.
    assert isinstance(station.later()[server].refusal, LaunchFailed)
    launches_of(station).bad.clear()
    station.clock.forward(hours=1)
    station.park(server)
    station.look()
    assert in_one_job_each(station)


def test_jobs_are_as_large_as_they_may_be_and_the_rest_waits_for_quotas(yard: LaunchYard) -> None:
    launches = yard.launches
    assert isinstance(launches, MemoryLaunches)
    launches.servers_in_jobs = 200
    station = LaunchStation(yard, 250)
    verdicts = station.look()
    assert [len(each) for each in launches.asked] == [MOST_SERVERS, MOST_SERVERS, 50]
    held = [server for server, verdict in verdicts.items() if "at most 200 servers" in verdict.note]
    assert len(held) == 50
    assert not any(launches.jobs_of(server) for server in held)
    station.later()
    first = launches.begun[min(launches.begun)]
    station.finish(list(first.servers))
    station.later()
    assert in_one_job_each(station)
    assert len(launches.begun) == 3
    # What waits is asked for once a sweep, in the batch that it's in.
    assert [len(each) for each in launches.asked[3:]] == [50, 50]


def test_while_a_quota_is_used_up_nobody_else_is_asked_for(yard: LaunchYard) -> None:
    launches = yard.launches
    assert isinstance(launches, MemoryLaunches)
    launches.concurrent_jobs = 1
    station = LaunchStation(yard, 301)
    station.look()
    assert [len(each) for each in launches.asked] == [100, 100]
    assert len(list(station.launch_book.of(RUN))) == 2
    late = station.add()
    verdicts = station.later()
    assert "at most 1 jobs" in verdicts[late].note
    assert len(launches.asked) == 3
    for _ in range(6):
        station.finish([server for job in launches.begun.values() for server in job.servers])
        station.later()
    assert in_one_job_each(station)


def test_a_half_is_not_asked_for_after_a_quota_was_used_up(yard: LaunchYard) -> None:
    launches = yard.launches
    assert isinstance(launches, MemoryLaunches)
    launches.servers_per_job, launches.concurrent_jobs = 2, 0
    station = LaunchStation(yard, 4)
    station.look()
    station.later()
    assert [len(each) for each in launches.asked] == [4, 2, 2]
    launches.concurrent_jobs = 20
    settle(station)


def test_an_account_of_smaller_jobs_gets_smaller_ones(yard: LaunchYard) -> None:
    launches = yard.launches
    assert isinstance(launches, MemoryLaunches)
    launches.servers_per_job = 30
    station = LaunchStation(yard, 100)
    station.look()
    assert sorted(len(job.servers) for job in launches.begun.values()) == [25, 25, 25, 25]
    assert in_one_job_each(station)


def test_who_was_given_back_meanwhile_is_not_launched_by_what_was_noted(yard: LaunchYard) -> None:
    station = LaunchStation(yard, 3)
    launches_of(station).refuse["start"] = CloudBusy("a quota is used up")
    station.look()
    gone = station.servers[1]
    del station.parked[gone], launches_of(station).refuse["start"]
    station.later()
    (job,) = launches_of(station).begun.values()
    assert set(job.servers) == set(station.servers) - {gone}
    whole, part = station.launch_book.of(RUN)
    assert (whole.split, part.job) == (True, job.id)


def test_a_batch_that_cannot_be_reduced_is_left_as_it_is(yard: LaunchYard) -> None:
    station = LaunchStation(yard, 3)
    launches_of(station).refuse["start"] = CloudBusy("a quota is used up")
    station.look()
    gone = station.servers[1]
    del station.parked[gone], launches_of(station).refuse["start"]
    crashes = Crashes(at=1)
    station.clock.forward(minutes=1)
    verdicts = station.look(launch_book=crashes.over("launch_book", station.launch_book))
    assert notes(verdicts) == {"launch_book.keep came to nothing"}
    assert not launches_of(station).begun
    station.later()
    (job,) = launches_of(station).begun.values()
    assert set(job.servers) == set(station.servers) - {gone}


def test_who_is_not_level_any_more_waits_outside_of_its_batch(yard: LaunchYard) -> None:
    station = LaunchStation(yard, 2)
    launches_of(station).refuse["start"] = CloudBusy("a quota is used up")
    station.look()
    late = station.servers[0]
    yard.unready(late)
    del launches_of(station).refuse["start"]
    verdicts = station.later()
    assert "STALLED" in verdicts[late].note
    assert not launches_of(station).jobs_of(late)
    assert launches_of(station).jobs_of(station.servers[1])


# What's lost, and two at once.


def settle(station: LaunchStation) -> None:
    """Sweep on until all are launched: each by one job, and nobody is refused."""
    for _ in range(4):
        assert notes(station.later())
    assert in_one_job_each(station), launches_of(station).begun
    station.finish()
    for verdict in station.later().values():
        assert verdict.result is not None, verdict
        assert verdict.result.remarks == ()
    assert all(bool(batch.job) is not batch.split for batch in station.launch_book.of(RUN))


def whole(_station: LaunchStation) -> None:
    """Nothing is in the way."""


def quota(station: LaunchStation) -> None:
    """A batch of three is open already, and one more server waits."""
    launches_of(station).refuse["start"] = CloudBusy("a quota is used up")
    station.look()
    del launches_of(station).refuse["start"]
    station.add()
    station.clock.forward(minutes=1)


def smaller(station: LaunchStation) -> None:
    """A job takes two servers only, so batches are halved."""
    launches_of(station).servers_per_job = 2


SCENES = {"whole": whole, "quota": quota, "smaller": smaller}


def calls_of(scene: Callable[[LaunchStation], None]) -> int:
    station = LaunchStation(in_memory(), 3)
    scene(station)
    crashes = Crashes()
    station.look(**{name: crashes.over(name, port) for name, port in ports_of(station).items()})
    return len(crashes.calls)


CRASHES = [
    pytest.param(scene, after, listed, id=f"{name}-{'after' if after else 'before'}-{listed}")
    for name, scene in SCENES.items()
    for after in (False, True)
    for listed in (0, 20)
]


@pytest.mark.parametrize(("scene", "after", "listed"), CRASHES)
def test_a_lost_call_changes_nothing(scene: Callable[[LaunchStation], None], *, after: bool, listed: int) -> None:
    """Each call of a look is lost once, before it took effect or after; jobs may be `listed` some seconds late."""
    for at in range(calls_of(scene)):
        lose_call(scene, at, after=after, listed=listed)


def lose_call(scene: Callable[[LaunchStation], None], at: int, *, after: bool, listed: int) -> None:
    station = LaunchStation(in_memory(), 3)
    scene(station)
    launches_of(station).listed_after = timedelta(seconds=listed)
    crashes = Crashes(at=at, after=after)
    try:
        station.look(**{name: crashes.over(name, port) for name, port in ports_of(station).items()})
    except CloudBusy:
        assert crashes.calls == ["launch_book.of"]
    settle(station)


class _Interrupted:
    """A port before or after one call of which something else happens; calls are counted over all ports."""

    def __init__(self, port: object, count: list[str], happens: Callable[[], object], *, at: int, after: bool) -> None:
        self._port, self._count, self._happens, self._at, self._after = port, count, happens, at, after

    def __getattr__(self, name: str) -> Callable[..., Any]:
        found = getattr(self._port, name)

        def call(*given: Any, **named: Any) -> Any:  # noqa: ANN401
            self._count.append(name)
            now = len(self._count) - 1 == self._at
            if now and not self._after:
                self._happens()
            try:
                return found(*given, **named)
            finally:
                if now and self._after:
                    self._happens()

        return call


@pytest.mark.parametrize(("scene", "after", "listed"), CRASHES)
def test_two_looks_at_once_change_nothing(scene: Callable[[LaunchStation], None], *, after: bool, listed: int) -> None:
    """While one look is at any of its calls, another one does all of its own, and sees one more server."""
    for at in range(calls_of(scene)):
        interrupt(scene, at, after=after, listed=listed)


def interrupt(scene: Callable[[LaunchStation], None], at: int, *, after: bool, listed: int) -> None:
    station = LaunchStation(in_memory(), 3)
    scene(station)
    launches_of(station).listed_after = timedelta(seconds=listed)
    verdicts: list[Any] = []
    count: list[str] = []

    def other() -> None:
        station.clock.forward(seconds=1)
        station.add()
        verdicts.append(station.look())

    ports = {
        name: _Interrupted(port, count, other, at=at, after=after) for name, port in ports_of(station).items()
    }  # fmt: skip
    verdicts.append(station.look(**ports))
    assert len(verdicts) == 2
    assert all(notes(each) for each in verdicts)
    settle(station)


@pytest.mark.parametrize("listed", [0, 20])
def test_a_reply_that_the_sdk_lost_and_asked_for_again_changes_nothing(yard: LaunchYard, listed: int) -> None:
    """The first answer is lost on its way, and the same call is made again at once: DRS refuses that."""
    station = LaunchStation(yard, 5)
    launches_of(station).listed_after = timedelta(seconds=listed)
    start = launches_of(station).start

    def twice(instances: Any, *, tags: Any) -> str:  # noqa: ANN401
        start(instances, tags=tags)
        return start(instances, tags=tags)

    class Retrying:
        def __getattr__(self, name: str) -> object:
            return twice if name == "start" else getattr(launches_of(station), name)

    assert notes(station.look(launches=Retrying()))
    settle(station)


@pytest.mark.parametrize("call", ["find", "keep", "of"])
def test_trouble_after_a_refusal_leaves_the_batch(yard: LaunchYard, call: str) -> None:
    station = LaunchStation(yard, 2)
    launches_of(station).bad.add(station.servers[0])
    names = [name for name in ("launches", "launch_book", "book") if hasattr(ports_of(station)[name], call)]
    lost = 0

    class Failing:
        def __init__(self, port: object) -> None:
            self._port = port

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            nonlocal lost
            if name == call and launches_of(station).asked:
                lost += 1
                raise FailbackError("DynamoDB or DRS is down")
            return getattr(self._port, name)

    failing = {name: Failing(port) for name, port in ports_of(station).items() if name in names}
    assert notes(station.look(**failing)) == {"DynamoDB or DRS is down"}
    assert lost
    launches_of(station).bad.clear()
    settle(station)
