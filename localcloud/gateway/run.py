"""Starts the embedded AWS: runner, moto with its seams, and the gateway before both, on one port of 127.0.0.1."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localcloud.gateway.answers import json_error
from localcloud.gateway.dispatch import Applications, Gateway
from localcloud.gateway.lambda_door import LambdaDoor
from localcloud.lambda_runner.code_store import CodeStore
from localcloud.lambda_runner.function import Surroundings
from localcloud.lambda_runner.role_sessions import RoleSessions
from localcloud.lambda_runner.runner import MOST_WORKERS, LambdaRunner
from localcloud.moto_seams.deliveries import Deliveries
from localcloud.moto_seams.engine import TimeScale
from localcloud.moto_seams.functions import MotoFunctions
from localcloud.moto_seams.install import Engine, installed, moto_application
from localcloud.schedules import ScheduleClock
from localcloud.serving import serve_application

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """What an embedded AWS is started with. `folder` holds functions' code and logs.

    `variables` and `ca_bundle` reach every function's environment; `wait_scale` is how long a second of a Wait state
    or of a pause before a retry lasts. `sessions` knows which function is calling; `around` puts something before all
    services; `code` is where functions' code lies, if not in the folder.
    """

    folder: Path
    applications: Applications = field(default_factory=Applications)
    port: int = 0
    ca_bundle: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    wait_scale: float = 1.0
    most_workers: int = MOST_WORKERS
    event_retry_seconds: Sequence[float] = (60.0, 120.0)
    sessions: RoleSessions = field(default_factory=RoleSessions)
    around: Callable[[WSGIApplication], WSGIApplication] = lambda gateway: gateway
    code: CodeStore | None = None


@dataclass(frozen=True, slots=True)
class EmbeddedAws:
    """A running one: its URL for every service, the runner of its functions, the pace of its state machines.

    No schedule fires by itself: `clock.tick(now)` fires what is due. `undelivered` tells of events that reached nobody.
    """

    url: str
    runner: LambdaRunner
    scale: TimeScale
    clock: ScheduleClock
    undelivered: Sequence[str]


class _Threshold:
    """Takes requests from the first moment on, since the port has to be known before its services can be made."""

    def __init__(self) -> None:
        self.application: WSGIApplication = json_error(503, "ServiceUnavailableException", "The cloud is starting")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.application(environ, start_response)


@contextmanager
def run_aws(settings: AwsSettings) -> Iterator[EmbeddedAws]:
    """An embedded AWS for the length of a `with` block; raises LocalCloudError if it can't be started."""
    rest, threshold, scale = moto_application(), _Threshold(), TimeScale(settings.wait_scale)
    store = settings.code or CodeStore(settings.folder / "code")
    with ExitStack() as stack:
        url = stack.enter_context(serve_application(threshold, port=settings.port))
        around = Surroundings(url, settings.ca_bundle, tuple(sorted(settings.variables.items())), settings.sessions)
        runner = stack.enter_context(
            LambdaRunner(
                settings.folder / "lambda",
                around,
                most_workers=settings.most_workers,
                retry_seconds=settings.event_retry_seconds,
            )
        )
        functions = MotoFunctions(store)
        deliveries = Deliveries(runner, functions)
        stack.enter_context(installed(Engine(url, runner, functions, deliveries, scale)))
        gateway = Gateway(settings.applications, functions=LambdaDoor(runner, functions), rest=rest)
        threshold.application = settings.around(gateway)
        try:
            yield EmbeddedAws(url, runner, scale, ScheduleClock(deliveries.schedules), deliveries.undelivered)
        finally:
            # Whoever watches a run isn't told that it's unknown, only because the machines have ended already.
            threshold.application = json_error(503, "ServiceUnavailableException", "The cloud is ending")
