"""The watcher is woken: a function that the embedded Lambda runs, called without waiting for what it does."""

from __future__ import annotations

import io
import json
import time
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from werkzeug import Request

from failback.clouds.aws.watcher import LambdaWatcher
from localcloud.gateway.lambda_door import LambdaDoor
from localcloud.lambda_runner.code_store import CodeStore
from localcloud.lambda_runner.function import RUNTIME, FunctionSpec, Surroundings
from localcloud.lambda_runner.runner import LambdaRunner
from localcloud.serving import serve_application
from tests.clouds.aws.embedded import REGION, client_at

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

WATCH = """
import json, pathlib


def handler(event, context):
    pathlib.Path({place!r}).write_text(json.dumps(event))
"""


@dataclass(frozen=True)
class OneFunction:
    """The watcher's function, by its name."""

    code: Path
    digest: str

    def find(self, name: str, *, region: str, qualifier: str | None) -> FunctionSpec | None:
        return FunctionSpec(
            name=name,
            arn=f"arn:aws:lambda:{region}:123456789012:function:{name}",
            handler="app.handler",
            runtime=RUNTIME,
            timeout_seconds=20,
            memory_mib=128,
            code=self.code,
            code_hash=self.digest,
        )


def test_waking_does_not_wait_for_what_the_watcher_does(tmp_path: Path) -> None:
    archive, heard = io.BytesIO(), tmp_path / "heard.json"
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("app.py", WATCH.format(place=str(heard)))
    code, digest = CodeStore(tmp_path / "code").unpack(archive.getvalue())
    with LambdaRunner(tmp_path / "run", Surroundings("http://127.0.0.1:9")) as runner:
        door = LambdaDoor(runner, OneFunction(code, digest))

        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            return door.answer(Request(environ), REGION)(environ, start_response)

        with serve_application(answer) as url:
            LambdaWatcher(client_at("lambda", url, attempts=1), "drs-failback-watch").wake()
            until = time.monotonic() + 10
            while not heard.exists() and time.monotonic() < until:
                time.sleep(0.02)
            time.sleep(0.1)
    assert json.loads(heard.read_text()) == {}
