"""`failback check` and `failback start`: the plan is shown first, a person is asked, faults come with their paths."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from failback.model.request import ServerRequest
from tests.cli import histories
from tests.cli.histories import at, noted, record
from tests.cli.servers_of_runs import IDS, PLAN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cloud


def keep(cloud: Cloud, run: str, goal: str) -> None:
    """What the run's own stages would have noted."""
    from failback.clouds.aws.server_book import DynamoServerBook
    from failback.model.ending import Outcome

    cloud.run_log.open(record(run, goal=goal))
    cloud.run_log.note(run, noted("check_readiness"))
    book = DynamoServerBook(cloud.run_log._dynamodb, cloud.run_log._table)
    book.enlist(run, [ServerRequest(recovery_instance=IDS[0])])
    book.plan(run, PLAN)
    cloud.run_log.close(run, Outcome(outcome="done"), at(5))


def test_checking_shows_the_plan_and_makes_nothing(cloud: Cloud) -> None:
    keep(cloud, "look", "check")
    done = cloud.run("check", "azure-home", IDS[0], "--run", "look")
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"{IDS[0]}  web (linux, UEFI, its client by BIOS): way helper")
    assert "/dev/xvdb" in done.output
    told = cloud.deployment.execution("look")
    assert told is not None
    asked = {"goal": "check", "target": "azure-home", "servers": [{"recovery_instance": IDS[0]}]}
    assert json.loads(told.request) == asked
    as_json = cloud.run("check", "azure-home", IDS[0], "--run", "look", "--json")
    assert json.loads(as_json.output) == PLAN.model_dump(mode="json")


def test_starting_checks_first_and_asks_nobody_where_nobody_is(cloud: Cloud) -> None:
    refused = cloud.run("start", "azure-home", IDS[0], "--run", "asked", "--no-watch", "--fence", "none")
    assert refused.exit_code != 0
    assert "say --yes" in str(refused.exception)
    assert cloud.deployment.execution("asked") is None
    words = ("--run", "go", "--yes", "--no-watch", "--way", "new", "--public-ip", "--fence", "none", "--automatic")
    done = cloud.run("start", "azure-home", IDS[0], *words)
    assert done.exit_code == 0, done.output
    assert "Run go at stack drs-failback in eu-west-1" in done.output
    told = cloud.deployment.execution("go")
    assert told is not None
    assert json.loads(told.request) == {
        "goal": "failback",
        "target": "azure-home",
        "servers": [{"recovery_instance": IDS[0], "way": "new"}],
        "replication": {"private_ip": False},
        "cutover": {"fence": {"kind": "none"}, "launch": {"mode": "automatic"}},
    }
    checks = [
        each["name"] for each in cloud.states.list_executions(stateMachineArn=cloud.deployment.machine)["executions"]
    ]
    (checked,) = (cloud.deployment.execution(name) for name in checks if name.startswith("check-go-"))
    assert checked is not None
    asked = json.loads(checked.request)
    assert (asked["goal"], asked["cutover"]) == ("check", json.loads(told.request)["cutover"])


def test_a_check_that_fails_starts_nothing(cloud: Cloud) -> None:
    failed = cloud.run("start", "broken", IDS[0], "--run", "never", "--yes", "--fence", "none")
    assert failed.exit_code == 1
    assert "AWS denies a right" in failed.output
    assert cloud.deployment.execution("never") is None
    assert cloud.run("check", "refused", IDS[0]).exit_code == 2


def test_a_file_holds_what_the_command_line_doesnt(cloud: Cloud, tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    chosen = {"recovery_instance": IDS[1], "disks": [{"device": "/dev/xvdb", "exclude": True}]}
    cutover = {"fence": {"kind": "ssm", "document": "Stop-Workload"}, "commit": {"by": "policy"}}
    file.write_text(json.dumps({"servers": [chosen], "replication": {"deadline_hours": 5}, "cutover": cutover}))
    words = ("--request", str(file), "--bandwidth", "50", "--yes", "--no-watch", "--run", "filed")
    assert cloud.run("start", "azure-home", IDS[1], *words).exit_code == 0
    told = cloud.deployment.execution("filed")
    assert told is not None
    request = json.loads(told.request)
    assert request["servers"] == [chosen]
    assert request["replication"] == {"deadline_hours": 5, "bandwidth_mbps": 50}
    assert request["cutover"] == cutover


def test_a_rehearsal_is_a_goal_of_its_own(cloud: Cloud) -> None:
    words = ("--rehearse", "--yes", "--no-watch", "--run", "trial", "--way", "new")
    done = cloud.run("start", "azure-home", IDS[0], *words)
    assert done.exit_code == 0, done.output
    told = cloud.deployment.execution("trial")
    assert told is not None
    assert json.loads(told.request)["goal"] == "rehearse"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("azure-home",), "goal check takes at least one recovery instance"),
        (("azure-home", "web-1"), "servers.0.recovery_instance"),
        (("azure-home", IDS[0], IDS[0]), "stands there 2 times"),
        (("azure-home", IDS[0], "--way", "sideways"), "servers.0.way"),
        (("azure-home", IDS[0], "--bandwidth", "-1"), "replication.bandwidth_mbps"),
        (("azure-home", IDS[0], "--request", "/nowhere.json"), "--request /nowhere.json"),
    ],
    ids=["none", "no-id", "twice", "way", "bandwidth", "file"],
)
def test_faults_come_with_their_paths(cloud: Cloud, words: tuple[str, ...], said: str) -> None:
    refused = cloud.run("check", *words)
    assert refused.exit_code != 0
    assert said in str(refused.exception)


def test_a_request_that_is_no_object_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    for text, said in (("[]", "holds no object"), ("{", "Expecting")):
        file.write_text(text)
        assert said in str(cloud.run("check", "azure-home", IDS[0], "--request", str(file)).exception)


def test_histories_have_no_servers_unless_they_were_enlisted() -> None:
    assert histories.done().servers == ()
