"""Lambda by its API: what was deployed runs, and refusals have the service's names."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from localcloud.lambda_runner.function import RUNTIME
from localcloud.lambda_runner.outcome import MAX_EVENT_BYTES, MAX_REQUEST_BYTES
from tests.localcloud.gateway.conftest import archive

if TYPE_CHECKING:
    from tests.localcloud.gateway.conftest import Fixture


def test_a_function_is_invoked_by_name_and_arn(cloud: Fixture) -> None:
    arn = cloud.function("by_name", "echo")
    functions = cloud.client("lambda")
    for name in ("by_name", arn, f"{arn}:$LATEST"):
        answer = functions.invoke(FunctionName=name, Payload=b'{"n": 1}', LogType="Tail")
        assert json.loads(answer["Payload"].read()) == {"n": 1}
        assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
        assert "heard {'n': 1}" in base64.b64decode(answer["LogResult"]).decode()
    assert len([line for line in cloud.aws.runner.logs("by_name").splitlines() if "Init Duration" in line]) == 1


def test_an_error_of_the_handler_is_an_answer(cloud: Fixture) -> None:
    cloud.function("fail")
    answer = cloud.client("lambda").invoke(FunctionName="fail")
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorType"] == "ValueError"


def test_new_code_is_taken_at_once(cloud: Fixture) -> None:
    cloud.function("changed", "fail")
    functions = cloud.client("lambda")
    assert "FunctionError" in functions.invoke(FunctionName="changed")
    functions.update_function_configuration(FunctionName="changed", Handler="app.echo")
    functions.update_function_code(FunctionName="changed", ZipFile=archive())
    assert "FunctionError" not in functions.invoke(FunctionName="changed", Payload=b"1")


def test_an_asynchronous_event_returns_at_once_and_runs(cloud: Fixture) -> None:
    cloud.function("note")
    answer = cloud.client("lambda").invoke(FunctionName="note", InvocationType="Event", Payload=b'{"later": 1}')
    assert answer["StatusCode"] == 202
    end = time.monotonic() + 5
    while not cloud.notes.exists() or '{"later": 1}' not in cloud.notes.read_text():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_reserved_concurrency_is_kept(cloud: Fixture) -> None:
    cloud.function("reserved", "echo")
    functions = cloud.client("lambda")
    functions.put_function_concurrency(FunctionName="reserved", ReservedConcurrentExecutions=0)
    with pytest.raises(functions.exceptions.TooManyRequestsException) as caught:
        functions.invoke(FunctionName="reserved")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert caught.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


def test_refusals_have_the_services_names(cloud: Fixture) -> None:
    functions = cloud.client("lambda")
    cloud.function("sizes", "echo")
    cloud.function("old", "echo", Runtime="python3.9")
    refused: list[tuple[str, dict[str, Any]]] = [
        ("ResourceNotFoundException", {"FunctionName": "nobody"}),
        ("ResourceNotFoundException", {"FunctionName": "sizes", "Qualifier": "42"}),
        ("InvalidRequestContentException", {"FunctionName": "sizes", "Payload": b"{"}),
        ("RequestTooLargeException", {"FunctionName": "sizes", "Payload": b"1" * (MAX_REQUEST_BYTES + 1)}),
        (
            "RequestTooLargeException",
            {"FunctionName": "sizes", "Payload": b"1" * (MAX_EVENT_BYTES + 1), "InvocationType": "Event"},
        ),
        ("InvalidParameterValueException", {"FunctionName": "sizes", "InvocationType": "Other"}),
        ("InvalidParameterValueException", {"FunctionName": "old"}),
    ]
    for code, arguments in refused:
        with pytest.raises(ClientError) as caught:
            functions.invoke(**arguments)
        assert caught.value.response["Error"]["Code"] == code
    assert "python3.9" in str(caught.value)
    assert RUNTIME in str(caught.value)
