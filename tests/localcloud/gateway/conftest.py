"""One embedded AWS for the tests of the gateway, with a few applications of their own behind it."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import boto3
import pytest
from botocore.config import Config
from werkzeug import Request, Response

from localcloud.gateway.dispatch import Applications, PartOfService
from localcloud.gateway.run import AwsSettings, EmbeddedAws, run_aws
from localcloud.lambda_runner.function import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIApplication

Sdk: TypeAlias = Any
"""Something made at run time (an SDK's client, JSON) that has no type."""
ROLE = "arn:aws:iam::123456789012:role/test"
HANDLERS = """
import json, os, pathlib


def echo(event, context):
    print("heard", event)
    return event


def note(event, context):
    with open(os.environ["NOTES"], "a") as file:
        file.write(json.dumps(event) + "\\n")


def fail(event, context):
    raise ValueError("no")
"""


@dataclass(frozen=True, slots=True)
class Fixture:
    """A running cloud and what its own applications heard."""

    aws: EmbeddedAws
    notes: Any
    heard: dict[str, list[str]] = field(default_factory=dict)

    def client(self, service: str, **config: Sdk) -> Sdk:
        session = boto3.session.Session("local", "local", region_name="eu-west-1")
        # SDKs try a 5xx or a throttle again; the tests want the first answer.
        settings = Config(retries={"total_max_attempts": 1}, **config)
        return session.client(service, endpoint_url=self.aws.url, config=settings)  # type: ignore[call-overload]

    def function(self, name: str, handler: str = "", **more: Sdk) -> str:
        code = {"ZipFile": archive()}
        environment = {"Variables": {"NOTES": str(self.notes)}}
        settings = {"Runtime": RUNTIME, "Timeout": 10, "MemorySize": 256, "Environment": environment, **more}
        made = self.client("lambda").create_function(
            FunctionName=name, Role=ROLE, Handler=f"app.{handler or name}", Code=code, **settings
        )
        return str(made["FunctionArn"])


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr("app.py", HANDLERS)
    return buffer.getvalue()


def recorder(heard: dict[str, list[str]], name: str, answer: str, content_type: str) -> WSGIApplication:
    @Request.application
    def record(request: Request) -> Response:
        heard.setdefault(name, []).append(f"{request.method} {request.path} {request.get_data(as_text=True)}")
        return Response(answer, content_type=content_type)

    return record


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fixture]:
    folder = tmp_path_factory.mktemp("aws")
    heard: dict[str, list[str]] = {}
    export = (
        '<ExportImageResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        "<exportImageTaskId>export-ami-1</exportImageTaskId></ExportImageResponse>"
    )
    applications = Applications(
        services={"drs": recorder(heard, "drs", json.dumps({"items": []}), "application/json")},
        parts=[
            PartOfService("ec2", lambda call: call.action == "ExportImage", recorder(heard, "ec2", export, "text/xml"))
        ],
        bulk_objects=recorder(heard, "bulk", "", "text/plain"),
        bulk_bucket=lambda name: name.startswith("images-"),
    )
    settings = AwsSettings(folder, applications=applications, wait_scale=0.01, event_retry_seconds=(0.05,))
    with run_aws(settings) as aws:
        fixture = Fixture(aws, folder / "notes", heard)
        fixture.client("iam").create_role(RoleName="test", AssumeRolePolicyDocument="{}")
        yield fixture
