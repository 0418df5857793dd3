"""A run's servers as text and as a table: what's planned, how far each is, how each has ended."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from rich.console import Console

from cli.run_lines import changes, outcome_lines
from cli.run_table import run_table
from cli.server_lines import ANSWERS, begun_to_wait, waiting_lines
from cli.watching import showing
from failback.model.ending import Outcome
from failback.model.record import RunHistory, ServerHistory
from failback.model.server import ServerOutcome
from failback.progress import RunProgress, run_progress
from tests.cli.histories import MIB, at, noted, record
from tests.cli.servers_of_runs import IDS, PLAN, replication, server, waiting


def seen(*servers: ServerHistory, outcome: Outcome | None = None) -> RunProgress:
    stages = tuple(noted(stage, began=1, updated=2) for stage in ("check_readiness", "find_client_image"))
    stages = (stages[0], stages[1].model_copy(update={"facts": {"next": "nothing"}}))
    history = RunHistory(record=record(goal="failback"), stages=stages, servers=servers)
    return run_progress(history, known={}, now=at(100), outcome=outcome)


def test_lines_tell_of_servers_that_changed() -> None:
    first = seen(server(0, "boot_client"), server(1))
    assert [line.split() for line in changes(first, first)] == []
    late = replication(250, lag_seconds=75.0, eta=at(100) + timedelta(minutes=5), backlogged=8 * MIB)
    second = seen(server(0, "boot_client", "await_replication", progress=late), server(1))
    (line,) = changes(first, second)
    assert line.split(maxsplit=3)[1:3] == [IDS[0], "replicating"]
    assert "25% (250 of 1,000 MiB, 8.00 MiB to catch up), lag 1:15, 5:00 left" in line
    (line,) = changes(first, seen(server(0, "await_replication", plan=PLAN, progress=late)))
    assert line.split(maxsplit=4)[1:4] == [IDS[0], "web", "replicating"]
    stuck = replication(250, verdict="stuck", reason="STALLED: AGENT_NOT_SEEN")
    (line,) = changes(second, seen(server(0, "boot_client", "await_replication", progress=stuck), server(1)))
    assert line.split()[2] == "stuck"
    assert line.endswith("STALLED: AGENT_NOT_SEEN")


@pytest.mark.parametrize(
    ("state", "word", "said"),
    [
        ("home", "done", "home"),
        ("rehearsed", "done", "rehearsed"),
        ("launched", "failed", "launched: nobody accepted it"),
        ("skipped", "failed", "skipped: nobody accepted it"),
        ("failed", "failed", "failed: boot_client: NotNow"),
    ],
)
def test_the_end_of_a_run_names_its_servers(state: str, word: str, said: str) -> None:
    told = {"outcome": state, "at": at(90)}
    told |= {"stage": "boot_client", "error": "NotNow"} if state == "failed" else {}
    told |= {"cause": "nobody accepted it"} if state in {"launched", "skipped"} else {}
    outcome = Outcome.model_validate({"outcome": word, "error": "ServersFailed", "cause": "one of them"})
    progress = seen(server(0, "boot_client", outcome=ServerOutcome.model_validate(told)), outcome=outcome)
    history = RunHistory(record=record(goal="failback"))
    lines = outcome_lines(progress, outcome, advice="", returned=None, history=history)
    assert lines[1] == f"  {IDS[0]}  {said}"
    assert ("failback report r1" in lines[2]) if state in {"home", "launched"} else "failback report" not in str(lines)


@pytest.mark.parametrize("noted_by_the_wait", [True, False], ids=["told", "untold"])
@pytest.mark.parametrize(
    ("stage", "word"),
    [
        ("await_approval", "waits for approval"),
        ("await_commit", "waits for acceptance"),
        ("hold_server", "held"),
    ],
)
def test_one_that_waits_for_a_person_says_how_to_answer(stage: str, word: str, noted_by_the_wait: bool) -> None:
    commands = [f"failback {verb} r1 {IDS[0]}" for verb in ANSWERS[stage]]
    note = f"kept until noon: {', or '.join(commands)}; 3 GiB left" if noted_by_the_wait else ""
    before, after = seen(server(0, "boot_client"), server(1)), seen(waiting(0, stage, note), server(1))
    (line,) = begun_to_wait(before, after)
    assert line.split("  ")[:2] == [IDS[0], word]
    assert all(line.count(command) == 1 for command in commands)
    assert ("CutOverFailed: the disk is locked" in line) == (stage == "hold_server")
    assert begun_to_wait(after, after) == []
    assert changes(before, after) == [f"   1:40  {line}"]
    assert waiting_lines(after) == [f"  {line}"]


def test_each_wait_of_a_server_is_told_anew() -> None:
    first, second = seen(waiting(0, "await_approval")), seen(waiting(0, "await_commit"))
    assert len(begun_to_wait(first, second)) == 1
    running = seen(server(0, "await_approval", "quiesce"))
    assert len(begun_to_wait(running, second)) == 1
    assert begun_to_wait(first, running) == []


@pytest.mark.parametrize(
    ("stage", "word"),
    [("quiesce", "quiesce"), ("await_launch", "launch"), ("cut_over", "cut over"), ("verify_server", "verify")],
)
def test_stages_are_said_in_words(stage: str, word: str) -> None:
    assert f"  {IDS[0]}  {word}  " in f"{changes(None, seen(server(0, stage)))[-1]}  "


def test_on_a_terminal_the_line_stays_above_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    with showing("table") as show:
        show(seen(server(0, "boot_client")))
        show(seen(waiting(0, "await_approval")))
        show(seen(waiting(0, "await_approval")))
    above = [line for line in out.getvalue().splitlines() if line.startswith("   1:40")]
    assert above == [f"   1:40  {IDS[0]}  waits for approval    failback approve r1 {IDS[0]}"]


@pytest.mark.parametrize("goal", ["failback", "rehearse"])
def test_while_servers_go_on_the_report_is_to_come(goal: str) -> None:
    stages = (noted("find_client_image", facts={"next": "nothing"}),)
    history = RunHistory(record=record(goal=goal), stages=stages, servers=(server(0, "boot_client"),))
    assert run_progress(history, known={}, now=at(20)).stages[-1].status == "to come"


def test_the_report_begins_once_the_last_server_has_ended() -> None:
    assert [(row.stage, row.status) for row in seen(server(0, "boot_client")).stages][-1] == ("write_report", "to come")
    ended = ServerOutcome(outcome="home", at=at(90))
    assert seen(server(0, "boot_client", outcome=ended)).stages[-1].status == "running"
    assert seen(server(0)).stages[-1].status == "to come", "nor has it begun while no server's first stage has"


def test_after_what_failed_is_given_back_the_report_waits_for_no_server() -> None:
    history = RunHistory(record=record(goal="failback"), stages=(noted("give_back"),), servers=(server(0),))
    assert run_progress(history, known={}, now=at(20)).stages[-1].status == "running"


@pytest.mark.parametrize("goal", ["check", "failback", "rehearse"])
def test_readiness_comes_first_also_before_any_server_is_known(goal: str) -> None:
    progress = run_progress(RunHistory(record=record(goal=goal)), known={}, now=at(1))
    assert [row.stage for row in progress.stages] == ["check_readiness"]


@pytest.mark.parametrize(("goal", "after"), [("check", "write_report"), ("failback", "find_client_image")])
def test_what_follows_readiness(goal: str, after: str) -> None:
    history = RunHistory(record=record(goal=goal), servers=(server(0),))
    assert [row.stage for row in run_progress(history, known={}, now=at(1)).stages] == ["check_readiness"]
    history = history.model_copy(update={"stages": (noted("check_readiness"),)})
    assert run_progress(history, known={}, now=at(20)).stages[1].stage == after


def test_the_table_has_a_row_for_each_server_those_that_wait_for_a_person_first() -> None:
    ended = server(0, "boot_client", "register_client", outcome=ServerOutcome(outcome="home", at=at(90)), plan=PLAN)
    progress = seen(
        ended, server(1, "await_replication", progress=replication(500)), server(2), waiting(3, "await_approval")
    )
    out = io.StringIO()
    Console(file=out, width=170).print(run_table(progress))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert "servers: 1 home, 1 replicating, 1 planned, 1 waiting" in lines
    rows = [line for line in lines if line.startswith("i-")]
    assert [row.split()[0] for row in rows] == [IDS[3], IDS[1], IDS[0], IDS[2]]
    assert "50% (500 of 1,000 MiB)" in rows[1]
    assert rows[2].split()[1:3] == ["web", "home"]
