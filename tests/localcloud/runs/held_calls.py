"""Calls of functions that are held up while their execution is stopped: one for each state that calls a function."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.faults import Delay, FaultRule
from localcloud.moto_seams.map_runs import child_histories
from tests.localcloud.runs.ends import stop_execution
from tests.localcloud.runs.place import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.drs.records import RecoveryInstance
    from tests.localcloud.runs.place import Place

Json = Any
HELD_SECONDS = 4.0
"""Longer than it takes from the stop until what cleans up looks for whatever there is."""


def made(service: str, operation: str, **more: Any) -> FaultRule:  # noqa: ANN401
    """The first such call. RUN and SERVER in its path or body stand for their ids."""
    return FaultRule(service=service, operation=operation, action=Delay(seconds=HELD_SECONDS), **{"nth": (1,), **more})


def note(more: str) -> FaultRule:
    """A write to the run log of this run, found by more of its body; RUN stands for the run's id."""
    return made("dynamodb", "UpdateItem", body=f'"run#RUN".*{more}')


def end_of(stage: str) -> FaultRule:
    """A stage's last call: it notes what has come of it."""
    return note(f'stage#{stage}".*":entry"')


def parks(milestone: str) -> FaultRule:
    return made("dynamodb", "PutItem", body=f'"{milestone}#RUN#')


# One at a time: they make the client image, which only one run does.
OF_THE_IMAGE: dict[str, FaultRule] = {
    "fetch_iso": made("s3", "CreateMultipartUpload", path="/iso/"),
    "build_image": made("ebs", "StartSnapshot"),
    "export_image": made("s3", "CreateMultipartUpload", path="/images/"),
    "import_image": made("arm", "disks/write"),
    "boot_test": made("arm", "virtualMachines/write"),
    "give_back": made("arm", "disks/delete"),
    "write_report": note('":ended"'),
}
# Side by side, each with a server of its own. What follows a slash is another call of the same state.
OF_SERVERS: dict[str, FaultRule] = {
    "check_request": made("dynamodb", "PutItem", body='"run#RUN".*"record"'),
    "check_readiness": note('"plan"'),
    "find_client_image": end_of("find_client_image"),
    "begin_wave": end_of("begin_wave"),
    "boot_client": made("arm", "virtualMachines/write", body="RUN"),
    "register_client": end_of("register_client"),
    "await_replication": parks("replication"),
    "await_approval": parks("approval"),
    "quiesce": note('"fenced"'),
    "await_launch": parks("launch"),
    "cut_over": made("arm", "virtualMachines/write", path="/cut-over$"),
    "cut_over/start": note('"started"'),
    "verify_server": end_of("verify_server"),
    "await_commit": parks("commit"),
    "close_server": made("drs", "UntagResource", path="SERVER"),
    "hold_server": parks("hold"),
    "give_back_server": note('"outcome"'),
}
OF_IMAGE_AND_SERVERS = {**OF_THE_IMAGE, **OF_SERVERS}


@dataclass
class Case:
    """A run that's stopped in one state, and what was seen of it."""

    state: str
    execution: str
    rule: FaultRule
    server: RecoveryInstance | None = None
    states: frozenset[str] = frozenset()
    cleaned: Json = None


def run_of(state: str) -> str:
    return f"in-{name_of(state)}"


def name_of(state: str) -> str:
    """For servers and runs."""
    return state.replace("_", "-").replace("/", "-")


def rule_of(state: str, rule: FaultRule, server: str = "") -> FaultRule:
    """The rule with ids for words, and a length of its own, by which it's known again."""
    number = [*OF_IMAGE_AND_SERVERS].index(state)
    named = {
        part: text.replace("RUN", run_of(state)).replace("SERVER", server)
        for part in ("path", "body")
        if (text := getattr(rule, part))
    }
    return rule.model_copy(update={**named, "action": Delay(seconds=HELD_SECONDS + number / 1000)})


def is_held(place: Place, case: Case) -> bool:
    return any(each.action == case.rule.action for each in place.clouds.faults.records)


def is_idle(place: Place, function: str) -> bool:
    logs = place.clouds.aws.runner.logs(function)
    return logs.count("START RequestId") == logs.count("REPORT RequestId")


def wait_until_idle(place: Place) -> None:
    """Until no function is at work: neither a call that was held up, nor a watcher with its lease."""
    place.wait_until(lambda: all(is_idle(place, name) for name in place.deployed.functions), "all calls to end")


def states_now(place: Place, execution: str) -> frozenset[str]:
    """The states that the run and its servers are in, each by its own history."""
    pages = place.clouds.client("stepfunctions").get_paginator("get_execution_history")
    events = [each for page in pages.paginate(executionArn=execution) for each in page["events"]]
    return frozenset(_last(each) for each in (events, *child_histories(execution)))


def _last(events: list[Json]) -> str:
    entered = [each["stateEnteredEventDetails"]["name"] for each in events if "stateEnteredEventDetails" in each]
    return entered[-1] if entered else ""


def break_off(place: Place, case: Case) -> None:
    """Stop it where it's held."""
    case.states = states_now(place, case.execution)
    stop_execution(place, case.execution)


def calling_states() -> set[str]:
    """The states of the machine that call a function."""
    return set(tasks(json.loads((ROOT / "statemachine/failback.asl.json").read_text())))


def tasks(machine: Json) -> Iterator[str]:
    """The names of a machine's states that call a function, those of its Maps too."""
    for name, state in machine["States"].items():
        if state["Type"] == "Task" and "lambda:invoke" in state["Resource"]:
            yield name
        if "ItemProcessor" in state:
            yield from tasks(state["ItemProcessor"])
