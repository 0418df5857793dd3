"""Launches in batches: who is launched, when, with whom, and what each is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from failback.errors import (
    CloudBusy,
    CloudRefused,
    FailbackError,
    FenceFailed,
    LaunchFailed,
    LaunchTimedOut,
    NotLevel,
    Stopped,
)
from failback.launch_batches import BATCH_TAG, is_open
from failback.model.recovery import ReplicatedDisk
from failback.model.server import ServerOutcome
from failback.naming import CREATED_TAG, RUN_TAG
from tests.contracts.aws.launch_yard import LaunchYard, in_memory
from tests.crashes import Crashes
from tests.launch_station import RUN, LaunchStation, notes
from tests.memory.clock import NOON, FixedClock
from tests.memory.launches import MemoryLaunches
from tests.memory.recovery import MemoryRecovery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.launch import LaunchVerdict

LEVEL = {"failback_state": "FAILBACK_READY_FOR_LAUNCH", "replication_state": "CONTINUOUS", "error": ""}


@pytest.fixture
def yard() -> LaunchYard:
    return in_memory()


def launches_of(station: LaunchStation) -> MemoryLaunches:
    assert isinstance(station.yard.launches, MemoryLaunches)
    return station.yard.launches


def recovery_of(station: LaunchStation) -> MemoryRecovery:
    assert isinstance(station.yard.recovery, MemoryRecovery)
    return station.yard.recovery


def refused(verdict: LaunchVerdict) -> FailbackError:
    assert verdict.result is None
    assert verdict.refusal is not None, verdict
    return verdict.refusal


def test_all_that_may_be_are_launched_by_one_job(yard: LaunchYard) -> None:
    station = LaunchStation(yard, 3)
    (note,) = notes(station.look())
    (batch,) = station.launch_book.of(RUN)
    assert note == f"job {batch.job} has just been begun"
    assert (batch.servers, batch.at) == (tuple(sorted(station.servers)), NOON)
    (job,) = launches_of(station).begun.values()
    assert job.tags == {RUN_TAG: RUN, BATCH_TAG: batch.id, CREATED_TAG: "2026-11-22T12:00:00Z"}
    assert all(station.launched(server) for server in station.servers)
    (note,) = notes(station.later())
    assert note.startswith(f"in job {batch.job} with 2 others: the job is PENDING, it says PENDING")
    station.finish()
    for verdict in station.later().values():
        assert verdict.result is not None
        assert verdict.result.model_dump() == {"job": batch.job, "at": station.clock.now(), "remarks": ()}
    assert len(launches_of(station).asked) == 1


def test_a_batch_is_noted_and_then_its_servers_and_then_it_is_asked_for(yard: LaunchYard) -> None:
    station = LaunchStation(yard)
    launches_of(station).refuse["start"] = CloudBusy("DRS throttles")
    assert notes(station.look()) == {"DRS throttles"}
    (batch,) = station.launch_book.of(RUN)
    assert is_open(batch)
    assert station.launched(station.servers[0])
    del launches_of(station).refuse["start"]
    station.later()
    assert [each.id for each in station.launch_book.of(RUN)] == [batch.id]
    assert len(launches_of(station).begun) == 1


def test_a_job_that_says_nothing_of_success_is_a_remark() -> None:
    station = LaunchStation(in_memory(says_launched=False))
    station.look()
    station.finish()
    (verdict,) = station.later().values()
    assert verdict.result is not None
    (remark,) = verdict.result.remarks
    assert remark == (
        "the job is COMPLETED, it says PENDING of this server, and the failback is FAILBACK_COMPLETED: what counts is "
        "that it's completed"
    )


def test_a_failed_launch_fails_one_server_with_its_own_log(yard: LaunchYard) -> None:
    station = LaunchStation(yard, 2)
    good, bad = station.servers
    yard.spoil(bad, "no boot loader\n" * 100)
    station.look()
    yard.finish(good)
    verdicts = station.later()
    assert verdicts[good].result is not None
    error = refused(verdicts[bad])
    assert isinstance(error, LaunchFailed)
    assert f"LAUNCH_FAILED {bad}: no boot loader" in str(error)
    assert "JOB_START" in str(error)
    assert good not in str(error)
    assert len(str(error)) < 2000


def test_a_job_weighs_more_than_a_refusal(yard: LaunchYard) -> None:
    """A refusal that was noted by a look that knew less."""
    station = LaunchStation(yard)
    station.look()
    (batch,) = station.launch_book.of(RUN)
    station.launch_book.keep(batch.model_copy(update={"id": "later", "job": "", "refused": "in a job already"}))
    assert notes(station.later())


def test_a_failed_one_whose_log_is_not_told_fails_all_the_same(yard: LaunchYard) -> None:
    station = LaunchStation(yard)
    yard.spoil(station.servers[0], "broken")
    station.look()
    launches_of(station).refuse["log"] = CloudBusy("DRS throttles")
    (verdict,) = station.later().values()
    assert "DRS doesn't tell it just now (DRS throttles)" in str(refused(verdict))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lag": timedelta(seconds=11)}, "its copy is 11 seconds behind"),
        ({"disks": (ReplicatedDisk(device="a", total=9, backlogged=8),)}, "8 bytes that were written meanwhile"),
        ({"disks": (ReplicatedDisk(device="a", total=1 << 30, backlogged=3 << 19),)}, "1.5 MiB that were written"),
        ({"replication_state": "BACKLOG"}, "what was written meanwhile is being copied (BACKLOG)"),
        ({"replication_state": "STALLED", "error": "UNSTABLE_NETWORK"}, "replication is STALLED: UNSTABLE_NETWORK"),
        ({"failback_state": "FAILBACK_NOT_READY_FOR_LAUNCH"}, "DRS doesn't call it ready for launch yet"),
        ({"failback_state": "FAILBACK_ERROR"}, "DRS says FAILBACK_ERROR"),
        ({"failback_state": "FAILBACK_NOT_STARTED"}, "the failback is back to FAILBACK_NOT_STARTED"),
        ({"ec2_state": "STOPPED"}, "is STOPPED in EC2"),
    ],
    ids=["lag", "backlog", "large-backlog", "state", "stalled", "not-ready", "error", "not-started", "stopped"],
)
def test_what_is_not_level_waits_for_so_long_and_no_longer(
    yard: LaunchYard, change: dict[str, object], said: str
) -> None:
    station = LaunchStation(yard, lag_minutes=10)
    (server,) = station.servers
    recovery_of(station).change(server, **change)
    (note,) = notes(station.look())
    assert note.startswith("not launched yet: ")
    assert said in note
    station.clock.forward(minutes=10)
    error = refused(station.look()[server])
    assert isinstance(error, NotLevel)
    assert said in str(error)
    assert "10 minutes after it was fenced" in str(error)
    assert launches_of(station).asked == []
    assert list(station.launch_book.of(RUN)) == []
    assert not station.launched(server)


@pytest.mark.parametrize(
    "change",
    [
        {"lag": timedelta(seconds=10)},
        {"lag": timedelta(0)},
        {"lag": None},
        {"replication_state": "A_NEW_WORD"},
        {"replication_state": "REPLICATION_STATE_NOT_AVAILABLE"},
    ],
    ids=["little", "none", "untold", "new-word", "untold-state"],
)
def test_what_cannot_be_told_from_level_is_launched(yard: LaunchYard, change: dict[str, object]) -> None:
    station = LaunchStation(yard)
    recovery_of(station).change(station.servers[0], **change)
    station.look()
    assert launches_of(station).asked == [(station.servers[0],)]


def test_who_becomes_level_later_gets_a_job_of_its_own(yard: LaunchYard) -> None:
    station = LaunchStation(yard, 3)
    late = station.servers[1]
    yard.unready(late)
    station.look()
    recovery_of(station).change(late, **LEVEL)
    station.later()
    assert [set(each) for each in launches_of(station).asked] == [set(station.servers) - {late}, {late}]


@pytest.mark.parametrize("known", [True, False], ids=["unfenced", "unknown"])
def test_what_is_not_fenced_is_never_launched(yard: LaunchYard, *, known: bool) -> None:
    station = LaunchStation(yard)
    other = station.add(fenced=False)
    if not known:
        del station.book.records[RUN, other]
    assert isinstance(refused(station.look()[other]), FenceFailed)
    assert launches_of(station).asked == [(station.servers[0],)]


def test_what_has_ended_already_is_never_launched(yard: LaunchYard) -> None:
    station = LaunchStation(yard)
    (server,) = station.servers
    station.book.settle(RUN, server, ServerOutcome(outcome="failed", at=NOON))
    error = refused(station.look()[server])
    assert isinstance(error, Stopped)
    assert "its part of the run has ended already (failed)" in str(error)
    assert launches_of(station).asked == []


def test_an_instance_that_is_gone_is_not_launched(yard: LaunchYard) -> None:
    station = LaunchStation(yard, lag_minutes=1)
    (server,) = station.servers
    del recovery_of(station).known[server]
    assert notes(station.look())
    assert isinstance(refused(station.later()[server]), NotLevel)


def test_a_stopped_run_launches_nothing_more_and_follows_what_it_has_begun(yard: LaunchYard) -> None:
    station = LaunchStation(yard, 1)
    (begun,) = station.servers
    station.look()
    late = station.add()
    station.stopped = True
    verdicts = station.later()
    assert isinstance(refused(verdicts[late]), Stopped)
    assert notes({begun: verdicts[begun]})
    station.finish([begun])
    verdicts = station.later()
    assert verdicts[begun].result is not None
    assert launches_of(station).asked == [(begun,)]


def test_an_open_batch_of_a_stopped_run_is_looked_for_and_then_dissolved(yard: LaunchYard) -> None:
    station = LaunchStation(yard, 2)
    launches_of(station).refuse["start"] = CloudBusy("a quota is used up")
    station.look()
    station.stopped = True
    del launches_of(station).refuse["start"]
    launches_of(station).refuse["find"] = CloudBusy("DRS throttles")
    assert notes(station.later()) == {"DRS throttles"}
    del launches_of(station).refuse["find"]
    assert all(isinstance(refused(each), Stopped) for each in station.later().values())
    (batch,) = station.launch_book.of(RUN)
    assert batch.split
    assert launches_of(station).begun == {}


@pytest.mark.parametrize("fenced", [True, False], ids=["fenced", "unfenced"])
def test_what_somebody_else_has_launched_is_launched(yard: LaunchYard, *, fenced: bool) -> None:
    station = LaunchStation(yard, 0)
    server = station.add(fenced=fenced)
    job = yard.launches.start([server], tags={})
    yard.finish(server)
    verdict = station.look()[server]
    if not fenced:
        assert isinstance(refused(verdict), FenceFailed)
        return
    assert verdict.result is not None
    assert verdict.result.remarks == (f"it was launched by job {job}, which this run hasn't begun",)
    assert station.launched(server)


def test_what_somebody_else_has_launched_is_noted_first(yard: LaunchYard) -> None:
    station = LaunchStation(yard)
    (server,) = station.servers
    yard.launches.start([server], tags={})
    yard.finish(server)

    class Busy:
        def reach(self, *_given: object) -> None:
            raise CloudBusy("DynamoDB throttles")

    assert notes(station.look(book=Busy())) == {"DynamoDB throttles"}
    assert station.later()[server].result is not None


def test_a_launch_has_its_time(yard: LaunchYard) -> None:
    station = LaunchStation(yard, minutes=30)
    (server,) = station.servers
    station.look()
    station.clock.forward(minutes=30)
    error = refused(station.look()[server])
    assert isinstance(error, LaunchTimedOut)
    assert "after 30 minutes: in job drsjob-00000000000000000: the job is PENDING" in str(error)


def test_a_launch_that_never_could_be_has_its_time(yard: LaunchYard) -> None:
    station = LaunchStation(yard, minutes=30)
    (server,) = station.servers
    launches_of(station).refuse["start"] = CloudRefused("AWS denies a right")
    assert notes(station.look()) == {"AWS denies a right"}
    station.clock.forward(minutes=30)
    error = refused(station.look()[server])
    assert isinstance(error, LaunchTimedOut)
    assert "DRS hasn't begun its job" in str(error)
    del launches_of(station).refuse["start"]
    # Whoever waits no longer isn't launched by what's left of its batch.
    station.parked.clear()
    station.later()
    assert launches_of(station).begun == {}


def test_a_batch_that_is_refused_for_good_keeps_no_other_from_it(yard: LaunchYard) -> None:
    station = LaunchStation(yard)
    (denied,) = station.servers
    known = launches_of(station)

    class Denying:
        def __getattr__(self, name: str) -> object:
            return getattr(known, name)

        def start(self, instances: Sequence[str], *, tags: Mapping[str, str]) -> str:
            if denied in instances:
                raise CloudRefused("AWS denies a right")
            return known.start(instances, tags=tags)

    station.look(launches=Denying())
    late = station.add()
    verdicts = station.later(launches=Denying())
    assert verdicts[denied].note == "AWS denies a right"
    assert known.jobs_of(late)


@pytest.mark.parametrize("again", ["timed-out", "failed"])
def test_a_retry_waits_for_what_goes_on_and_launches_anew_what_has_failed(yard: LaunchYard, again: str) -> None:
    station = LaunchStation(yard, 2, minutes=30)
    one, other = station.servers
    if again == "failed":
        yard.spoil(one, "broken")
    station.look()
    station.clock.forward(minutes=30)
    first = refused(station.look()[one])
    assert isinstance(first, LaunchFailed if again == "failed" else LaunchTimedOut)
    del station.parked[other]
    if again == "failed":
        recovery_of(station).change(one, **LEVEL)
        launches_of(station).errors.clear()
    station.clock.forward(hours=1)
    station.park(one)
    assert notes(station.look())
    assert len(launches_of(station).jobs_of(one)) == (2 if again == "failed" else 1)
    yard.finish(one)
    assert station.later()[one].result is not None
    assert launches_of(station).asked[0] == tuple(sorted(station.servers))


def test_a_retry_whose_job_is_not_listed_any_more_is_launched_anew(yard: LaunchYard) -> None:
    station = LaunchStation(yard)
    station.look()
    launches_of(station).begun.clear()
    station.clock.forward(hours=4)
    station.park(station.servers[0])
    station.look()
    assert len(launches_of(station).asked) == 2


def test_a_server_parked_twice_stays_in_its_job(yard: LaunchYard) -> None:
    """A stage whose answer was lost is called again, a moment after a sweep has launched its server."""
    station = LaunchStation(yard)
    (server,) = station.servers
    station.look()
    station.clock.forward(seconds=2)
    station.park(server)
    assert notes(station.later())
    station.finish()
    assert station.later()[server].result is not None
    assert len(launches_of(station).asked) == 1


def test_a_clock_that_is_behind_the_servers_own_launches_nothing_twice(yard: LaunchYard) -> None:
    station = LaunchStation(yard)
    (server,) = station.servers
    station.clock.forward(seconds=-5)
    station.look()
    (batch,) = station.launch_book.of(RUN)
    assert batch.at == station.parked[server].since
    station.look()
    assert len(launches_of(station).asked) == 1


def test_while_drs_does_not_tell_of_jobs_everybody_waits(yard: LaunchYard) -> None:
    station = LaunchStation(yard)
    (server,) = station.servers
    station.look()
    station.finish()
    late = station.add()
    launches_of(station).refuse["jobs"] = CloudBusy("DRS throttles")
    station.clock.forward(hours=5)
    station.park(late)
    verdicts = station.look()
    assert "of which DRS doesn't tell just now" in verdicts[server].note
    assert verdicts[late].note == "DRS throttles"
    assert notes(verdicts)
    del launches_of(station).refuse["jobs"]
    assert station.later()[server].result is not None
    assert launches_of(station).jobs_of(late)


def test_while_batches_cannot_be_looked_for_nothing_is_asked_for_again(yard: LaunchYard) -> None:
    station = LaunchStation(yard)
    launches_of(station).refuse["start"] = CloudBusy("a quota is used up")
    station.look()
    del launches_of(station).refuse["start"]
    launches_of(station).refuse["find"] = CloudRefused("AWS denies a right")
    assert notes(station.later()) == {"AWS denies a right"}
    assert len(launches_of(station).asked) == 1


def test_a_job_is_found_by_a_clock_that_is_behind(yard: LaunchYard) -> None:
    """DRS's own clock is four minutes behind, so its job seems to be older than the batch."""
    recovery, drs_clock = yard.recovery, FixedClock(NOON - timedelta(minutes=4))
    assert isinstance(recovery, MemoryRecovery)
    station = LaunchStation(replace(yard, launches=MemoryLaunches(recovery, drs_clock)))
    crashes = Crashes(at=1, after=True)
    station.look(launches=crashes.over("launches", station.yard.launches), launch_book=station.launch_book)
    assert crashes.calls == ["launches.jobs", "launches.start"]
    station.later()
    assert len(launches_of(station).asked) == 1
    assert [batch.job for batch in station.launch_book.of(RUN)] == list(launches_of(station).begun)


def test_a_job_that_drs_does_not_list_any_more_is_judged_by_the_failback(yard: LaunchYard) -> None:
    station = LaunchStation(yard)
    (server,) = station.servers
    station.look()
    launches_of(station).begun.clear()
    (note,) = notes(station.later())
    assert "DRS doesn't list the job, and calls the failback FAILBACK_READY_FOR_LAUNCH" in note
    recovery_of(station).change(server, failback_state="FAILBACK_COMPLETED")
    verdict = station.later()[server]
    assert verdict.result is not None
    assert "DRS doesn't list the job" in verdict.result.remarks[0]
