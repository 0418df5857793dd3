"""A runner with one file of handlers that behave well and badly."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Protocol

import pytest

from localcloud.lambda_runner.code_store import CodeStore
from localcloud.lambda_runner.function import RUNTIME, FunctionSpec, Surroundings
from localcloud.lambda_runner.runner import LambdaRunner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HANDLERS = """
import json, os, subprocess, sys, tempfile, time

STARTED = []
ANSWERS = 0


class NotReady(Exception):
    pass


def count(event, context):
    global ANSWERS
    ANSWERS += 1
    return {"pid": os.getpid(), "answers": ANSWERS, "event": event}


def surroundings(event, context):
    return {
        "environment": dict(os.environ), "path": sys.path, "tmp": tempfile.gettempdir(),
        "arn": context.invoked_function_arn, "left": context.get_remaining_time_in_millis(),
        "id": context.aws_request_id, "name": context.function_name,
    }


def fail(event, context):
    print("about to fail")
    raise NotReady("not yet")


def sleep(event, context):
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    with open(event["file"], "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
    time.sleep(event.get("seconds", 300))
    return "slept"


def grow(event, context):
    held = []
    while True:
        held.append(b"x" * 1048576 * 8)
        time.sleep(0.005)


def leave(event, context):
    os._exit(event["status"])


def segfault(event, context):
    import ctypes
    ctypes.string_at(0)


def big(event, context):
    return "x" * event["size"]


def odd(event, context):
    return {1, 2}


def append(event, context):
    with open(event["file"], "a") as file:
        file.write("x")
    raise NotReady("again")


def imports(event, context):
    found = {}
    for name in event:
        try:
            __import__(name)
            found[name] = True
        except ImportError:
            found[name] = False
    return found
"""


class Make(Protocol):
    def __call__(
        self, handler: str, *, name: str = ..., source: str = ..., timeout: int = ..., memory: int = ..., **more: object
    ) -> FunctionSpec: ...


def archive(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for name, text in files.items():
            # A date of its own would make another archive of the same files two seconds later.
            package.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a function of a handler's name in `app`, or of another source."""
    store = CodeStore(tmp_path / "code")

    def function(
        handler: str,
        *,
        name: str = "",
        source: str = HANDLERS,
        timeout: int = 5,
        memory: int = 256,
        **more: object,
    ) -> FunctionSpec:
        code, digest = store.unpack(archive({"app.py": source}))
        spec = FunctionSpec(
            name=name or handler,
            arn=f"arn:aws:lambda:eu-west-1:123456789012:function:{name or handler}",
            handler=f"app.{handler}",
            runtime=RUNTIME,
            timeout_seconds=timeout,
            memory_mib=memory,
            code=code,
            code_hash=digest,
        )
        values = {field: getattr(spec, field) for field in FunctionSpec.__dataclass_fields__}
        return FunctionSpec(**{**values, **more})

    return function


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[LambdaRunner]:
    around = Surroundings("http://127.0.0.1:9", ca_bundle=tmp_path / "ca.pem", variables=(("AZURE_ARM", "https://a"),))
    with LambdaRunner(tmp_path / "lambda", around, retry_seconds=(0.05,)) as runner:
        yield runner
