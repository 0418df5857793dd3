"""A server is parked by one function, decided about by another, answered by a third; the state machine goes on."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter

from failback.contracts import read_contract
from failback.door import door
from failback.errors import CloudBusy, RequestInvalid
from failback.model.decision import Decision
from failback.model.record import RunRecord
from failback.model.recovery import RecoveryInstance
from failback.model.request import ServerRequest
from failback.model.run import RunState
from failback.model.server import ReplicationProgress
from failback.model.stage import StageResult
from failback.waiting import ParkEvent
from lambdas.doors.decide import handler as deciding
from lambdas.doors.watch import handler as watching
from lambdas.stages.await_approval import handler as approval
from lambdas.stages.await_commit import handler as commit
from lambdas.stages.await_launch import handler as launch
from lambdas.stages.await_replication import handler as waiting
from lambdas.stages.hold_server import handler as hold
from tests.lambdas.surroundings import Surroundings
from tests.memory.clock import NOON
from tests.states import STAGES as FOLDER
from tests.states import event_of

STAGE = "await_replication"
EVENT = event_of(STAGE)
STAGES: dict[str, Any] = {
    STAGE: waiting.await_replication,
    "await_approval": approval.await_approval,
    "await_launch": launch.await_launch,
    "await_commit": commit.await_commit,
    "hold_server": hold.hold_server,
}
RUN, SERVER = EVENT["state"]["run"]["id"], EVENT["state"]["server"]["id"]
CONTEXT = SimpleNamespace(aws_request_id="r-1")
SCHEDULE = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
DRS = {"source": "aws.drs", "detail-type": "DRS Recovery Instance Failback State Change", "detail": {"state": "X"}}
STOP = Decision(subject="stop", scope="run", verdict="stop", actor="kim", known_by="a test", at=NOON)


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


def wait_for(around: Surroundings, stage: str, **state: object) -> dict[str, Any]:
    event = event_of(stage)
    event["state"] = {**event["state"], **state}
    return door(f"{stage} {around.name}", STAGES[stage], around.connect)(event, CONTEXT)


def decide(around: Surroundings, **fields: object) -> dict[str, Any]:
    event = {"run": RUN, "actor": "kim", "servers": [SERVER], **fields}
    return door(f"decide {around.name}", deciding.decide_on_run, around.connect)(event, CONTEXT)


def open_run(around: Surroundings) -> None:
    record = {"run": RUN, "execution": "arn", "goal": "failback", "target": "t", "home": "azure", "started": NOON}
    around.run_log.open(RunRecord.model_validate(record))


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


@pytest.mark.parametrize(
    ("stage", "decision", "member"),
    [
        pytest.param("await_approval", ("approval", "approve"), ("actor", "kim"), id="approval"),
        pytest.param("await_commit", ("commit", "accept"), ("accepted", True), id="commit"),
        pytest.param("hold_server", ("hold", "retry"), ("next", "await_launch"), id="hold"),
    ],
)
def test_parked_decided_and_answered(
    around: Surroundings, stage: str, decision: tuple[str, str], member: tuple[str, object]
) -> None:
    open_run(around)
    assert wait_for(around, stage)["status"] == "pending"
    assert not watch(around)["answered"]
    decided = decide(around, subject=decision[0], verdict=decision[1])
    assert (decided["asleep"], around.watcher.woken) == ("", 1)
    assert "request r-1 " in decided["decisions"][0]["known_by"]
    assert watch(around, {})["answered"] == 1
    output = json.loads(around.task_tokens.succeeded[EVENT["token"]])
    result = getattr(RunState.model_validate({**EVENT["state"], stage: output}), stage)
    assert (result.status, result.facts.model_dump()[member[0]]) == ("done", member[1])


def test_parked_launched_and_answered(around: Surroundings) -> None:
    around.servers.reach(RUN, SERVER, "fenced", NOON)
    around.recovery.change(SERVER, failback_state="FAILBACK_READY_FOR_LAUNCH", replication_state="CONTINUOUS")
    assert wait_for(around, "await_launch")["status"] == "pending"
    assert not watch(around)["answered"]
    around.launches.finish(SERVER)
    assert watch(around, DRS)["answered"] == 1
    job = json.loads(around.task_tokens.succeeded[EVENT["token"]])["facts"]["job"]
    assert around.launches.jobs_of(SERVER) == [job]


def test_a_function_that_answers_itself_leaves_nothing_to_the_watcher(around: Surroundings) -> None:
    cutover = {"launch": {"mode": "automatic"}}
    assert wait_for(around, "await_approval", cutover=cutover)["status"] == "pending"
    assert json.loads(around.task_tokens.succeeded[EVENT["token"]])["facts"]["actor"] == "policy"
    assert watch(around)["looked_at"] == 0


def test_a_stop_reaches_whoever_waits(around: Surroundings) -> None:
    open_run(around)
    wait(around)
    decide(around, subject="stop", verdict="stop", servers=[])
    assert watch(around)["answered"] == 1
    assert around.task_tokens.failed[EVENT["token"]][0] == "Stopped"


def test_a_faulty_decision_is_refused(around: Surroundings) -> None:
    with pytest.raises(RequestInvalid, match="there is no run"):
        decide(around, subject="stop", verdict="stop", servers=[])


def test_a_watcher_that_could_not_be_woken_is_told(around: Surroundings, capsys: pytest.CaptureFixture[str]) -> None:
    open_run(around)
    around.watcher.trouble = CloudBusy("Lambda is busy")
    assert decide(around, subject="stop", verdict="stop", servers=[])["asleep"] == "Lambda is busy"
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["cause"] for line in said if line.get("level") == "WARNING"] == ["Lambda is busy"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_asks_for_what_its_contract_allows_only(around: Surroundings, stage: str) -> None:
    """Answering takes the tokens and leaving the room: those that never answer have neither."""
    allowed = read_contract(FOLDER / stage).allow
    answers = "task_tokens" in allowed
    assert answers == ("dynamodb:DeleteItem" in allowed["run_log"])
    around.decisions.decide(RUN, STOP)
    wait_for(around, stage)
    assert (EVENT["token"] not in around.task_tokens.waiting) == answers


def test_the_handlers_are_made_of_them() -> None:
    for module in (waiting, approval, launch, commit, hold, watching, deciding):
        assert callable(module.handler)
    assert ParkEvent.model_validate(EVENT).token == EVENT["token"]
