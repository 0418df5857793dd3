"""The contract of WaitingRoom."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from failback.clouds.aws.waiting_room import DynamoWaitingRoom
from failback.model.server import Parked
from tests.contracts.aws.conftest import KINDS
from tests.memory.clock import NOON
from tests.memory.waiting_room import MemoryWaitingRoom

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from failback.recovery_ports import WaitingRoom

FIRST = Parked(
    run="r",
    server="i-0000000a",
    milestone="replication",
    token="t1",
    since=NOON,
    deadline=NOON + timedelta(hours=1),
    stuck_minutes=60,
    on_stuck="fail",
)


@pytest.fixture(params=KINDS)
def room(request: pytest.FixtureRequest) -> WaitingRoom:
    if request.param == "memory":
        return MemoryWaitingRoom()
    return DynamoWaitingRoom(request.getfixturevalue("run_table"), "runs")


def changed(**update: object) -> Parked:
    return FIRST.model_copy(update=update)


def test_one_waits_until_it_leaves(room: WaitingRoom) -> None:
    assert list(room.everyone()) == []
    second = changed(server="i-0000000b", token="t2")
    third = changed(run="s", token="t3")
    for each in (third, second, FIRST):
        room.park(each)
    assert sorted(room.everyone(), key=lambda each: each.token) == [FIRST, second, third]
    room.leave(FIRST)
    room.leave(FIRST)
    assert sorted(room.everyone(), key=lambda each: each.token) == [second, third]


def test_what_changed_is_kept_while_it_waits(room: WaitingRoom) -> None:
    stuck = changed(stuck_since=NOON)
    room.keep(stuck)
    assert list(room.everyone()) == []
    room.park(FIRST)
    room.keep(stuck)
    assert list(room.everyone()) == [stuck]


def test_the_last_token_counts(room: WaitingRoom) -> None:
    again = changed(token="t9")
    room.park(FIRST)
    room.park(again)
    room.keep(changed(stuck_since=NOON))
    room.leave(FIRST)
    assert list(room.everyone()) == [again]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(
            {"parked": {"S": '{"run": "r", "token": "t2"}'}}, "milestone: Field required", id="of-another-version"
        ),
        pytest.param({"parked": {"S": "t2 {"}}, "parked: Invalid JSON", id="no-json"),
        pytest.param({}, "parked: Invalid JSON", id="nothing"),
    ],
)
def test_one_that_cannot_be_read_keeps_nobody_else(
    run_table: DynamoDBClient, damage: dict[str, dict[str, str]], said: str
) -> None:
    room, told = DynamoWaitingRoom(run_table, "runs"), list[str]()
    room.park(FIRST)
    room.park(changed(server="i-0000000c"))
    place = {"pk": {"S": "waiting"}, "sk": {"S": "replication#r#i-0000000b"}}
    run_table.put_item(TableName="runs", Item={**place, **damage})
    assert [each.server for each in room.everyone(told.append)] == ["i-0000000a", "i-0000000c"]
    (fault,) = told
    assert said in fault
    assert "sk=replication#r#i-0000000b" in fault
    assert "t2" not in fault
    with pytest.raises(ValueError, match="can't be read"):
        list(room.everyone())
