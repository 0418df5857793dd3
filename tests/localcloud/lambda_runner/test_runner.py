"""Functions in real processes: reuse, limits, errors in AWS's shapes, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from failback.errors import RuntimeMismatch
from localcloud.lambda_runner.function import RUNTIME, Surroundings
from localcloud.lambda_runner.outcome import MAX_RESPONSE_BYTES, Outcome, Throttled
from localcloud.lambda_runner.runner import LambdaRunner, workers_that_fit

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.localcloud.lambda_runner.conftest import Make

Sdk: TypeAlias = Any
"""Something made at run time (an SDK's client, JSON) that has no type."""
ROOT = Path(__file__).resolve().parents[3]


def call(runner: LambdaRunner, function: object, event: object = None) -> Sdk:
    outcome = runner.invoke(function, json.dumps(event).encode())  # type: ignore[arg-type]
    assert not outcome.failed, outcome.payload
    return json.loads(outcome.payload)


def error(outcome: Outcome) -> dict[str, Any]:
    assert outcome.failed
    body = json.loads(outcome.payload)
    assert isinstance(body, dict)
    return body


def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_sandbox_starts_once_and_stays_warm(runner: LambdaRunner, make: Make) -> None:
    first, second = (call(runner, make("count"), {"n": n}) for n in range(2))
    assert first["pid"] == second["pid"]
    assert (first["answers"], second["answers"]) == (1, 2)
    assert second["event"] == {"n": 1}
    log = runner.logs("count")
    assert log.count("START RequestId") == log.count("END RequestId") == log.count("REPORT RequestId") == 2
    assert log.count("Init Duration") == 1


def test_a_warm_call_costs_milliseconds(runner: LambdaRunner, make: Make) -> None:
    function = make("count")
    call(runner, function)
    begun = time.monotonic()
    for _ in range(50):
        call(runner, function)
    assert (time.monotonic() - begun) / 50 < 0.02


def test_the_environment_is_lambdas_and_the_configurations(runner: LambdaRunner, make: Make) -> None:
    variables = (("STAGE", "x"), ("AWS_REGION", "mine"), ("AWS_ENDPOINT_URL_S3", "http://s3"))
    told = call(runner, make("surroundings", timeout=7, memory=300, variables=variables))
    environment = told["environment"]
    expected = {
        "STAGE": "x",
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://s3",
        "AZURE_ARM": "https://a",
        "AWS_LAMBDA_FUNCTION_NAME": "surroundings",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "300",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{RUNTIME}",
        "_HANDLER": "app.surroundings",
    }
    assert {name: environment.get(name) for name in expected} == expected
    assert environment["REQUESTS_CA_BUNDLE"] == environment["SSL_CERT_FILE"]
    assert "VIRTUAL_ENV" not in environment
    assert told["tmp"] == environment["TMPDIR"]
    assert not any("site-packages" in each for each in told["path"])
    assert told["arn"].endswith(":function:surroundings")
    assert 6000 < told["left"] <= 7000


def test_a_function_sees_the_sdk_and_nothing_of_this_program(runner: LambdaRunner, make: Make) -> None:
    found = call(runner, make("imports"), ["boto3", "pydantic", "moto", "failback"])
    assert found == {"boto3": True, "pydantic": False, "moto": False, "failback": False}


def test_each_sandbox_has_its_own_temporary_folder(runner: LambdaRunner, make: Make) -> None:
    folders = {call(runner, make("surroundings", name=name))["tmp"] for name in ("one", "two")}
    assert len(folders) == 2
    runner.close()
    assert not any(Path(folder).exists() for folder in folders)


def test_an_error_has_its_name_text_and_trace_and_keeps_the_sandbox(runner: LambdaRunner, make: Make) -> None:
    function = make("fail")
    outcome = runner.invoke(function, b"{}", request_id="11111111-2222-3333-4444-555555555555")
    body = error(outcome)
    assert (body["errorType"], body["errorMessage"]) == ("NotReady", "not yet")
    assert "raise NotReady" in "".join(body["stackTrace"])
    assert body["requestId"] == "11111111-2222-3333-4444-555555555555"
    assert "about to fail\n" in outcome.log_tail
    pids = runner.processes
    runner.invoke(function, b"{}")
    assert runner.processes == pids


def test_the_deadline_kills_the_handler_and_all_it_started(runner: LambdaRunner, make: Make, tmp_path: Path) -> None:
    function, file = make("sleep", timeout=1), tmp_path / "pids"
    begun = time.monotonic()
    outcome = runner.invoke(function, json.dumps({"file": str(file)}).encode(), request_id="abc")
    assert time.monotonic() - begun < 3
    expected = {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: abc Error: Task timed out after 1.00 seconds",
    }
    assert error(outcome) == expected
    assert "Task timed out after 1.00 seconds" in outcome.log_tail
    assert "Status: timeout" in outcome.log_tail
    assert not any(alive(int(pid)) for pid in file.read_text().split())
    assert runner.processes == []


def test_more_memory_than_allowed_ends_as_in_lambda(runner: LambdaRunner, make: Make) -> None:
    body = error(runner.invoke(make("grow", memory=128, timeout=20), b"{}"))
    assert body["errorType"] == "Runtime.ExitError"
    assert body["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")


@pytest.mark.parametrize(
    ("handler", "event", "text"),
    [
        ("leave", {"status": 7}, "Runtime exited with error: exit status 7"),
        ("leave", {"status": 0}, "Runtime exited without providing a reason"),
        ("segfault", {}, "Runtime exited with error: signal: segmentation fault"),
    ],
)
def test_a_process_that_ends_is_reported(
    runner: LambdaRunner, make: Make, handler: str, event: object, text: str
) -> None:
    body = error(runner.invoke(make(handler), json.dumps(event).encode()))
    assert (body["errorType"], body["errorMessage"].partition("Error: ")[2]) == ("Runtime.ExitError", text)


@pytest.mark.parametrize(
    ("handler", "source", "error_type"),
    [
        ("missing", "x = 1", "Runtime.HandlerNotFound"),
        ("f", "import nothing_of_this_name", "Runtime.ImportModuleError"),
        ("f", "def f(:", "Runtime.UserCodeSyntaxError"),
        ("odd", None, "Runtime.MarshalError"),
    ],
)
def test_broken_code_is_named_as_lambda_names_it(
    runner: LambdaRunner, make: Make, handler: str, source: str | None, error_type: str
) -> None:
    function = make(handler, source=source) if source else make(handler)
    assert error(runner.invoke(function, b"{}"))["errorType"] == error_type


def test_an_answer_may_be_six_mebibytes_and_no_more(runner: LambdaRunner, make: Make) -> None:
    function = make("big")
    size = MAX_RESPONSE_BYTES - 2
    assert len(runner.invoke(function, json.dumps({"size": size}).encode()).payload) == MAX_RESPONSE_BYTES
    body = error(runner.invoke(function, json.dumps({"size": size + 1}).encode()))
    assert body["errorType"] == "Function.ResponseSizeTooLarge"
    assert len(call(runner, function, {"size": 5})) == 5


def test_a_sandbox_at_work_can_be_killed(runner: LambdaRunner, make: Make, tmp_path: Path) -> None:
    outcomes: list[Outcome] = []
    function, file = make("sleep", timeout=60), tmp_path / "pids"
    event = json.dumps({"file": str(file)}).encode()
    busy = threading.Thread(target=lambda: outcomes.append(runner.invoke(function, event)))
    busy.start()
    until(lambda: file.exists() and len(file.read_text().split()) == 2)
    assert runner.kill("count") == 0
    assert runner.kill("sleep") == 1
    busy.join(10)
    body = error(outcomes[0])
    assert (body["errorType"], "killed" in body["errorMessage"]) == ("Runtime.ExitError", True)
    assert runner.kill("sleep") == 0
    assert not any(alive(int(pid)) for pid in file.read_text().split())


def test_as_many_at_once_as_reserved_and_then_refused(runner: LambdaRunner, make: Make, tmp_path: Path) -> None:
    function = make("sleep", timeout=20, reserved_concurrency=2)
    files = [tmp_path / str(number) for number in range(2)]
    results: list[Outcome] = []

    def run(file: Path) -> None:
        results.append(runner.invoke(function, json.dumps({"file": str(file), "seconds": 0.7}).encode()))

    threads = [threading.Thread(target=run, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    until(lambda: all(file.exists() for file in files))
    with pytest.raises(Throttled, match="Rate Exceeded"):
        runner.invoke(function, b"{}")
    for thread in threads:
        thread.join()
    assert [outcome.payload for outcome in results] == [b'"slept"'] * 2
    assert len({file.read_text() for file in files}) == 2


def test_a_reservation_of_none_runs_nothing(runner: LambdaRunner, make: Make) -> None:
    with pytest.raises(Throttled):
        runner.invoke(make("count", reserved_concurrency=0), b"{}")


def test_new_code_or_configuration_gets_a_new_sandbox(runner: LambdaRunner, make: Make) -> None:
    first = call(runner, make("count"))
    second = call(runner, make("count", variables=(("A", "1"),)))
    third = call(runner, make("count", variables=(("A", "1"),), source="def count(event, context): return 3"))
    assert first["pid"] != second["pid"]
    assert third == 3
    assert len(runner.processes) == 1


def test_only_so_many_sandboxes_are_held(tmp_path: Path, make: Make) -> None:
    with LambdaRunner(tmp_path / "few", Surroundings("http://127.0.0.1:9"), most_workers=2) as runner:
        for name in ("a", "b", "c", "d"):
            call(runner, make("count", name=name))
        assert len(runner.processes) == 2


@pytest.mark.parametrize(("gib", "count"), [(4, 24), (12, 32), (16, 42), (24, 48), (256, 48)])
def test_sandboxes_take_a_part_of_the_memory(gib: int, count: int) -> None:
    assert workers_that_fit(gib << 30) == count


def test_an_event_that_fails_is_tried_twice_more(runner: LambdaRunner, make: Make, tmp_path: Path) -> None:
    file = tmp_path / "tries"
    runner.enqueue(make("append"), json.dumps({"file": str(file)}).encode())
    until(lambda: bool(runner.dropped_events))
    assert file.read_text() == "xxx"
    assert runner.dropped_events[0][0] == "append"


def test_another_python_is_refused_by_name(runner: LambdaRunner, make: Make) -> None:
    with pytest.raises(RuntimeMismatch, match=rf"python3\.9.*{RUNTIME}"):
        runner.invoke(make("count", runtime="python3.9"), b"{}")


def test_closing_ends_what_runs(runner: LambdaRunner, make: Make, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    event = json.dumps({"file": str(file)}).encode()
    thread = threading.Thread(target=lambda: runner.invoke(make("sleep", timeout=60), event))
    thread.start()
    until(lambda: file.exists() and len(file.read_text().split()) == 2)
    runner.close()
    thread.join(5)
    assert not thread.is_alive()
    assert not any(alive(int(pid)) for pid in file.read_text().split())
    with pytest.raises(Throttled):
        runner.invoke(make("count"), b"{}")


def test_nothing_survives_a_runner_that_is_killed(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    function = make("sleep", timeout=60)
    code = f"""
from pathlib import Path
from localcloud.lambda_runner.function import FunctionSpec, Surroundings
from localcloud.lambda_runner.runner import LambdaRunner
runner = LambdaRunner(Path({str(tmp_path / "killed")!r}), Surroundings("http://127.0.0.1:9"))
function = FunctionSpec({function.name!r}, {function.arn!r}, {function.handler!r}, {function.runtime!r}, 60, 256,
    Path({str(function.code)!r}), {function.code_hash!r})
runner.invoke(function, b'{{"file": {json.dumps(str(file))}}}')
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        until(lambda: file.exists() and len(file.read_text().split()) == 2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    pids = [int(pid) for pid in file.read_text().split()]
    until(lambda: not any(alive(pid) for pid in pids))
    assert os.getpid() not in pids
