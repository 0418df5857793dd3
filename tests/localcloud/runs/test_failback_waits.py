"""Waiting: two weeks of it cost what a day costs, and hundreds of servers are looked at in a handful of calls."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from failback.clouds.aws.waiting_room import DynamoWaitingRoom
from failback.model.recovery import INITIATION_STEPS
from failback.model.server import Parked
from failback.sweep import LEASE_FOR
from localcloud.drs.plans import ClientPlan
from localcloud.drs.records import ClientLink, DiskProgress, NewInstance
from localcloud.faults import Delay, FaultRule, Throttle
from localcloud.moto_seams.map_runs import child_histories
from tests.localcloud.runs.servers import GIB, by_id, check_transitions, failback, failed_over, outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.drs.records import RecoveryInstance
    from localcloud.faults import Action
    from tests.localcloud.runs.place import Place

DAYS = 14
MANY = 450
DESCRIBE = "DescribeRecoveryInstances"


@pytest.fixture(scope="module")
def replicating(place: Place) -> list[RecoveryInstance]:
    """Recovery instances in the middle of their replication, for which nobody copies anything here."""
    world, now = place.clouds.drs.world, place.clock.now()
    made = [world.add_recovery_instance(NewInstance({"/dev/xvda": GIB}, name=f"many-{n}")) for n in range(MANY)]
    for each in made:
        each.link = ClientLink(client="c" * 32, original=False, started=now, seen=now, local={"/dev/sdb": GIB})
        each.link.steps = dict.fromkeys(INITIATION_STEPS, "SUCCEEDED")
        each.link.disks = {"/dev/xvda": DiskProgress(GIB, replicated=GIB // 2)}
    return made


@pytest.fixture
def room(place: Place) -> Iterator[DynamoWaitingRoom]:
    """The waiting room, which is empty afterwards."""
    room = DynamoWaitingRoom(place.clouds.client("dynamodb"), place.deployed.outputs["RunLogTable"])
    yield room
    for each in list(room.everyone()):
        room.leave(each)


def park(place: Place, room: DynamoWaitingRoom, servers: list[RecoveryInstance]) -> None:
    now = place.clock.now()
    for each in servers:
        room.park(
            Parked(
                run="many",
                server=each.id,
                milestone="replication",
                token=f"token-of-{each.id}",
                since=now,
                deadline=now + timedelta(days=DAYS),
                stuck_minutes=60,
                on_stuck="fail",
            )
        )


def rule(action: Action, *, service: str = "drs", operation: str = DESCRIBE, nth: tuple[int, ...] = ()) -> FaultRule:
    return FaultRule(action=action, service=service, operation=operation, nth=nth)


COUNTED = rule(Delay(seconds=0))


@pytest.mark.parametrize(("count", "calls"), [(1, 1), (50, 1), (MANY, 3)], ids=["1", "50", "450"])
def test_a_look_at_everyone_takes_a_call_for_each_200(
    place: Place, room: DynamoWaitingRoom, replicating: list[RecoveryInstance], count: int, calls: int
) -> None:
    park(place, room, replicating[:count])
    done = len(place.clouds.faults.records)
    with place.faults(COUNTED):
        swept = place.watch()
    assert (swept["looked_at"], swept["answered"], swept["left"], swept["faults"]) == (count, 0, 0, [])
    assert len(place.clouds.faults.records) - done == calls
    assert len(list(room.everyone())) == count


def test_a_look_that_is_throttled_in_its_middle_is_taken_up_by_the_next(
    place: Place, room: DynamoWaitingRoom, replicating: list[RecoveryInstance]
) -> None:
    park(place, room, replicating)
    before = {each.server: each for each in room.everyone()}
    began = time.monotonic()
    with place.faults(rule(Throttle(), nth=tuple(range(2, 40)))):
        swept = place.watch()
    assert (swept["looked_at"], swept["left"]) == (200, MANY - 200), swept
    # The lease that keeps other watchers away is held for no longer.
    assert time.monotonic() - began < LEASE_FOR.total_seconds()
    assert swept["faults"]
    assert {each.server: each for each in room.everyone()} == before
    swept = place.watch()
    assert (swept["looked_at"], swept["left"]) == (MANY, 0)


def test_two_watchers_at_once_answer_each_token_once(
    place: Place, room: DynamoWaitingRoom, replicating: list[RecoveryInstance]
) -> None:
    """Nobody waits with these tokens: what counts is that each is told to the state machine once."""
    some = replicating[:50]
    park(place, room, some)
    for each in some:
        assert each.link is not None
        each.link.attained = place.clock.now()
    answers = rule(Delay(seconds=0.3), service="states", operation="SendTaskSuccess")
    done = len(place.clouds.faults.records)
    with place.faults(answers), ThreadPoolExecutor(2) as pool:
        swept = list(pool.map(lambda _: place.watch(), range(2)))
    assert sorted(each["looked_at"] for each in swept) == [0, len(some)]
    assert len(place.clouds.faults.records) - done == len(some)
    assert list(room.everyone()) == []


def test_two_weeks_of_waiting_cost_what_a_day_costs(place: Place) -> None:
    server = failed_over(place, "slow")
    place.clouds.drs.plan(server.id, ClientPlan(hold=0.5))
    execution = failback(place, "slow", [server], deadline_hours=DAYS * 24 + 24)
    place.wait_until(lambda: waits(execution), "the server to wait")
    place.wait_until(lambda: server.link is not None and server.link.attained is not None, "its bytes to come")
    seen, watches = [], place.watches()
    # Looks alone could add events, not the hours between them: one day has a look an hour, the others have four.
    hours = [1] * 24 + [6] * (4 * (DAYS - 1))
    for each in hours:
        place.tick(minutes=60 * each)
        seen.append(len(child_histories(execution)[0]))
    assert sum(hours) == DAYS * 24
    assert place.watches() - watches >= len(hours)
    assert seen[23] == seen[-1] < 100, seen
    record = by_id(place, execution)[server.id].record
    assert record.outcome is None
    assert record.progress is not None
    assert (record.progress.verdict, record.progress.replicated * 2) == ("waiting", record.progress.total)
    assert place.clock.now() - record.progress.at < timedelta(hours=1)
    place.clouds.drs.plan(server.id, ClientPlan())
    told = place.finish_watched(execution)
    assert told["status"] == "SUCCEEDED", told
    assert outcome_of(by_id(place, execution)[server.id]).outcome == "home"
    (events,) = check_transitions(execution)
    print(f"{place.watches() - watches} looks in {sum(hours)} hours; {seen[-1]} events while it waits, {events} in all")


def waits(execution: str) -> bool:
    """Whether its one server has been taken in: nothing follows that until its token is answered."""
    try:
        histories = child_histories(execution)
    except (KeyError, AttributeError):
        return False
    return bool(histories and histories[0]) and histories[0][-1]["type"] == "TaskSubmitted"
