"""A server is parked by one function and answered by the other, and the state machine can go on with that."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter

from failback.door import door
from failback.errors import CloudBusy
from failback.model.recovery import RecoveryInstance
from failback.model.request import ServerRequest
from failback.model.run import RunState, StageResult
from failback.model.server import ReplicationProgress
from failback.waiting import STAGE
from lambdas.doors.watch import handler as watching
from lambdas.stages.await_replication import handler as waiting
from tests.lambdas.surroundings import Surroundings
from tests.states import event_of

EVENT = event_of(STAGE)
RUN, SERVER = EVENT["state"]["run"]["id"], EVENT["state"]["server"]["id"]
CONTEXT = SimpleNamespace(aws_request_id="r-1")
SCHEDULE = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
DRS = {"source": "aws.drs", "detail-type": "DRS Recovery Instance Failback State Change", "detail": {"state": "X"}}


@pytest.fixture
def around(request: pytest.FixtureRequest) -> Surroundings:
    # Powertools keeps a service's log where it first went: each test has services of its own.
    around = Surroundings(request.node.name)
    around.servers.enlist(RUN, [ServerRequest(recovery_instance=SERVER)])
    around.task_tokens.waiting = {EVENT["token"]}
    arn = f"arn:aws:drs:eu-west-1:111122223333:recovery-instance/{SERVER}"
    around.recovery.add(
        RecoveryInstance(
            id=SERVER,
            arn=arn,
            source_server="s-0a1b2c3d4e5f60718",
            ec2_state="RUNNING",
            failback_state="FAILBACK_IN_PROGRESS",
            replication_state="INITIAL_SYNC",
        )
    )
    return around


def wait(around: Surroundings, event: dict[str, Any] = EVENT) -> dict[str, Any]:
    return door(f"{STAGE} {around.name}", waiting.await_replication, around.connect)(event, CONTEXT)


def watch(around: Surroundings, event: dict[str, Any] = SCHEDULE) -> dict[str, Any]:
    return door(f"watch {around.name}", watching.watch, around.connect)(event, CONTEXT)


def test_parked_watched_and_answered(around: Surroundings, capsys: pytest.CaptureFixture[str]) -> None:
    assert wait(around)["status"] == "pending"
    assert around.run_log.server_entries[RUN, SERVER][STAGE].status == "pending"
    counts = {"looked_at": 1, "answered": 0, "left": 0, "busy": False, "faults": []}
    assert watch(around) == counts
    around.recovery.change(SERVER, failback_state="FAILBACK_READY_FOR_LAUNCH", replication_state="CONTINUOUS")
    assert watch(around, DRS) == {**counts, "answered": 1}
    assert watch(around) == {**counts, "looked_at": 0}
    output = json.loads(around.task_tokens.succeeded[EVENT["token"]])
    result = TypeAdapter(StageResult[ReplicationProgress, None]).validate_python(output)
    assert RunState.model_validate({**EVENT["state"], STAGE: output}).await_replication == result
    assert around.run_log.server_entries[RUN, SERVER][STAGE].status == "done"
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["ServersWaiting"] for line in said if "ServersWaiting" in line] == [[1.0], [0.0], [0.0]]
    assert [line["ServersAnswered"] for line in said if "ServersAnswered" in line] == [[0.0], [1.0], [0.0]]
    assert {
        line["server"] for line in said if line.get("service") == f"{STAGE} {around.name}" and "message" in line
    } == {SERVER}


def test_a_token_is_not_logged(around: Surroundings, capsys: pytest.CaptureFixture[str]) -> None:
    wait(around)
    around.recovery.change(SERVER, failback_state="FAILBACK_COMPLETED")
    watch(around)
    said = capsys.readouterr().out
    assert "door called" in said
    assert EVENT["token"] not in said


def test_what_had_to_be_left_is_told(around: Surroundings, capsys: pytest.CaptureFixture[str]) -> None:
    wait(around)
    around.recovery.refuse["instances"] = CloudBusy("DRS is busy")
    assert watch(around)["faults"] == ["DRS is busy"]
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (warned,) = [line for line in said if line.get("level") == "WARNING"]
    assert warned["cause"] == "DRS is busy"
    assert [line["ServersLeft"] for line in said if "ServersLeft" in line] == [[1.0]]


def test_the_handlers_are_made_of_them() -> None:
    assert callable(waiting.handler)
    assert callable(watching.handler)
