"""Launches of one run on DRS's emulator, by boto3: two hundred and fifty servers, failures, and both oddities."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from failback.errors import CloudBusy, LaunchFailed
from tests.contracts.aws.launch_yard import LIMITS, emulated
from tests.crashes import Crashes
from tests.launch_station import RUN, LaunchStation, notes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def station(folder: Path, count: int, **choices: Any) -> Iterator[LaunchStation]:  # noqa: ANN401
    with emulated(folder, **choices) as yard:
        yield LaunchStation(yard, count)


def jobs_of(station: LaunchStation) -> dict[str, int]:
    """How many jobs each server is in, by DRS's own word."""
    batches = [batch for batch in station.launch_book.of(RUN) if batch.job]
    found = station.yard.launches.jobs([batch.job for batch in batches])
    assert {batch.job: set(batch.servers) for batch in batches} == {
        name: set(job.servers) for name, job in found.items()
    }
    return {server: sum(server in job.servers for job in found.values()) for server in station.servers}


@pytest.mark.parametrize("says_launched", [True, False], ids=["told", "untold"])
def test_two_hundred_and_fifty_servers_are_three_jobs(tmp_path: Path, *, says_launched: bool) -> None:
    count = 250 if says_launched else 3
    with station(tmp_path, count, says_launched=says_launched) as run:
        assert notes(run.look())
        assert set(jobs_of(run).values()) == {1}
        assert len(list(run.launch_book.of(RUN))) == (3 if says_launched else 1)
        run.finish()
        verdicts = run.later()
        assert len(verdicts) == count
        found = run.yard.recovery.instances(run.servers)
        for server, verdict in verdicts.items():
            assert verdict.result is not None
            assert verdict.result.job == found[server].job
            assert bool(verdict.result.remarks) is not says_launched


def test_one_that_fails_and_one_that_is_refused_are_alone(tmp_path: Path) -> None:
    with station(tmp_path, 6) as run:
        good, failing, taken = run.servers[:4], run.servers[4], run.servers[5]
        run.yard.spoil(failing, "grub-install: no boot partition")
        run.yard.launches.start([taken], tags={"by": "somebody in the console"})
        assert notes(run.look())
        verdicts = run.later()
        assert isinstance(verdicts[failing].refusal, LaunchFailed)
        assert "LAUNCH_FAILED" in str(verdicts[failing].refusal)
        assert "grub-install: no boot partition" in str(verdicts[failing].refusal)
        assert isinstance(verdicts[taken].refusal, LaunchFailed)
        assert "is in a job already" in str(verdicts[taken].refusal)
        run.finish(good)
        assert all(run.later()[server].result is not None for server in good)


def test_quotas_hold_servers_up_and_fail_none(tmp_path: Path) -> None:
    with station(tmp_path, 10, limits=LIMITS) as run:
        left = set(run.servers)
        for _ in range(20):
            verdicts = run.later()
            assert all(verdict.refusal is None for verdict in verdicts.values())
            ended = {server for server, verdict in verdicts.items() if verdict.result is not None}
            for server in ended & left:
                del run.parked[server]
            left -= ended
            begun = run.yard.recovery.instances(sorted(left)) if left else {}
            run.finish([server for server, each in begun.items() if each.job])
            if not left:
                break
        assert not left
        assert set(jobs_of(run).values()) == {1}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(8))
def test_a_lost_call_launches_nothing_twice(tmp_path: Path, at: int, *, after: bool) -> None:
    with station(tmp_path, 2) as run:
        crashes = Crashes(at=at, after=after)
        ports = {"launches": run.yard.launches, "launch_book": run.launch_book, "book": run.book}
        for _ in range(2):
            # Without the book of batches nothing is done at all.
            with suppress(CloudBusy):
                run.look(**{name: crashes.over(name, port) for name, port in ports.items()})
        assert len(crashes.calls) > at
        assert notes(run.later())
        assert jobs_of(run) == dict.fromkeys(run.servers, 1)
