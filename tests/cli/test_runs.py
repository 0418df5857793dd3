"""The commands for runs against a real deployment: the embedded AWS's state machines, DynamoDB and CloudFormation."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from cli.deployment import ENDING
from cli.main import app, exit_code
from cli.runs import run_name
from cli.watching import follow, look
from failback.errors import CloudBusy, CloudRefused, CloudUnreachable, NotDeployed, RequestInvalid, RunUnknown
from localcloud.embedded.state_file import EmbeddedState, start_of
from localcloud.gateway.answers import json_error
from localcloud.serving import serve_application
from tests.cli import histories
from tests.cli.conftest import REFUSAL, Cloud
from tests.cli.histories import copied, noted, record

if TYPE_CHECKING:
    from pathlib import Path

    from failback.model.record import RunHistory
    from failback.progress import RunProgress


def keep(cloud: Cloud, run: str, history: RunHistory, *, closed: bool = True) -> None:
    """Put a history into the run log, as the stages would."""
    kept = history.record
    cloud.run_log.open(kept.model_copy(update={"run": run, "status": "running", "outcome": None, "ended": None}))
    for entry in history.stages:
        cloud.run_log.note(run, entry)
    if closed and kept.outcome and kept.ended:
        cloud.run_log.close(run, kept.outcome, kept.ended)


def begin(cloud: Cloud, run: str, target: str) -> None:
    cloud.deployment.start(run, json.dumps({"goal": "prepare", "target": target}))


def await_end(cloud: Cloud, run: str) -> None:
    end = time.monotonic() + 10
    while (told := cloud.deployment.execution(run)) is None or told.status == "RUNNING":
        assert time.monotonic() < end
        time.sleep(0.02)


def test_prepare_starts_the_run_and_watches_it_to_its_end(cloud: Cloud) -> None:
    keep(cloud, "whole", histories.done())
    done = cloud.run("prepare", "azure-home", "--run", "whole")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("Run whole at stack drs-failback in eu-west-1\n")
    assert done.output.endswith("Run whole is done after 1:40.\n")
    told = cloud.deployment.execution("whole")
    assert told is not None
    request = {"goal": "prepare", "target": "azure-home"}
    assert json.loads(told.request) == request


def test_the_same_name_again_is_the_same_run(cloud: Cloud) -> None:
    words = ("prepare", "long", "--run", "twice", "--no-watch", "--json")
    first, second = cloud.run(*words), cloud.run(*words)
    assert first.exit_code == second.exit_code == 0, second.output
    assert first.output == second.output
    assert json.loads(first.output)["execution"] == cloud.deployment.execution_arn("twice")


def test_the_same_name_is_the_same_run_also_after_its_end(cloud: Cloud) -> None:
    words = ("prepare", "broken", "--run", "ended")
    first = cloud.run(*words)
    again = cloud.run(*words)
    assert (first.exit_code, again.exit_code) == (1, 1)
    assert "AWS denies a right" in again.output


def test_the_same_name_for_another_request_is_wrong_usage(cloud: Cloud) -> None:
    cloud.run("prepare", "long", "--run", "other", "--no-watch")
    refused = cloud.run("prepare", "home", "--run", "other", "--no-watch")
    assert isinstance(refused.exception, RequestInvalid)
    assert "another request" in str(refused.exception)


def test_prepare_passes_the_choice_of_a_client_on(cloud: Cloud) -> None:
    cloud.run("prepare", "long", "--run", "ami", "--ami", "ami-0123456789abcdef0", "--no-watch")
    told = cloud.deployment.execution("ami")
    assert told is not None
    assert json.loads(told.request)["client_image"]["ami"] == "ami-0123456789abcdef0"


def test_prepare_names_the_run_itself(cloud: Cloud) -> None:
    done = cloud.run("prepare", "long", "--no-watch", "--json")
    assert re.fullmatch(r"prepare-long-\d{8}-\d{6}-[0-9a-f]{4}", json.loads(done.output)["run"])


@pytest.mark.parametrize("target", ["azure-home", "x" * 64], ids=["short", "long"])
def test_a_name_is_never_too_long(target: str) -> None:
    name = run_name(target, datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC))
    assert len(name) <= 64
    assert "-20260301-120005-" in name


def test_every_fault_of_a_request_is_told_before_anything_is_asked_for() -> None:
    words = ["prepare", "a b", "--iso-version", "newest", "--ami", "i-1", "--run", "x y"]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, RequestInvalid)
    for option in ("TARGET: ", "--iso-version: ", "--ami: ", "--run: ", "leave --iso-version out"):
        assert option in str(done.exception)


def test_a_refused_run_says_why(cloud: Cloud) -> None:
    done = cloud.run("prepare", "refused", "--run", "refused")
    assert done.exit_code == 2, "wrong usage, as it's found out only at the deployment"
    for part in ("check_request", "RequestInvalid", REFUSAL, "nothing was made"):
        assert part in done.output
    assert "errorMessage" not in done.output


def test_a_failed_run_says_what_was_left_behind(cloud: Cloud) -> None:
    keep(cloud, "failed", histories.failed())
    begin(cloud, "failed", "broken")
    done = cloud.run("watch", "failed")
    assert done.exit_code == 1
    assert "  remove it by  az disk delete --ids /disks/osdisk" in done.output


def test_a_run_that_was_stopped_from_outside_has_failed(cloud: Cloud) -> None:
    keep(cloud, "stopped", histories.running())
    begin(cloud, "stopped", "long")
    cloud.states.stop_execution(executionArn=cloud.deployment.execution_arn("stopped"), cause="by hand")
    done = cloud.run("watch", "stopped")
    assert done.exit_code == 1
    for part in ("ABORTED", "stopped by a person or a program: by hand", "drs-failback:run=stopped"):
        assert part in done.output


def test_watching_shows_each_change_as_it_comes(cloud: Cloud) -> None:
    """The stages note while the run is watched; it's over when the execution is, not when the run log is closed."""
    keep(cloud, "live", histories.running(), closed=False)
    seen: list[RunProgress] = []
    kept = histories.done().record

    def looked_again(before: int) -> None:
        end = time.monotonic() + 20
        while len(seen) <= before and time.monotonic() < end:
            time.sleep(0.01)

    def go_on() -> None:
        looked_again(0)
        cloud.run_log.note("live", noted("build_image", began=12, updated=42, progress=copied(300)))
        # The look that goes on may have begun before.
        looked_again(len(seen) + 1)
        assert kept.outcome is not None
        cloud.run_log.close("live", kept.outcome, histories.at(100))

    begin(cloud, "live", "azure-home")
    thread = threading.Thread(target=go_on)
    thread.start()
    last = follow(cloud.deployment, "live", seen.append, patience=0)
    thread.join()
    assert [row.status for row in seen[0].stages][:4] == ["done", "done", "running", "to come"]
    assert [row.status for row in seen[-2].stages][:4] == ["done", "done", "done", "running"]
    assert last.progress.status == "done"
    assert last.progress.seconds == 100


def test_watching_as_json_is_a_line_for_each_change_and_the_end(cloud: Cloud) -> None:
    keep(cloud, "json", histories.running(), closed=False)
    begin(cloud, "json", "azure-home")
    done = cloud.run("watch", "json", "--json")
    lines = [json.loads(line) for line in done.output.splitlines()]
    assert [line["status"] for line in lines] == ["running", "done"]
    assert lines[0]["stages"][2]["rate"] == 10 * histories.MIB
    assert "given_back" in lines[1]


def test_a_run_that_was_just_started_may_be_unknown_for_a_while(cloud: Cloud) -> None:
    thread = threading.Timer(0.2, begin, (cloud, "late", "refused"))
    thread.start()
    last = follow(cloud.deployment, "late", lambda _: None, patience=5)
    thread.join()
    assert last.progress.status == "failed"


@pytest.mark.parametrize("command", ["watch", "report"])
def test_a_run_that_nobody_knows(cloud: Cloud, command: str) -> None:
    done = cloud.run(command, "nobody")
    assert isinstance(done.exception, RunUnknown)
    assert "failback list" in str(done.exception)


class Interrupted:
    """A run log whose reader presses Ctrl-C."""

    def read(self, _run: str) -> RunHistory | None:
        raise KeyboardInterrupt

    def recent(self, _limit: int) -> list[object]:
        return []


def test_ctrl_c_stops_the_watching_only(cloud: Cloud) -> None:
    begin(cloud, "held", "long")
    interrupted = replace(cloud.deployment, run_log=Interrupted())  # type: ignore[arg-type]
    done = CliRunner().invoke(app, ["watch", "held"], obj=interrupted)
    assert done.exit_code == 130
    assert "the run goes on" in done.output
    told = cloud.deployment.execution("held")
    assert told is not None
    assert told.status == "RUNNING"


def test_a_report_as_text_and_as_json(cloud: Cloud) -> None:
    keep(cloud, "reported", histories.done())
    begin(cloud, "reported", "azure-home")
    await_end(cloud, "reported")
    text, as_json = cloud.run("report", "reported"), cloud.run("report", "reported", "--format", "json")
    assert (text.exit_code, as_json.exit_code) == (0, 0)
    assert histories.SHA512 in text.output
    told = json.loads(as_json.output)
    assert told["outcome"]["outcome"] == "done"
    assert told["provenance"]["mark"] == histories.MARK
    assert [stage["stage"] for stage in told["history"]["stages"]] == list(histories.FACTS)


def test_a_report_of_a_run_under_way_has_no_outcome_yet(cloud: Cloud) -> None:
    keep(cloud, "under-way", histories.running())
    begin(cloud, "under-way", "long")
    told = json.loads(cloud.run("report", "under-way", "--format", "json").output)
    assert told["outcome"] is None
    assert told["provenance"]["iso"]["sha512"] == histories.SHA512


def test_a_report_as_a_page_on_the_terminal_or_in_a_file(cloud: Cloud, tmp_path: Path) -> None:
    keep(cloud, "paged", histories.done())
    begin(cloud, "paged", "azure-home")
    await_end(cloud, "paged")
    printed = cloud.run("report", "paged", "--format", "html")
    assert printed.exit_code == 0
    assert printed.output.startswith("<!DOCTYPE html>")
    assert histories.SHA512 in printed.output
    for form in ("html", "json", "text"):
        file = tmp_path / f"report.{form}"
        written = cloud.run("report", "paged", "--format", form, "--output", str(file))
        assert (written.exit_code, written.output) == (0, "")
        assert file.read_text() == cloud.run("report", "paged", "--format", form).output
    refused = cloud.run("report", "paged", "--output", str(tmp_path / "no" / "where"))
    assert isinstance(refused.exception, RequestInvalid)
    assert "No such file or directory" in str(refused.exception)


def test_formats_that_there_are_not_are_wrong_usage() -> None:
    done = CliRunner().invoke(app, ["report", "r1", "--format", "pdf"])
    assert done.exit_code == 2
    assert all(known in done.output for known in ("text", "json", "html"))


def test_list_shows_the_newest_first(cloud: Cloud) -> None:
    for hour in (1, 2, 3):
        started = datetime(2030, 1, 1, hour, tzinfo=UTC)
        cloud.run_log.open(record(f"listed-{hour}", started=started))
    listed = cloud.run("list", "--limit", "2")
    assert [line.split()[0] for line in listed.output.splitlines()] == ["run", "listed-3", "listed-2"]
    as_json = json.loads(cloud.run("list", "--limit", "1", "--json").output)
    assert [each["run"] for each in as_json] == ["listed-3"]


def test_an_empty_list_says_how_to_begin(cloud: Cloud) -> None:
    nothing = replace(cloud.deployment, run_log=Interrupted())  # type: ignore[arg-type]
    assert "failback prepare TARGET" in CliRunner().invoke(app, ["list"], obj=nothing).output


def test_a_stack_is_found_by_its_outputs(cloud: Cloud) -> None:
    done = cloud.by_stack("prepare", "long", "--run", "by-stack", "--no-watch")
    assert done.exit_code == 0, done.output
    assert done.output == "Run by-stack at stack drs-failback in eu-west-1\n"


def test_the_embedded_clouds_are_found_by_their_file(cloud: Cloud, tmp_path: Path) -> None:
    state = embedded_state(cloud, tmp_path)
    state.write(tmp_path)
    variables = {"DRS_FAILBACK_LOCAL": str(tmp_path), "FAILBACK_STACK": ""}
    done = CliRunner().invoke(app, ["prepare", "long", "--run", "embedded", "--no-watch"], env=variables)
    assert done.exit_code == 0, done.output
    assert done.output == "Run embedded at the embedded clouds\n"
    assert look(cloud.deployment, "embedded", {}) is not None


def embedded_state(cloud: Cloud, folder: Path, **more: object) -> EmbeddedState:
    own = start_of(os.getpid())
    assert own is not None
    fields: dict[str, object] = {
        "pid": os.getpid(),
        "pid_started": own,
        "started": datetime(2026, 3, 1, tzinfo=UTC),
        "region": "eu-west-1",
        "aws_url": cloud.url,
        "azure_url": "https://127.0.0.1:1",
        "blob_url": "https://127.0.0.1:2",
        "ca_file": folder / "ca.pem",
        "iso": folder / "client.iso",
        "iso_is_standin": True,
        "stack": "drs-failback",
        "outputs": {"StateMachineArn": cloud.deployment.machine, "RunLogTable": "runs"},
    }
    return EmbeddedState.model_validate(fields | more)


@pytest.mark.parametrize(
    ("environment", "error", "says"),
    [
        ({"FAILBACK_STACK": ""}, NotDeployed, "failback local up"),
        ({"FAILBACK_STACK": "missing"}, NotDeployed, "There's no stack 'missing' in eu-west-1"),
        ({"FAILBACK_STACK": "other"}, NotDeployed, "no output StateMachineArn and no RunLogTable"),
        ({"AWS_PROFILE": "nobodys"}, NotDeployed, "nobodys"),
    ],
    ids=["nothing", "no-stack", "another-stack", "no-profile"],
)
def test_a_deployment_that_cannot_be_reached_says_what_to_do(
    cloud: Cloud, environment: dict[str, str], error: type[Exception], says: str
) -> None:
    done = cloud.by_stack("list", **environment)
    assert isinstance(done.exception, error), done.output
    assert says in str(done.exception)


def test_what_aws_refuses_is_told_with_the_rights_it_takes(cloud: Cloud, tmp_path: Path) -> None:
    gone = {"StateMachineArn": cloud.deployment.machine + "-gone", "RunLogTable": "gone"}
    embedded_state(cloud, tmp_path, outputs=gone).write(tmp_path)
    done = cloud.by_stack("list", FAILBACK_STACK="", DRS_FAILBACK_LOCAL=str(tmp_path))
    assert isinstance(done.exception, CloudRefused)
    assert "states:StartExecution" in str(done.exception)


def test_clouds_that_do_not_answer(cloud: Cloud, tmp_path: Path) -> None:
    embedded_state(cloud, tmp_path, aws_url="http://127.0.0.1:9").write(tmp_path)
    done = cloud.by_stack("list", FAILBACK_STACK="", DRS_FAILBACK_LOCAL=str(tmp_path))
    assert isinstance(done.exception, CloudUnreachable), done.output
    assert "can't be reached" in str(done.exception)


def test_clouds_that_come_to_their_end(cloud: Cloud, tmp_path: Path) -> None:
    with serve_application(json_error(503, ENDING, "The cloud is ending")) as url:
        embedded_state(cloud, tmp_path, aws_url=url).write(tmp_path)
        done = cloud.by_stack("watch", "run-1", FAILBACK_STACK="", DRS_FAILBACK_LOCAL=str(tmp_path))
    assert isinstance(done.exception, CloudUnreachable), done.output
    for part in ("their runs with them", "failback local status", f"{tmp_path}/log"):
        assert part in str(done.exception)


def test_exit_codes() -> None:
    assert [exit_code(error("")) for error in (CloudBusy, RequestInvalid, NotDeployed)] == [1, 2, 3]
