"""Servers in a run's report: a row each, whatever stages they came through."""

from __future__ import annotations

from cli.report import report_lines
from cli.server_report import server_report
from cli.watching import Look
from failback.model.record import RunHistory
from failback.model.server import ServerOutcome
from failback.progress import run_progress
from tests.cli.histories import at, noted, record
from tests.cli.servers_of_runs import IDS, PLAN, home, replication, server


def look(*servers: object) -> Look:
    stages = (noted("check_readiness", began=1, updated=2),)
    history = RunHistory.model_validate({"record": record(goal="failback"), "stages": stages, "servers": servers})
    return Look(history, run_progress(history, known={}, now=at(100)))


def test_a_row_for_each_server_with_the_times_of_its_stages() -> None:
    through = replication(1000, verdict="done")
    ended = ServerOutcome(outcome="home", at=at(90))
    ended_well = server(0, "boot_client", "register_client", plan=PLAN, progress=through, outcome=ended)
    refused = ServerOutcome(outcome="failed", at=at(90), stage="boot_client", error="No")
    failed = server(1, "boot_client", outcome=refused)
    seen = look(ended_well, failed)
    heading, *rows = server_report(seen)
    assert heading.split() == ["server", "boot", "client", "register", "client", "copied", "how", "it", "stands"]
    assert rows[0].split(maxsplit=4)[:4] == [IDS[0], "web", "0:09", "0:09"]
    assert rows[0].endswith("100% (1,000 of 1,000 MiB)  home")
    assert rows[1].split() == [IDS[1], "0:09", "failed:", "boot_client:", "No"]
    told = report_lines(seen)
    at_line = told.index("Servers")
    assert told[at_line + 1 : at_line + 4] == [f"  {line}" for line in (heading, *rows)]


def test_a_run_without_servers_has_no_such_part() -> None:
    assert server_report(look()) == []
    assert "Servers" not in report_lines(look())


def test_what_is_to_be_known_of_each_follows() -> None:
    history = home()
    seen = Look(history, run_progress(history, known={}, now=at(200), outcome=history.record.outcome))
    told = report_lines(seen)
    first = told.index(f"  {IDS[0]} web")
    rest = told[first + 1 : told.index("Provenance")]
    lines = {line.split("  ")[2]: line for line in rest if line.startswith("    ")}
    for label, part in (
        ("decided", "2026-03-01 12:00:50 approve by arn:aws:iam::1:user/eve (window is open); CloudTrail says who"),
        ("launched by", "fbjob-1, batch b-1"),
        ("verified", "serial: web login:"),
        ("RTO", "0:55, from the approval by"),
        ("RPO", "0:05, nothing stopped the workload"),
        ("protected", "yes"),
        ("left behind", "disk test-disk: a lock is on it"),
        ("cause", "no quota"),
    ):
        assert part in lines[label], label
    assert "    to do        End the recovery instance." in told
