"""approve, accept, retry, give-back, stop, resume: what reaches the gate, what's said of it, what's refused."""

from __future__ import annotations

import json

import pytest

from cli.main import app, exit_code
from cli.servers import _fence
from failback.errors import CloudRefused, FailbackError, NotDeployed, RequestInvalid
from failback.model.cutover import CutoverChoice
from failback.model.ending import Outcome
from failback.model.recovery import FailbackConfiguration
from failback.model.server import BeforeImage, ServerOutcome
from tests.cli.offices import CALLER, Counter
from tests.memory.clock import NOON
from tests.test_decisions import FIRST, RUN, SECOND, Office


@pytest.fixture
def counter() -> Counter:
    """A run of two servers: the first one is held, the second one is at home and not accepted."""
    office = Office()
    office.waits(FIRST, "hold_server")
    office.waits(SECOND, "await_commit")
    return Counter(office)


@pytest.mark.parametrize(
    ("words", "noted", "said"),
    [
        (("approve", RUN, FIRST, SECOND), ["approval approve " + FIRST, "approval approve " + SECOND], "approve"),
        (("approve", RUN, "--wave", "web"), ["approval approve wave:web"], "wave web of run run-1: approve"),
        (("approve", RUN), ["approval approve run"], "the whole run of run run-1"),
        (("approve", RUN, FIRST, "--refuse"), ["approval refuse " + FIRST], "refuse"),
        (("accept", RUN, SECOND), ["commit accept " + SECOND], "accept"),
        (("accept", RUN, "--wave", "web"), ["commit accept wave:web"], "accept"),
        (("retry", RUN, FIRST), ["hold retry " + FIRST], "retry"),
        (("give-back", RUN, FIRST), ["hold give_back " + FIRST], "give back"),
        (("give-back", RUN, SECOND, "--launched", "--discard"), ["commit give_back " + SECOND], "give back"),
        (("stop", RUN), ["stop stop run"], "stop"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_each_command_is_noted_by_the_gate(
    counter: Counter, words: tuple[str, ...], noted: list[str], said: str
) -> None:
    done = counter.run(*words, "--why", "the window is open")
    assert done.exit_code == 0, done.output or done.exception
    assert said in done.output
    assert f"failback watch {RUN}" in done.output
    kept = counter.office.decisions.of(RUN)
    assert [f"{each.subject} {each.verdict} {each.scope}" for each in kept] == noted
    assert {(each.actor, each.why) for each in kept} == {(CALLER, "the window is open")}
    assert [each.discard for each in kept] == ["--discard" in words] * len(kept)
    assert counter.office.watcher.woken == 1


def test_as_json_it_is_what_the_gate_answers(counter: Counter) -> None:
    told = json.loads(counter.run("stop", RUN, "--json").output)
    assert [each["verdict"] for each in told["decisions"]] == ["stop"]


def test_a_watcher_that_sleeps_is_told_of(counter: Counter) -> None:
    counter.office.watcher.trouble = CloudRefused("no right to invoke it")
    done = counter.run("approve", RUN, FIRST)
    assert done.exit_code == 0
    assert "within a minute" in done.output
    assert "no right to invoke it" in done.output


def refused(counter: Counter, *words: str) -> tuple[FailbackError, int]:
    """What the command ends with: one of our own errors, and its exit code."""
    error = counter.run(*words).exception
    assert isinstance(error, FailbackError), error
    assert not counter.office.decisions.kept
    return error, exit_code(error)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("approve", "nobody"), ["there is no run 'nobody'"]),
        (("approve", RUN, "i-unknown"), ["has no server i-unknown"]),
        (("approve", RUN, "--wave", "night"), ["no wave 'night'"]),
        (("accept", RUN, FIRST), ["doesn't wait for that now"]),
        (("retry", RUN, SECOND), ["doesn't wait for that now"]),
        (("approve", "a b", "--wave", "x y", FIRST), ["RUN: ", "--wave: name servers or a wave", "--wave: String"]),
        (("give-back", RUN, SECOND, "--launched"), ["--discard: "]),
    ],
    ids=["run", "server", "wave", "not-up", "not-held", "names", "discard"],
)
def test_faults_are_told_together_and_nothing_is_noted(
    counter: Counter, words: tuple[str, ...], parts: list[str]
) -> None:
    error, code = refused(counter, *words)
    assert code == 2
    assert all(part in str(error) for part in parts), str(error)


def test_a_door_that_fails_is_no_wrong_usage(counter: Counter) -> None:
    counter.door.broken = {"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out after 30 seconds"}
    error, code = refused(counter, "stop", RUN)
    assert (type(error), code) == (CloudRefused, 1)
    assert "timed out" in str(error)


def test_a_deployment_without_the_door_has_to_be_deployed_again() -> None:
    error, code = refused(Counter(Office(), decider=""), "stop", RUN)
    assert (type(error), code) == (NotDeployed, 3)
    assert "DecideFunction" in str(error)


def test_resuming_begins_a_new_run_for_the_rest(counter: Counter) -> None:
    counter.office.run_log.close(RUN, Outcome(outcome="failed"), NOON)
    done = counter.run("resume", RUN, "--run", "again", "--no-watch")
    assert done.exit_code == 0, done.exception
    assert done.output == "Run again at the office\n"
    (request,) = counter.states.requests.values()
    assert json.loads(request) == {"goal": "failback", "target": "home", "resume": RUN}
    named = json.loads(counter.run("resume", RUN, "--no-watch", "--json").output)["run"]
    assert named.startswith("failback-home-")


def test_a_second_try_to_give_back_is_an_execution_of_its_own(counter: Counter) -> None:
    office = counter.office
    remembered = BeforeImage(configuration=FailbackConfiguration(name="before"))
    office.servers.remember(RUN, FIRST, remembered)
    office.servers.settle(RUN, FIRST, ServerOutcome(outcome="failed", at=NOON))
    office.run_log.close(RUN, Outcome(outcome="failed", error="ServersFailed"), NOON)
    done = counter.run("clean-up", RUN)
    assert done.exit_code == 0, done.exception
    ((arn, request),) = counter.states.requests.items()
    assert arn.rpartition(":")[2].startswith(f"clean-up-{RUN}-")
    assert json.loads(request) == {"goal": "clean_up", "target": "home", "clean_up": RUN}


def test_where_all_was_given_back_there_is_no_second_try(counter: Counter) -> None:
    counter.office.run_log.close(RUN, Outcome(outcome="failed", error="ServersFailed"), NOON)
    error, code = refused(counter, "clean-up", RUN)
    assert (type(error), code) == (RequestInvalid, 2)
    assert "came to its own end" in str(error)
    assert not counter.states.requests


def test_a_run_that_goes_on_is_not_resumed(counter: Counter) -> None:
    counter.deployment.start(RUN, "{}")
    error, code = refused(counter, "resume", RUN)
    assert code == 2
    assert f"failback stop {RUN}" in str(error)
    assert len(counter.states.requests) == 1


def test_a_run_that_was_refused_is_not_resumed(counter: Counter) -> None:
    arn = counter.deployment.start("refused", "{}")
    counter.states.ended[arn] = NOON
    error, code = refused(counter, "resume", "refused")
    assert code == 2
    assert "nothing to go on with" in str(error)


def test_a_run_that_nobody_knows_is_not_resumed(counter: Counter) -> None:
    error, code = refused(counter, "resume", "nobody")
    assert code == 1
    assert "failback list" in str(error)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("none", "none"),
        ("ssm:Stop-Workload", "ssm"),
        ("lambda:arn:aws:lambda:eu-west-1:123456789012:function:fence", "lambda"),
        ("sg-0123456789abcdef0", "security-group"),
        ("security-group:sg-0123456789abcdef0", "security-group"),
    ],
)
def test_a_fence_is_said_in_a_word(given: str, kind: str) -> None:
    fence = CutoverChoice.model_validate({"fence": _fence(given)}).fence
    assert fence is not None
    assert fence.kind == kind


START = ("start", "home", "i-0123456789abcdef0", "--yes", "--no-watch")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((), "cutover.fence: say what stops the workload on AWS"),
        (("--fence", "magic"), "'security-group' (--fence KIND)"),
        (("--fence", "sg-1"), "cutover.fence.security-group.group: "),
    ],
    ids=["none", "kind", "group"],
)
def test_a_start_without_a_fence_that_can_be_is_wrong_usage(
    counter: Counter, words: tuple[str, ...], part: str
) -> None:
    error, code = refused(counter, *START, *words)
    assert (type(error), code) == (RequestInvalid, 2)
    assert part in str(error)
    assert "--fence" in str(error)
    assert not counter.states.requests


def test_every_command_has_its_name() -> None:
    names = {command.name for command in app.registered_commands}
    assert {
        "approve",
        "accept",
        "retry",
        "give-back",
        "stop",
        "resume",
        "clean-up",
        "start",
        "check",
        "report",
    } <= names
