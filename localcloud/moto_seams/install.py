"""Puts all seams into moto for as long as an embedded AWS runs, and gives moto's web application."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.errors import LocalCloudError
from localcloud.moto_seams.deliveries import Deliveries, seam_deliveries
from localcloud.moto_seams.deploy import seam_deploy
from localcloud.moto_seams.engine import TimeScale, seam_engine
from localcloud.moto_seams.functions import ACCOUNT, MotoFunctions, seam_functions
from localcloud.moto_seams.interfaces import seam_interfaces
from localcloud.moto_seams.map_runs import seam_map_runs
from localcloud.moto_seams.nested import seam_nested
from localcloud.moto_seams.oidc_providers import seam_oidc_providers
from localcloud.moto_seams.pins import Swaps, check_version
from localcloud.moto_seams.states_api import seam_states_api, stop_execution

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIApplication

    from localcloud.lambda_runner.runner import LambdaRunner

_SETTINGS = {
    # moto would otherwise make 400 images of other people.
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    # A bogus image must fail as it does in EC2.
    "MOTO_ENABLE_AMI_VALIDATION": "1",
}
_running: list[str] = []


@dataclass(frozen=True, slots=True)
class Engine:
    """What the seams need from around them."""

    endpoint_url: str
    runner: LambdaRunner
    functions: MotoFunctions
    deliveries: Deliveries
    scale: TimeScale


def moto_application() -> WSGIApplication:
    """moto as a web application; raises EngineMismatch for another version than the one this is made for."""
    check_version()
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    return DomainDispatcherApplication(create_backend_app)


@contextmanager
def installed(engine: Engine) -> Iterator[None]:
    """Hold the seams, and moto's state, for the length of a `with` block; one at a time in a process."""
    if _running:
        message = f"This process runs an embedded AWS already, at {_running[0]}: its state is the whole process's."
        raise LocalCloudError(message)
    _running.append(engine.endpoint_url)
    before = {name: os.environ.get(name) for name in (*_SETTINGS, "MOTO_PORT")}
    os.environ.update({**_SETTINGS, "MOTO_PORT": engine.endpoint_url.rpartition(":")[2]})
    try:
        with Swaps() as swaps:
            _seam_all(swaps, engine)
            _reset()
            yield
            _stop_executions()
            _reset()
    finally:
        for name, value in before.items():
            _restore(name, value)
        _running.clear()


def _seam_all(swaps: Swaps, engine: Engine) -> None:
    import boto3
    from moto.core import config

    def read_object(bucket: str, key: str) -> bytes:
        client = boto3.session.Session(aws_access_key_id="local", aws_secret_access_key="local").client(
            "s3", region_name="us-east-1", endpoint_url=engine.endpoint_url
        )
        return bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())

    swaps.item(config.default_user_config, "stepfunctions", {"execute_state_machine": True})
    seam_engine(swaps, endpoint_url=engine.endpoint_url, scale=engine.scale)
    seam_states_api(swaps)
    seam_nested(swaps)
    seam_map_runs(swaps)
    seam_deliveries(swaps, engine.deliveries)
    seam_deploy(swaps, read_object=read_object)
    seam_oidc_providers(swaps)
    seam_interfaces(swaps)
    seam_functions(swaps, functions=engine.functions, runner=engine.runner)


def _stop_executions() -> None:
    """No thread of the interpreter goes on when its cloud has gone."""
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    for backend in stepfunctions_parser_backends[ACCOUNT].values():
        for execution in backend._get_executions():
            if execution.status == "RUNNING":
                stop_execution(execution, error=None, cause="The embedded cloud is shutting down")


def _reset() -> None:
    from moto.core.base_backend import BackendDict
    from moto.core.model_instances import reset_model_data

    BackendDict.reset()
    reset_model_data()


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
