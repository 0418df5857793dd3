"""Where faults on purpose get in: before what functions ask of AWS, and before each service of the homes.

Whatever passes there is recorded, with faults and without.
A plan's rules name services as `s3`, `ebs`, `ec2`, `dynamodb`, `sts`, `ssm` and the like, `arm`, `entra` and `blob`,
`compute`, `google_storage`, `google_sts`, `google_oauth` and `google_iam`; the operations are AWS's own, ARM's as
`disks/write` or `virtualMachines/start`, Entra's `token`, a blob's `PutPage`, Google's as `instances.insert`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from localcloud.accounts import access_key
from localcloud.azure.arm_faults import ArmShape
from localcloud.azure.blob_faults import injector_before, through
from localcloud.faults import Answer, Call, FaultInjector, FaultPlan
from localcloud.gateway.answers import service_error
from localcloud.gateway.call import path_style, read_call
from localcloud.recording import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from localcloud.azure.blob_http import Answering
    from localcloud.faults import Faultable, FaultRecord
    from localcloud.lambda_runner.role_sessions import RoleSessions
    from localcloud.objects.service import ObjectService
    from localcloud.recording import RecordedCall

# How each service of moto's says that there are too many requests; query services with 400 but for these.
_THROTTLES = {
    "dynamodb": (400, "ProvisionedThroughputExceededException"),
    "ssm": (400, "ThrottlingException"),
    "sts": (400, "Throttling"),
    "secretsmanager": (400, "ThrottlingException"),
}
_QUERY = frozenset({"sts", "iam", "cloudformation", "sns"})


class FaultPoints:
    """All of them, under one plan; each counts the plan's rules by itself. `clock` is that of recorded calls."""

    def __init__(
        self, plan: FaultPlan | None = None, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._plan, self._recorder = plan or FaultPlan(), Recorder(clock)
        self._injectors: list[FaultInjector] = []

    def use(self, plan: FaultPlan) -> None:
        """Follow another plan from now on; counts begin anew."""
        self._plan = plan
        for injector in self._injectors:
            injector.use(plan)

    @property
    def records(self) -> tuple[FaultRecord, ...]:
        """What was done: of each cloud's front in order, one front after the other."""
        return tuple(record for injector in self._injectors for record in injector.records)

    @property
    def calls(self) -> tuple[RecordedCall, ...]:
        """Every call that has passed, over all fronts in order."""
        return self._recorder.calls

    def before_functions(self, gateway: WSGIApplication, shape: Faultable, sessions: RoleSessions) -> WSGIApplication:
        """Before what functions ask; whoever else asks, a test or the state machine, gets what there is."""

        def caller(environ: WSGIEnvironment) -> str:
            session = sessions.find(access_key(environ) or "")
            return session.function.rpartition(":")[2] if session else ""

        faulty = self._keep(FaultInjector(gateway, self._plan, shape, recorder=self._recorder, caller=caller))

        def choose(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            by_function = sessions.find(access_key(environ) or "") is not None
            return (faulty if by_function else gateway)(environ, start_response)

        return choose

    def before_arm(self, front: WSGIApplication) -> WSGIApplication:
        """Before ARM and Entra."""
        return self.before(front, ArmShape())

    def before(self, front: WSGIApplication, shape: Faultable) -> WSGIApplication:
        """Before a home's service, whoever asks it."""
        return self._keep(FaultInjector(front, self._plan, shape, recorder=self._recorder))

    def before_blobs(self, answer: Answering) -> Answering:
        """Before the disks' pages."""
        return through(self._keep(injector_before(answer, self._plan, recorder=self._recorder)))

    def _keep(self, injector: FaultInjector) -> FaultInjector:
        self._injectors.append(injector)
        return injector


@dataclass(frozen=True, slots=True)
class AwsShape:
    """What AWS's requests are, and how each of its services throttles; `own` are services that say so themselves."""

    own: Mapping[str, Faultable]
    objects: ObjectService

    def identify(self, environ: WSGIEnvironment) -> Call:
        """By the signature's service, and the operation as that service's protocol says it."""
        call = read_call(environ)
        if call.service == "s3":
            return self.objects.identify(path_style(environ))
        if call.service in self.own and not call.action:
            return self.own[call.service].identify(environ)
        return Call(call.service, call.action)

    def throttled(self, environ: WSGIEnvironment) -> Answer:
        """The service's own throttling error."""
        service = read_call(environ).service
        if service in self.own:
            return self.own[service].throttled(environ)
        status, code = _THROTTLES.get(service, (400, "ThrottlingException"))
        return _refusal(service, status, code, "Rate exceeded")

    def denied(self, environ: WSGIEnvironment) -> Answer:
        """The service's own word for a right that's lacking: by a 403, but for JSON's protocols."""
        service = read_call(environ).service
        if service in self.own:
            return self.own[service].denied(environ)
        status, code = (403, "AccessDenied") if service in _QUERY else (400, "AccessDeniedException")
        return _refusal(service, status, code, "User is not authorized to perform this operation")


def _refusal(service: str, status: int, code: str, message: str) -> Answer:
    response = service_error(service, status, code, message)
    return Answer(response.status_code, tuple(response.headers.items()), response.get_data())
