"""The servers' part of the state machine, as it's deployed, in the embedded engine: a child for each server.

The state is the definition's own; functions stand for the stages, and this test is the watcher.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import boto3
import pytest
from botocore.exceptions import ClientError

from localcloud.gateway.run import AwsSettings, run_aws
from localcloud.lambda_runner.function import RUNTIME
from localcloud.moto_seams.map_runs import child_histories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Sdk: TypeAlias = Any
"""Something made at run time (an SDK's client, JSON) that has no type."""
ROOT = Path(__file__).resolve().parents[2]
DEFINITION = json.loads((ROOT / "statemachine/failback.asl.json").read_text(encoding="utf-8"))
ROLE = "arn:aws:iam::123456789012:role/test"
LONGEST_SECONDS = 60
TELLS_OF_A_WAIT = 100
"""Events that a server's wait may cost, however long it is."""

HANDLERS = """
import json, os, pathlib


def result(status, **more):
    return {"status": status, "wait_seconds": 0, "since": None, "progress": None, "cursor": None, "facts": {}, **more}


def note(kind, state, text="x"):
    with pathlib.Path(os.environ["NOTES"], kind + " " + state["server"]["id"]).open("a") as file:
        file.write(text)


def boot(state, context):
    note("boot", state)
    if state["server"]["id"].startswith("unbootable"):
        raise type("ClientBootFailed", (Exception,), {})("it stays dark")
    if not state.get("boot_client"):
        return result("pending", wait_seconds=1)
    return result("done")


def register(state, context):
    if not state.get("register_client"):
        return result("more", cursor={"at": 1})
    return result("done")


def park(event, context):
    note("token", event["state"], event["token"])
    return {}


def give_back(state, context):
    note("returned", state, json.dumps(state["failed"]))
    return result("done")
"""


@dataclass(frozen=True, slots=True)
class Cloud:
    """An embedded AWS with the machine and its functions in it."""

    states: Sdk
    machine: str
    notes: Path

    def start(self, *servers: str, timeout_seconds: int = 600) -> str:
        named = {stage: stage.partition("_")[0] for stage in ("boot_client", "register_client")}
        state = {
            "run": {"id": "r"},
            "goal": "failback",
            "target": {"name": "home"},
            "home": {"name": "azure", "functions": {**named, "give_back": "give_back"}},
            "client_image": {},
            "replication": {"at_once": 100},
            "timeout_seconds": timeout_seconds,
            "find_client_image": {},
            "servers": [{"id": server} for server in servers],
        }
        started = self.states.start_execution(stateMachineArn=self.machine, input=json.dumps(state))
        return str(started["executionArn"])

    def note(self, kind: str, server: str) -> str:
        path = self.notes / f"{kind} {server}"
        return path.read_text() if path.is_file() else ""

    def ended(self, execution: str) -> dict[str, Any]:
        until(lambda: self.states.describe_execution(executionArn=execution)["status"] != "RUNNING")
        return dict(self.states.describe_execution(executionArn=execution))

    def tokens(self, *servers: str) -> list[str]:
        until(lambda: all(self.note("token", server) for server in servers))
        return [self.note("token", server) for server in servers]

    def events(self, execution: str) -> list[str]:
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event["type"] for page in pages for event in page["events"]]


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + LONGEST_SECONDS
    while not holds():
        assert time.monotonic() < end, "it doesn't come about"
        time.sleep(0.05)


def deploy(session: Sdk, url: str, notes: Path) -> str:
    functions, states = (session.client(name, endpoint_url=url) for name in ("lambda", "stepfunctions"))
    session.client("iam", endpoint_url=url).create_role(RoleName="test", AssumeRolePolicyDocument="{}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr("app.py", HANDLERS)
    for name in ("boot", "register", "park", "give_back"):
        functions.create_function(
            FunctionName=name,
            Runtime=RUNTIME,
            Role=ROLE,
            Handler=f"app.{name}",
            Code={"ZipFile": buffer.getvalue()},
            Environment={"Variables": {"NOTES": str(notes)}},
            Timeout=20,
            MemorySize=256,
        )
    done = {"Type": "Succeed"}
    servers = {**DEFINITION["States"]["servers"], "ResultPath": "$.ended"}
    machine = {"StartAt": "servers", "States": {"servers": servers, "give_back": done, "write_report": done}}
    text = json.dumps(machine).replace("${await_replication}", "park")
    return str(states.create_state_machine(name="m", definition=text, roleArn=ROLE)["stateMachineArn"])


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("aws")
    notes = folder / "notes"
    notes.mkdir()
    with run_aws(AwsSettings(folder, wait_scale=0.01)) as aws:
        session = boto3.session.Session("local", "local", region_name="eu-west-1")
        machine = deploy(session, aws.url, notes)
        yield Cloud(session.client("stepfunctions", endpoint_url=aws.url), machine, notes)


def test_each_server_ends_in_its_own_way(cloud: Cloud) -> None:
    execution = cloud.start("good", "unbootable", "stuck")
    good, stuck = cloud.tokens("good", "stuck")
    cloud.states.send_task_success(taskToken=good, output='{"status": "done"}')
    cloud.states.send_task_failure(taskToken=stuck, error="ReplicationStuck", cause='{"errorMessage": "no bytes"}')
    told = cloud.ended(execution)
    assert told["status"] == "SUCCEEDED", told
    outcomes = {"good": "ready", "unbootable": "failed", "stuck": "failed"}
    assert json.loads(told["output"])["ended"] == [{"id": each, "outcome": how} for each, how in outcomes.items()]
    assert "ClientBootFailed" in cloud.note("returned", "unbootable")
    failed = json.loads(cloud.note("returned", "stuck"))["await_replication"]
    assert failed == {"Error": "ReplicationStuck", "Cause": '{"errorMessage": "no bytes"}'}
    assert not cloud.note("returned", "good")
    assert not cloud.note("token", "unbootable")


def test_a_wait_costs_few_events_and_none_while_it_lasts(cloud: Cloud) -> None:
    execution = cloud.start("patient")
    (token,) = cloud.tokens("patient")
    until(lambda: "TaskSubmitted" in {event["type"] for event in child_histories(execution)[0][-2:]})
    parked = len(child_histories(execution)[0])
    time.sleep(1)
    assert len(child_histories(execution)[0]) == parked
    # Meanwhile the parent shows its own history.
    assert cloud.events(execution) == ["ExecutionStarted", "MapStateEntered", "MapStateStarted", "MapRunStarted"]
    cloud.states.send_task_success(taskToken=token, output='{"status": "done"}')
    cloud.ended(execution)
    (history,) = child_histories(execution)
    assert history[0]["type"] == "TaskStateEntered"
    assert [event["id"] for event in history] == list(range(1, len(history) + 1))
    assert len(history) < TELLS_OF_A_WAIT
    assert cloud.events(execution)[-1] == "ExecutionSucceeded"


def test_a_wait_that_nobody_answers_ends_by_itself(cloud: Cloud) -> None:
    execution = cloud.start("forgotten", timeout_seconds=1)
    assert json.loads(cloud.ended(execution)["output"])["ended"] == [{"id": "forgotten", "outcome": "failed"}]
    assert json.loads(cloud.note("returned", "forgotten"))["await_replication"]["Error"] == "States.Timeout"
    with pytest.raises(ClientError, match="TaskTimedOut"):
        cloud.states.send_task_success(taskToken=cloud.note("token", "forgotten"), output="{}")


def test_sixty_servers_go_their_way_at_once(cloud: Cloud) -> None:
    servers = [f"{'unbootable' if number % 10 == 9 else 'many'}-{number}" for number in range(60)]
    waiting = [server for server in servers if server.startswith("many")]
    execution = cloud.start(*servers)
    answered: set[str] = set()

    def answer() -> bool:
        for server in waiting:
            if server not in answered and (token := cloud.note("token", server)):
                cloud.states.send_task_success(taskToken=token, output='{"status": "done"}')
                answered.add(server)
        return len(answered) == len(waiting)

    until(answer)
    told = cloud.ended(execution)
    outcomes = {each["id"]: each["outcome"] for each in json.loads(told["output"])["ended"]}
    assert outcomes == {server: "ready" if server in answered else "failed" for server in servers}
    histories = child_histories(execution)
    assert len(histories) == 60
    assert max(map(len, histories)) < TELLS_OF_A_WAIT
    assert len(cloud.events(execution)) < TELLS_OF_A_WAIT


def test_a_stop_ends_the_children_too(cloud: Cloud) -> None:
    execution = cloud.start("stopped-1", "stopped-2")
    tokens = cloud.tokens("stopped-1", "stopped-2")
    cloud.states.stop_execution(executionArn=execution, error="Operator", cause="wrong servers")
    assert cloud.ended(execution)["status"] == "ABORTED"
    assert cloud.events(execution)[-1] == "ExecutionAborted"
    for token in tokens:
        with pytest.raises(ClientError, match="TaskTimedOut"):
            cloud.states.send_task_success(taskToken=token, output="{}")
    time.sleep(0.5)
    # A stop runs no Catch: nothing has been given back.
    assert not cloud.note("returned", "stopped-1")
