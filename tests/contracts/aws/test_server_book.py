"""The contract of ServerBook."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from failback.errors import RunUnknown
from failback.model.recovery import FailbackConfiguration
from failback.model.request import DiskChoice, ServerRequest
from failback.model.server import (
    BeforeImage,
    Milestones,
    PlannedDisk,
    ReplicationProgress,
    ServerOutcome,
    ServerPlan,
    ServerRecord,
)
from tests.memory.clock import NOON

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.recovery_ports import ServerBook
    from tests.contracts.aws.conftest import Logged

ID = "i-0123456789abcdef0"
OTHER = "i-00000000000000001"
REQUEST = ServerRequest(recovery_instance=ID, way="helper", disks=(DiskChoice(device="/dev/xvdb", exclude=True),))
BEFORE = BeforeImage(configuration=FailbackConfiguration(name="web", protocol="IPV4"), tags={"drs-failback:run": "old"})
PROGRESS = ReplicationProgress(
    at=NOON, verdict="waiting", state="INITIAL_SYNC", failback="FAILBACK_IN_PROGRESS", lag_seconds=1.5
)
PLAN = ServerPlan(
    id=ID,
    source_server="s-0123456789abcdef0",
    hostname="web",
    os="linux",
    way="new",
    firmware="bios",
    client_firmware="bios",
    machine="web",
    size="Standard_D2s_v3",
    disks=(PlannedDisk(device="/dev/xvda", bytes=1, size_gib=1, lun=0, name="web-data-0", sku="x", boot=True),),
    group="sg-1",
    private_ip=True,
    bandwidth_mbps=0,
    to_copy=1,
)


@pytest.fixture
def book(logged: Logged) -> ServerBook:
    return logged.book


def test_a_servers_record_grows(book: ServerBook) -> None:
    assert book.find("r", ID) is None
    assert list(book.of("r")) == []
    book.enlist("r", [REQUEST, ServerRequest(recovery_instance=OTHER)])
    book.plan("r", PLAN)
    book.plan("r", PLAN.model_copy(update={"machine": "web-2"}))
    assert book.remember("r", ID, BEFORE) == BEFORE
    book.progress("r", ID, PROGRESS)
    outcome = ServerOutcome(outcome="failed", at=NOON, stage="boot_client", error="ClientBootFailed", cause="silent")
    book.settle("r", ID, outcome)
    found = book.find("r", ID)
    plan = PLAN.model_copy(update={"machine": "web-2"})
    assert found == ServerRecord(
        id=ID, request=REQUEST, plan=plan, before=BEFORE, progress=PROGRESS, outcome=outcome
    )  # fmt: skip
    assert list(book.of("r")) == [
        ServerRecord(id=OTHER, request=ServerRequest(recovery_instance=OTHER)), found
    ]  # fmt: skip
    assert list(book.of("another")) == []


def test_a_plan_takes_the_place_of_what_stood_in_its_way(book: ServerBook) -> None:
    book.enlist("r", [REQUEST])
    book.settle("r", ID, ServerOutcome(outcome="failed", at=NOON, stage="check_readiness"))
    book.plan("r", PLAN)
    assert book.find("r", ID) == ServerRecord(id=ID, request=REQUEST, plan=PLAN)


def test_what_is_known_stays_when_servers_are_enlisted_again(book: ServerBook) -> None:
    book.enlist("r", [REQUEST])
    book.progress("r", ID, PROGRESS)
    book.enlist("r", [ServerRequest(recovery_instance=ID)])
    assert book.find("r", ID) == ServerRecord(id=ID, request=REQUEST, progress=PROGRESS)
    later = PROGRESS.model_copy(update={"at": NOON + timedelta(minutes=1), "verdict": "ready"})
    book.progress("r", ID, later)
    assert book.find("r", ID) == ServerRecord(id=ID, request=REQUEST, progress=later)


def test_the_first_image_of_before_counts(book: ServerBook) -> None:
    book.enlist("r", [REQUEST])
    changed = BeforeImage(configuration=FailbackConfiguration(private_ip=False))
    assert book.remember("r", ID, BEFORE) == BEFORE
    assert book.remember("r", ID, changed) == BEFORE
    found = book.find("r", ID)
    assert found is not None
    assert found.before == BEFORE


def test_the_first_time_at_a_milestone_counts(book: ServerBook) -> None:
    book.enlist("r", [REQUEST, ServerRequest(recovery_instance=OTHER)])
    later = NOON + timedelta(hours=1, microseconds=5)
    assert book.reach("r", ID, "fenced", NOON) == Milestones(fenced=NOON)
    assert book.reach("r", ID, "fenced", later) == Milestones(fenced=NOON)
    assert book.reach("r", ID, "started", later) == Milestones(fenced=NOON, started=later)
    book.plan("r", PLAN)
    assert book.reach("r", ID, "launched", NOON) == Milestones(fenced=NOON, launched=NOON, started=later)
    whole = ServerRecord(
        id=ID, request=REQUEST, plan=PLAN, milestones=Milestones(fenced=NOON, launched=NOON, started=later)
    )
    assert book.find("r", ID) == whole
    assert list(book.of("r")) == [ServerRecord(id=OTHER, request=ServerRequest(recovery_instance=OTHER)), whole]


@pytest.mark.parametrize(
    "keep",
    [
        pytest.param(lambda book: book.plan("r", PLAN), id="plan"),
        pytest.param(lambda book: book.remember("r", ID, BEFORE), id="remember"),
        pytest.param(lambda book: book.progress("r", ID, PROGRESS), id="progress"),
        pytest.param(lambda book: book.settle("r", ID, ServerOutcome(outcome="home", at=NOON)), id="settle"),
        pytest.param(lambda book: book.reach("r", ID, "launched", NOON), id="reach"),
    ],
)
def test_nothing_is_kept_of_a_server_that_is_not_enlisted(
    book: ServerBook, keep: Callable[[ServerBook], object]
) -> None:
    book.enlist("another", [REQUEST])
    with pytest.raises(RunUnknown, match=ID):
        keep(book)
    assert book.find("r", ID) is None
