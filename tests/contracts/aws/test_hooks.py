"""The contract of Hooks: by boto3 with functions that the embedded Lambda runs, and in memory."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug import Request

from failback.clouds.aws.hooks import LambdaHooks
from failback.clouds.aws.refusals import foreign, translate
from failback.errors import CloudBusy, CloudRefused
from localcloud.gateway.lambda_door import LambdaDoor
from localcloud.lambda_runner.code_store import CodeStore
from localcloud.lambda_runner.function import RUNTIME, FunctionSpec, Surroundings
from localcloud.lambda_runner.runner import LambdaRunner
from localcloud.serving import serve_application
from tests.clouds.aws.embedded import REGION, client_at
from tests.contracts.aws.conftest import KINDS
from tests.memory.hooks import MemoryHooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from failback.takeover_ports import Hooks

FUNCTIONS = """
def repeat(event, context):
    return {"heard": event, "by": context.function_name}


def fail(event, context):
    raise LookupError(f"no zone for {event['server']}")


def talk(event, context):
    return "moved"
"""
EVENT: Mapping[str, object] = {"action": "traffic", "server": "i-1", "token": "run/i-1", "ports": [22, 443]}


def arn(name: str) -> str:
    return f"arn:aws:lambda:{REGION}:123456789012:function:{name}"


@dataclass(frozen=True)
class Catalog:
    """The functions of one file; `busy` ones run as often at once as they may already."""

    code: Path
    digest: str
    busy: frozenset[str] = frozenset({"busy"})

    def find(self, name: str, *, region: str, qualifier: str | None) -> FunctionSpec | None:
        plain = name.rpartition(":")[2]
        if plain not in {"repeat", "fail", "talk", *self.busy}:
            return None
        return FunctionSpec(
            name=plain,
            arn=arn(plain),
            handler=f"app.{plain}",
            runtime=RUNTIME,
            timeout_seconds=20,
            memory_mib=128,
            code=self.code,
            code_hash=self.digest,
            reserved_concurrency=0 if plain in self.busy else None,
        )


@dataclass
class Called:
    """Hooks as whoever calls them sees them: an SDK's error comes out as one of ours."""

    hooks: Hooks
    expect: Callable[[Any], object] = field(default=lambda answer: None)

    def call(self, name: str) -> Mapping[str, object]:
        try:
            return self.hooks.call(arn(name), EVENT)
        except foreign() as error:
            raise translate(error) from error


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LambdaHooks]:
    folder = tmp_path_factory.mktemp("lambda")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("app.py", FUNCTIONS)
    code, digest = CodeStore(folder / "code").unpack(archive.getvalue())
    with LambdaRunner(folder / "run", Surroundings("http://127.0.0.1:9")) as runner:
        door = LambdaDoor(runner, Catalog(code, digest))

        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            return door.answer(Request(environ), REGION)(environ, start_response)

        with serve_application(answer) as url:
            yield LambdaHooks(client_at("lambda", url, attempts=1))


@pytest.fixture(params=KINDS)
def called(request: pytest.FixtureRequest) -> Called:
    """`expect` says how the next call's function behaves; the embedded ones are what they are."""
    if request.param == "memory":
        memory = MemoryHooks()

        def expect(answer: Any) -> None:  # noqa: ANN401
            memory.answers = [answer]

        return Called(memory, expect)
    return Called(request.getfixturevalue("embedded"))


def test_a_function_is_called_with_the_event_and_its_answer_comes_back(called: Called) -> None:
    called.expect({"heard": EVENT, "by": "repeat"})
    assert called.call("repeat") == {"heard": EVENT, "by": "repeat"}


def test_a_function_that_fails_is_refused_with_its_words(called: Called) -> None:
    called.expect("LookupError: no zone for i-1")
    with pytest.raises(CloudRefused, match="LookupError: no zone for i-1"):
        called.call("fail")


def test_an_answer_that_is_no_object_is_refused(called: Called) -> None:
    called.expect("it answered what isn't an object: moved")
    with pytest.raises(CloudRefused, match="moved"):
        called.call("talk")


def test_a_function_that_is_not_there_is_refused(called: Called) -> None:
    called.expect("it isn't there")
    with pytest.raises(CloudRefused):
        called.call("nobody")


def test_a_function_that_is_throttled_is_busy(called: Called) -> None:
    called.expect(CloudBusy("throttled"))
    with pytest.raises(CloudBusy):
        called.call("busy")


class _Answers:
    """A client whose only answer is that."""

    def __init__(self, body: bytes, error: str = "") -> None:
        self._answer = {"Payload": io.BytesIO(body), **({"FunctionError": error} if error else {})}
        self.asked: dict[str, Any] = {}

    def invoke(self, **asked: Any) -> dict[str, Any]:  # noqa: ANN401
        self.asked = asked
        return self._answer


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        (b"", "", "in JSON: . It"),
        (b"<html>", "", "<html>"),
        (b"null", "", "null"),
        (b"[1]", "", "[1]"),
        (b"\xff", "", "in JSON"),
        (b"", "Unhandled", "it said nothing"),
        (b"oops", "Unhandled", "failed: oops"),
        (
            b'{"errorMessage": "Task timed out after 3.00 seconds"}',
            "Unhandled",
            "timed out after 3.00 seconds. Its log",
        ),
        (json.dumps({"errorType": "E", "errorMessage": "x" * 9999}).encode(), "Unhandled", "E: xxx"),
    ],
    ids=["nothing", "html", "null", "list", "no-text", "failed-silently", "failed-oddly", "timed-out", "talkative"],
)
def test_whatever_else_lambda_gives_is_told(body: bytes, error: str, said: str) -> None:
    client = _Answers(body, error)
    with pytest.raises(CloudRefused) as caught:
        LambdaHooks(client).call(arn("repeat"), EVENT)
    assert said in str(caught.value)
    assert arn("repeat") in str(caught.value)
    assert len(str(caught.value)) < 800
    assert client.asked["InvocationType"] == "RequestResponse"
