"""The servers' part of the state machine, as it's deployed, in the embedded engine: a child for each server.

The state is the definition's own; functions stand for the stages, and this test is the watcher.
"""

from __future__ import annotations

import io
import json
import re
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
    from collections.abc import Callable, Iterator, Mapping, Sequence

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


def boot_client(state, context):
    note("boot", state)
    if state["server"]["id"].startswith("unbootable"):
        raise type("ClientBootFailed", (Exception,), {})("it stays dark")
    if not state.get("boot_client"):
        return result("pending", wait_seconds=1)
    return result("done")


def register_client(state, context):
    if not state.get("register_client"):
        return result("more", cursor={"at": 1})
    return result("done")


def park(event, context):
    note(context.function_name, event["state"], event["token"])
    return {}


def done(state, context):
    note(context.function_name, state)
    return result("done", facts={"verified": True})


def begin_wave(state, context):
    return result("done", facts={"begun": not state["wave"]["name"].startswith("never")})


def give_back(state, context):
    note("returned", state, json.dumps(state["failed"]))
    return result("done")
"""
PARKED = ("await_replication", "await_approval", "await_launch", "await_commit", "hold_server")
WORKING = ("quiesce", "cut_over", "verify_server", "close_server")
OWN = ("boot_client", "register_client", "begin_wave", "give_back")
HANDLER_OF = {**dict.fromkeys(PARKED, "park"), **dict.fromkeys(WORKING, "done"), **{name: name for name in OWN}}
WAY = ("await_replication", "await_approval", "await_launch", "await_commit")
"""What a server that goes home waits for, in this order."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """An embedded AWS with the machine and its functions in it."""

    states: Sdk
    machine: str
    notes: Path

    def start(self, *servers: str, timeout_seconds: int = 600, goal: str = "failback") -> str:
        return self.start_waves({"all": servers}, timeout_seconds=timeout_seconds, goal=goal)

    def start_waves(
        self, waves: Mapping[str, Sequence[str]], *, timeout_seconds: int = 600, goal: str = "failback"
    ) -> str:
        state = {
            "run": {"id": "r"},
            "goal": goal,
            "target": {"name": "home"},
            "home": {"name": "azure", "functions": {name: name for name in HANDLER_OF}},
            "client_image": {},
            "replication": {"at_once": 100},
            "cutover": {},
            "timeouts": dict.fromkeys(("replication", "approval", "launch", "commit", "hold"), timeout_seconds),
            "find_client_image": {},
            "waves": [
                {"name": name, "on_failure": "stop", "servers": [{"id": server} for server in servers]}
                for name, servers in waves.items()
            ],
        }
        started = self.states.start_execution(stateMachineArn=self.machine, input=json.dumps(state))
        return str(started["executionArn"])

    def note(self, kind: str, server: str) -> str:
        path = self.notes / f"{kind} {server}"
        return path.read_text() if path.is_file() else ""

    def ended(self, execution: str) -> dict[str, Any]:
        until(lambda: self.states.describe_execution(executionArn=execution)["status"] != "RUNNING")
        return dict(self.states.describe_execution(executionArn=execution))

    def tokens(self, *servers: str, stage: str = "await_replication") -> list[str]:
        until(lambda: all(self.note(stage, server) for server in servers))
        return [self.note(stage, server) for server in servers]

    def answer(self, server: str, stage: str, **facts: object) -> None:
        (token,) = self.tokens(server, stage=stage)
        self.states.send_task_success(taskToken=token, output=json.dumps({"status": "done", "facts": facts}))

    def take_home(self, server: str, *, first: str = "await_replication", accepted: bool = True) -> None:
        """Answer whatever it waits for, from there on."""
        for stage in WAY[WAY.index(first) :]:
            self.answer(server, stage, accepted=accepted)

    def outcomes(self, execution: str) -> dict[str, str]:
        """How the children of an execution ended, by server."""
        ends = [history[-1]["stateExitedEventDetails"]["output"] for history in child_histories(execution)]
        return {each["id"]: each["outcome"] for each in map(json.loads, ends)}

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
    for name, handler in HANDLER_OF.items():
        functions.create_function(
            FunctionName=name,
            Runtime=RUNTIME,
            Role=ROLE,
            Handler=f"app.{handler}",
            Code={"ZipFile": buffer.getvalue()},
            Environment={"Variables": {"NOTES": str(notes)}},
            Timeout=20,
            MemorySize=256,
        )
    done = {"Type": "Succeed"}
    waves = DEFINITION["States"]["waves"]
    machine = {"StartAt": "waves", "States": {"waves": waves, "give_back": done, "write_report": done}}
    text = re.sub(r"\$\{(\w+)\}", r"\1", json.dumps(machine))
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
    execution = cloud.start("good", "unaccepted", "unbootable", "stuck")
    cloud.answer("unbootable", "hold_server", next="give_back")
    (stuck,) = cloud.tokens("stuck")
    cloud.states.send_task_failure(taskToken=stuck, error="ReplicationStuck", cause='{"errorMessage": "no bytes"}')
    cloud.take_home("good")
    cloud.take_home("unaccepted", accepted=False)
    cloud.answer("stuck", "hold_server", next="give_back")
    told = cloud.ended(execution)
    assert told["status"] == "SUCCEEDED", told
    ways = {"good": "home", "unaccepted": "launched", "unbootable": "failed", "stuck": "failed"}
    assert cloud.outcomes(execution) == ways
    assert "ClientBootFailed" in cloud.note("returned", "unbootable")
    failed = json.loads(cloud.note("returned", "stuck"))["await_replication"]
    assert failed == {"Error": "ReplicationStuck", "Cause": '{"errorMessage": "no bytes"}'}
    assert not cloud.note("returned", "good")
    assert cloud.note("close_server", "good")
    assert not cloud.note("close_server", "unaccepted")
    assert not cloud.note("await_replication", "unbootable")


def test_what_failed_is_tried_again_where_it_failed(cloud: Cloud) -> None:
    execution = cloud.start("again")
    cloud.answer("again", "await_replication")
    (token,) = cloud.tokens("again", stage="await_approval")
    cloud.states.send_task_failure(taskToken=token, error="ApprovalTimedOut", cause="nobody came")
    cloud.answer("again", "hold_server", next="await_approval")
    until(lambda: cloud.note("await_approval", "again") != token)
    second = cloud.note("await_approval", "again").removeprefix(token)
    cloud.states.send_task_success(taskToken=second, output='{"status": "done", "facts": {}}')
    cloud.take_home("again", first="await_launch")
    assert cloud.ended(execution)["status"] == "SUCCEEDED"
    assert cloud.outcomes(execution) == {"again": "home"}
    assert cloud.note("boot", "again") == "xx", "it was booted once, in two calls"


def test_a_rehearsal_is_given_back_once_it_is_proven(cloud: Cloud) -> None:
    execution = cloud.start("drilled", goal="rehearse")
    for stage in ("await_replication", "await_approval", "await_launch"):
        cloud.answer("drilled", stage)
    assert cloud.ended(execution)["status"] == "SUCCEEDED"
    assert cloud.outcomes(execution) == {"drilled": "rehearsed"}
    assert cloud.note("returned", "drilled") == "{}"
    assert not cloud.note("await_commit", "drilled")


def test_waves_come_one_after_the_other(cloud: Cloud) -> None:
    execution = cloud.start_waves({"one": ["early"], "never-begun": ["left-out"], "two": ["late"]})
    cloud.tokens("early")
    time.sleep(0.3)
    assert not cloud.note("boot", "late")
    cloud.take_home("early")
    cloud.take_home("late")
    assert cloud.ended(execution)["status"] == "SUCCEEDED"
    assert cloud.outcomes(execution) == {"early": "home", "late": "home"}
    assert not cloud.note("boot", "left-out")


def test_a_wait_costs_few_events_and_none_while_it_lasts(cloud: Cloud) -> None:
    execution = cloud.start("patient")
    cloud.tokens("patient")
    until(lambda: "TaskSubmitted" in {event["type"] for event in child_histories(execution)[0][-2:]})
    parked = len(child_histories(execution)[0])
    time.sleep(1)
    assert len(child_histories(execution)[0]) == parked
    # Meanwhile the parent shows its own history.
    assert cloud.events(execution)[-1] == "MapRunStarted"
    assert "TaskSubmitted" not in cloud.events(execution)
    cloud.take_home("patient")
    cloud.ended(execution)
    (history,) = child_histories(execution)
    assert history[0]["type"] == "TaskStateEntered"
    assert [event["id"] for event in history] == list(range(1, len(history) + 1))
    assert len(history) < TELLS_OF_A_WAIT
    assert cloud.events(execution)[-1] == "ExecutionSucceeded"


def test_a_wait_that_nobody_answers_ends_by_itself(cloud: Cloud) -> None:
    """The hold too: what nobody decides on is given back."""
    execution = cloud.start("forgotten", timeout_seconds=1)
    assert cloud.ended(execution)["status"] == "SUCCEEDED"
    assert cloud.outcomes(execution) == {"forgotten": "failed"}
    assert json.loads(cloud.note("returned", "forgotten"))["await_replication"]["Error"] == "States.Timeout"
    with pytest.raises(ClientError, match="TaskTimedOut"):
        cloud.states.send_task_success(taskToken=cloud.note("await_replication", "forgotten"), output="{}")


def test_sixty_servers_go_their_way_at_once(cloud: Cloud) -> None:
    servers = [f"{'unbootable' if number % 10 == 9 else 'many'}-{number}" for number in range(60)]
    execution = cloud.start(*servers)
    answered: set[tuple[str, str]] = set()
    facts = {"await_commit": {"accepted": True}, "hold_server": {"next": "give_back"}}
    wanted = {(server, stage) for server in servers for stage in (WAY if "many" in server else ("hold_server",))}

    def answer() -> bool:
        for server, stage in sorted(wanted - answered):
            if token := cloud.note(stage, server):
                told = json.dumps({"status": "done", "facts": facts.get(stage, {})})
                cloud.states.send_task_success(taskToken=token, output=told)
                answered.add((server, stage))
        return answered == wanted

    until(answer)
    cloud.ended(execution)
    assert cloud.outcomes(execution) == {server: "home" if "many" in server else "failed" for server in servers}
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
