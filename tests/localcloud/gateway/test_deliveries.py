"""Events and schedules reach functions and state machines, by the API that a template would use."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.localcloud.gateway.conftest import ROLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.localcloud.gateway.conftest import Fixture, Sdk

NOW = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
FAILING = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "Named", "Cause": "why"}}})


def rule(cloud: Fixture, name: str, target: dict[str, Any], **when: Sdk) -> str:
    events = cloud.client("events")
    arn = str(events.put_rule(Name=name, **when)["RuleArn"])
    events.put_targets(Rule=name, Targets=[{"Id": "t", **target}])
    return arn


def noted(cloud: Fixture, wanted: Callable[[Any], bool], seconds: float = 5) -> Sdk:
    """The first event that the function `note` wrote down and that's wanted."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        lines = cloud.notes.read_text().splitlines() if cloud.notes.exists() else []
        for event in map(json.loads, lines):
            if wanted(event):
                return event
        time.sleep(0.02)
    return None


def put(cloud: Fixture, source: str, detail: Sdk) -> None:
    entry = {"Source": source, "DetailType": "Kind", "Detail": json.dumps(detail), "Resources": ["arn:x"]}
    assert cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def test_an_event_comes_whole_or_as_its_target_wants_it(cloud: Fixture) -> None:
    arn = cloud.function("events_note", "note")
    template = '{"id": "run-<n>", "first": <r>, "all": <d>, "rule": <aws.events.rule-name>, "gone": <g>}'
    paths = {"n": "$.detail.n", "r": "$.resources[0]", "d": "$.detail", "g": "$.detail.none"}
    pattern = json.dumps({"source": ["forms"]})
    rule(cloud, "whole", {"Arn": arn}, EventPattern=pattern)
    rule(cloud, "constant", {"Arn": arn, "Input": '{"constant": 1}'}, EventPattern=pattern)
    rule(cloud, "part", {"Arn": arn, "InputPath": "$.detail"}, EventPattern=pattern)
    transformer = {"InputPathsMap": paths, "InputTemplate": template}
    rule(cloud, "changed", {"Arn": arn, "InputTransformer": transformer}, EventPattern=pattern)
    put(cloud, "forms", {"n": 7})
    whole = noted(cloud, lambda event: event.get("source") == "forms")
    assert (whole["detail"], whole["detail-type"], whole["account"]) == ({"n": 7}, "Kind", "123456789012")
    assert datetime.fromisoformat(whole["time"]).tzinfo
    assert noted(cloud, lambda event: event == {"constant": 1})
    assert noted(cloud, lambda event: event == {"n": 7})
    expected = {"id": "run-7", "first": "arn:x", "all": {"n": 7}, "rule": "changed", "gone": ""}
    assert noted(cloud, lambda event: event == expected)


def test_a_rule_that_is_disabled_or_doesnt_match_is_silent(cloud: Fixture) -> None:
    arn = cloud.function("silent_note", "note")
    rule(cloud, "off", {"Arn": arn}, EventPattern='{"source": ["off"]}', State="DISABLED")
    rule(cloud, "other", {"Arn": arn}, EventPattern='{"source": ["other"], "detail": {"state": ["READY"]}}')
    put(cloud, "off", {})
    put(cloud, "other", {"state": "WAITING"})
    assert noted(cloud, lambda event: event.get("source") in {"off", "other"}, seconds=0.4) is None


def test_a_target_that_isnt_there_fails_nobody_and_is_told(cloud: Fixture) -> None:
    gone = "arn:aws:lambda:eu-west-1:123456789012:function:gone"
    rule(cloud, "lost", {"Arn": gone}, EventPattern='{"source": ["lost"]}')
    put(cloud, "lost", {})
    assert gone in cloud.aws.undelivered[-1]


def test_an_executions_end_is_an_event(cloud: Fixture) -> None:
    arn, states = cloud.function("ended_note", "note"), cloud.client("stepfunctions")
    pattern = {"source": ["aws.states"], "detail": {"status": ["FAILED", "ABORTED", "TIMED_OUT"]}}
    rule(cloud, "ends", {"Arn": arn}, EventPattern=json.dumps(pattern))
    machine = states.create_state_machine(name="failing", definition=FAILING, roleArn=ROLE)["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine, input='{"run":"r"}')["executionArn"]
    event = noted(cloud, lambda event: event.get("detail", {}).get("executionArn") == execution)
    assert event["detail-type"] == "Step Functions Execution Status Change"
    told = {name: event["detail"][name] for name in ("status", "error", "cause", "input", "stateMachineArn")}
    expected = {"status": "FAILED", "error": "Named", "cause": "why", "input": '{"run":"r"}'}
    assert told == {**expected, "stateMachineArn": machine}


def test_schedules_fire_when_the_clock_says_so(cloud: Fixture) -> None:
    arn = cloud.function("scheduled_note", "note")
    every = rule(cloud, "every", {"Arn": arn, "Input": '{"every": 1}'}, ScheduleExpression="rate(1 minute)")
    noon = rule(cloud, "noon", {"Arn": arn}, ScheduleExpression="cron(0 12 * * ? *)")
    target = {"Arn": arn, "RoleArn": ROLE, "Input": '{"at": 1}'}
    cloud.client("scheduler").create_schedule(
        Name="once",
        ScheduleExpression="at(2026-01-31T10:30:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=target,
    )
    tick = cloud.aws.clock.tick
    assert tick(NOW) == []
    assert tick(NOW + timedelta(seconds=59)) == []
    assert tick(NOW + timedelta(seconds=60)) == [every]
    assert noted(cloud, lambda event: event == {"every": 1})
    fired = tick(NOW + timedelta(minutes=40))
    assert fired[0] == every
    assert fired[1].endswith("schedule/default/once")
    assert noted(cloud, lambda event: event == {"at": 1})
    assert noon in tick(NOW + timedelta(hours=3))
    event = noted(cloud, lambda event: event.get("detail-type") == "Scheduled Event")
    assert (event["source"], event["resources"]) == ("aws.events", [noon])
    cloud.client("events").disable_rule(Name="every")
    assert tick(NOW + timedelta(hours=4)) == []
