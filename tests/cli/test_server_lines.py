"""A run's servers as text and as a table: what's planned, how far each is, how each has ended."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from cli.run_lines import changes, outcome_lines
from cli.run_table import run_table
from cli.server_lines import plan_lines
from failback.model.record import RunHistory, ServerHistory
from failback.model.request import ServerRequest
from failback.model.run import Outcome
from failback.model.server import PlannedDisk, ReplicationProgress, ServerOutcome, ServerPlan, ServerRecord
from failback.progress import RunProgress, run_progress
from tests.cli.histories import MIB, at, noted, record

GIB = 1024 * MIB
IDS = tuple(f"i-{number:017x}" for number in range(1, 4))
DISKS = (
    PlannedDisk(device="/dev/xvda", bytes=8 * GIB, size_gib=8, lun=0, name="web-data-0", sku="", boot=True),
    PlannedDisk(device="/dev/xvdb", bytes=9 * GIB + GIB // 4, size_gib=10, lun=1, name="web-data-1", sku="Premium_LRS"),
)
PLAN = ServerPlan(
    id=IDS[0], source_server="s-1", hostname="web", os="linux", way="helper", firmware="uefi", client_firmware="bios",
    machine="client-1", size="Standard_B2ms", disks=DISKS, excluded=("/dev/xvdc",), group="sg-1", private_ip=True,
    bandwidth_mbps=100, to_copy=3 * GIB, hints=("port 1500 is open to everybody",),
)  # fmt: skip


def replication(done: int, **more: Any) -> ReplicationProgress:  # noqa: ANN401 - any field of it
    fields = {"at": at(60), "verdict": "waiting", "state": "INITIAL_SYNC", "failback": "FAILBACK_IN_PROGRESS"}
    return ReplicationProgress.model_validate({**fields, "total": 1000 * MIB, "replicated": done * MIB, **more})


def server(number: int, *stages: str, **more: Any) -> ServerHistory:  # noqa: ANN401 - any field of its record
    request = ServerRequest(recovery_instance=IDS[number])
    entries = tuple(noted(stage, began=10 * nth, updated=10 * nth + 9) for nth, stage in enumerate(stages))
    return ServerHistory(record=ServerRecord(id=IDS[number], request=request, **more), stages=entries)


def seen(*servers: ServerHistory, outcome: Outcome | None = None) -> RunProgress:
    stages = tuple(noted(stage, began=1, updated=2) for stage in ("check_readiness", "find_client_image"))
    stages = (stages[0], stages[1].model_copy(update={"facts": {"next": "nothing"}}))
    history = RunHistory(record=record(goal="failback"), stages=stages, servers=servers)
    return run_progress(history, known={}, now=at(100), outcome=outcome)


def test_a_plan_names_every_volume_and_what_takes_it() -> None:
    lines = plan_lines(PLAN)
    assert lines[0] == (f"{IDS[0]}  web (linux, UEFI, its client by BIOS): way helper, machine client-1, Standard_B2ms")
    words = [line.split() for line in lines]
    assert words[2][:6] == ["/dev/xvda", "8", "GiB", "->", "web-data-0", "(boots)"]
    assert words[3] == ["/dev/xvdb", "9.25", "GiB", "->", "web-data-1", "10", "GiB", "1", "Premium_LRS"]
    assert words[4] == ["/dev/xvdc", "->", "left", "out"]
    assert lines[5:] == [
        "  3.0 GiB at most to be copied by the private address, at most 100 Mbit/s",
        "  note: port 1500 is open to everybody",
    ]


def test_lines_tell_of_servers_that_changed() -> None:
    first = seen(server(0, "boot_client"), server(1))
    assert [line.split() for line in changes(first, first)] == []
    late = replication(250, lag_seconds=75.0, eta=at(100) + timedelta(minutes=5), backlogged=8 * MIB)
    second = seen(server(0, "boot_client", "register_client", progress=late), server(1))
    (line,) = changes(first, second)
    assert line.split(maxsplit=3)[1:3] == [IDS[0], "replicating"]
    assert "25% (250 of 1,000 MiB, 8.00 MiB to catch up), lag 1:15, 5:00 left" in line
    (line,) = changes(first, seen(server(0, "boot_client", plan=PLAN, progress=late)))
    assert line.split(maxsplit=4)[1:4] == [IDS[0], "web", "replicating"]
    stuck = replication(250, verdict="stuck", reason="STALLED: AGENT_NOT_SEEN")
    (line,) = changes(second, seen(server(0, "boot_client", "register_client", progress=stuck), server(1)))
    assert line.split()[2] == "stuck"
    assert line.endswith("STALLED: AGENT_NOT_SEEN")


@pytest.mark.parametrize(("state", "word"), [("ready", "done"), ("failed", "failed")])
def test_the_end_of_a_run_names_its_servers(state: str, word: str) -> None:
    ending = ServerOutcome.model_validate({"outcome": state, "at": at(90), "stage": "boot_client", "error": "NotNow"})
    outcome = Outcome.model_validate({"outcome": word, "error": "ServersFailed", "cause": "one of them"})
    progress = seen(server(0, "boot_client", outcome=ending), outcome=outcome)
    history = RunHistory(record=record(goal="failback"))
    lines = outcome_lines(progress, outcome, advice="", returned=None, history=history)
    wanted = "ready for launch" if state == "ready" else "failed: boot_client: NotNow"
    assert lines[1].startswith(f"  {IDS[0]}  {wanted}")


def test_while_servers_go_on_the_report_is_to_come() -> None:
    assert [(row.stage, row.status) for row in seen(server(0, "boot_client")).stages][-1] == ("write_report", "to come")
    ended = ServerOutcome(outcome="ready", at=at(90))
    assert seen(server(0, "boot_client", outcome=ended)).stages[-1].status == "running"
    assert seen(server(0)).stages[-1].status == "to come", "nor has it begun while no server's first stage has"


def test_after_what_failed_is_given_back_the_report_waits_for_no_server() -> None:
    history = RunHistory(record=record(goal="failback"), stages=(noted("give_back"),), servers=(server(0),))
    assert run_progress(history, known={}, now=at(20)).stages[-1].status == "running"


@pytest.mark.parametrize("goal", ["check", "failback"])
def test_readiness_comes_first_also_before_any_server_is_known(goal: str) -> None:
    progress = run_progress(RunHistory(record=record(goal=goal)), known={}, now=at(1))
    assert [row.stage for row in progress.stages] == ["check_readiness"]


@pytest.mark.parametrize(("goal", "after"), [("check", "write_report"), ("failback", "find_client_image")])
def test_what_follows_readiness(goal: str, after: str) -> None:
    history = RunHistory(record=record(goal=goal), servers=(server(0),))
    assert [row.stage for row in run_progress(history, known={}, now=at(1)).stages] == ["check_readiness"]
    history = history.model_copy(update={"stages": (noted("check_readiness"),)})
    assert run_progress(history, known={}, now=at(20)).stages[1].stage == after


def test_the_table_has_a_row_for_each_server_those_under_way_first() -> None:
    ready = server(0, "boot_client", "register_client", outcome=ServerOutcome(outcome="ready", at=at(90)), plan=PLAN)
    progress = seen(ready, server(1, "boot_client", progress=replication(500)), server(2))
    out = io.StringIO()
    Console(file=out, width=170).print(run_table(progress))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert "servers: 1 ready, 1 replicating, 1 planned" in lines
    rows = [line for line in lines if line.startswith("i-")]
    assert [row.split()[0] for row in rows] == [IDS[1], IDS[0], IDS[2]]
    assert "50% (500 of 1,000 MiB)" in rows[0]
    assert rows[1].split()[1:3] == ["web", "ready"]
