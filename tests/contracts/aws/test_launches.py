"""The contract of RecoveryLaunches."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from failback.errors import CloudBusy, CloudRefused, LaunchConflict
from tests.contracts.aws.launch_yard import LIMITS, LaunchYard, emulated, in_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOBODY = "i-00000000000000fff"
TAGS = {"drs-failback:run": "r", "drs-failback:batch": "b-1"}


@pytest.fixture(params=["aws", "memory"])
def make_yard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., LaunchYard]]:
    if request.param == "memory":
        yield in_memory
        return
    with ExitStack() as served:
        yield lambda **choices: served.enter_context(emulated(tmp_path, **choices))


@pytest.fixture
def yard(make_yard: Callable[..., LaunchYard]) -> LaunchYard:
    return make_yard()


@pytest.mark.parametrize("says_launched", [True, False], ids=["told", "untold"])
def test_a_launch_is_followed_to_its_end(make_yard: Callable[..., LaunchYard], *, says_launched: bool) -> None:
    yard = make_yard(says_launched=says_launched)
    one, two = yard.add(), yard.add()
    job = yard.launches.start([one, two], tags=TAGS)
    assert yard.launches.jobs([job])[job].model_dump() == {
        "id": job,
        "status": "PENDING",
        "servers": {one: "PENDING", two: "PENDING"},
    }
    yard.finish(one)
    yard.finish(two)
    ended = yard.launches.jobs([job])[job]
    told = "LAUNCHED" if says_launched else "PENDING"
    assert (ended.status, ended.servers) == ("COMPLETED", {one: told, two: told})
    found = yard.recovery.instances([one, two])
    assert {each.failback_state for each in found.values()} == {"FAILBACK_COMPLETED"}
    assert {each.job for each in found.values()} == {job}


def test_a_job_is_found_by_its_tags(yard: LaunchYard) -> None:
    now = yard.clock.now()
    assert yard.launches.find(TAGS, since=now) == ""
    job = yard.launches.start([yard.add()], tags={**TAGS, "drs-failback:created": "2026-11-22T12:00:00Z"})
    other = yard.launches.start([yard.add()], tags={**TAGS, "drs-failback:batch": "b-2"})
    assert yard.launches.find(TAGS, since=now) == job
    assert yard.launches.find({"drs-failback:batch": "b-2"}, since=now - timedelta(days=1)) == other
    assert yard.launches.find({**TAGS, "drs-failback:batch": "b-3"}, since=now) == ""
    assert yard.launches.find(TAGS, since=now + timedelta(seconds=1)) == ""


@pytest.mark.parametrize("why", ["unready", "unknown", "in-a-job"])
def test_one_server_that_cannot_be_launched_keeps_all_from_it(yard: LaunchYard, why: str) -> None:
    good, bad = yard.add(), NOBODY if why == "unknown" else yard.add()
    if why == "unready":
        yard.unready(bad)
    if why == "in-a-job":
        yard.launches.start([bad], tags={})
    with pytest.raises(LaunchConflict, match="is in a job already" if why == "in-a-job" else bad):
        yard.launches.start([good, bad], tags=TAGS)
    assert yard.launches.find(TAGS, since=yard.clock.now()) == ""
    assert yard.recovery.instances([good])[good].job == ""
    assert yard.launches.start([good], tags=TAGS)


def test_a_job_of_too_many_servers_is_refused_for_its_servers(make_yard: Callable[..., LaunchYard]) -> None:
    yard = make_yard(limits=LIMITS)
    servers = [yard.add() for _ in range(LIMITS["servers_per_job"] + 1)]
    with pytest.raises(LaunchConflict):
        yard.launches.start(servers, tags=TAGS)
    assert yard.launches.start(servers[1:], tags=TAGS)


def test_other_quotas_pass_by_themselves(make_yard: Callable[..., LaunchYard]) -> None:
    yard = make_yard(limits=LIMITS)
    servers = [yard.add() for _ in range(8)]
    yard.launches.start(servers[:4], tags=TAGS)
    with pytest.raises(CloudBusy, match=r"(?i)all jobs in progress"):
        yard.launches.start(servers[4:7], tags=TAGS)
    yard.launches.start(servers[4:5], tags=TAGS)
    yard.launches.start(servers[5:6], tags=TAGS)
    with pytest.raises(CloudBusy, match="jobs may be in progress"):
        yard.launches.start(servers[6:7], tags=TAGS)
    yard.finish(servers[4])
    assert yard.launches.start(servers[6:7], tags=TAGS)


def test_a_failed_launch_is_told_with_its_log(yard: LaunchYard) -> None:
    good, bad = yard.add(), yard.add()
    yard.spoil(bad, "conversion broke")
    job = yard.launches.start([good, bad], tags=TAGS)
    assert yard.launches.jobs([job])[job].servers == {good: "PENDING", bad: "FAILED"}
    assert yard.recovery.instances([bad])[bad].failback_state == "FAILBACK_ERROR"
    first, *lines = yard.launches.log(job)
    assert first.endswith(" JOB_START")
    (failed,) = [line for line in lines if bad in line]
    assert "LAUNCH_FAILED" in failed
    assert failed.endswith(": conversion broke")


def test_nothing_is_asked_for_where_nothing_is_known(yard: LaunchYard) -> None:
    yard.launches.start([yard.add()], tags=TAGS)
    assert yard.launches.jobs([]) == {}
    assert yard.launches.jobs(["drsjob-00000000000000fff"]) == {}
    with pytest.raises((CloudRefused, ClientError)):
        yard.launches.log("drsjob-00000000000000fff")
