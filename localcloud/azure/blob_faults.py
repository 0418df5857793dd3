"""Faults on purpose for the blob service: its requests go through the same injector as those of WSGI applications."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.azure.blob_http import BlobAnswer, refused
from localcloud.azure.blob_request import BlobRefusal, operation_of
from localcloud.faults import Answer, Call, FaultInjector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import BinaryIO

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from localcloud.azure.blob_http import Answering
    from localcloud.faults import FaultPlan
    from localcloud.recording import Recorder

_REQUEST = "localcloud.blob_request"


class _Line:
    """Stands for the connection: the server closes it when an answer breaks off."""

    def shutdown(self, how: int) -> None:
        """Nothing yet: what was written of a cut answer still goes out."""


@dataclass(frozen=True, slots=True)
class _Service:
    """The blob service as an application that the injector can stand before."""

    answering: Answering

    def identify(self, environ: WSGIEnvironment) -> Call:
        """Service `blob`, and the call's name as `PutPage`."""
        return Call("blob", operation_of(environ["REQUEST_METHOD"], environ["QUERY_STRING"]))

    def throttled(self, environ: WSGIEnvironment) -> Answer:
        """The service's ServerBusy."""
        return _whole(refused(BlobRefusal(503, "ServerBusy", "The server is busy.")))

    def denied(self, environ: WSGIEnvironment) -> Answer:
        """What it says to a network that the disk's policy keeps out."""
        text = "This request is not authorized to perform this operation."
        return _whole(refused(BlobRefusal(403, "AuthorizationFailure", text)))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            answer = self.answering(*environ[_REQUEST])
        except BlobRefusal as refusal:
            answer = refused(refusal)
        start_response(f"{answer.status} ", list(answer.headers.items()))
        return answer.body


def _whole(answer: BlobAnswer) -> Answer:
    return Answer(answer.status, tuple(answer.headers.items()), b"".join(answer.body))


def injector_before(answering: Answering, plan: FaultPlan, *, recorder: Recorder | None = None) -> FaultInjector:
    """An injector before the service; `through` lets requests pass it."""
    service = _Service(answering)
    return FaultInjector(service, plan, service, recorder=recorder)


def through(injector: FaultInjector) -> Answering:
    """The service behind the injector, as its server asks it; a lost answer ends the connection."""

    def answer(method: str, target: str, headers: Mapping[str, str], body: BinaryIO) -> BlobAnswer:
        path, _, query = target.partition("?")
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "werkzeug.socket": _Line(),
            "HTTP_X_MS_RANGE": headers.get("x-ms-range", ""), _REQUEST: (method, target, headers, body),
        }  # fmt: skip
        started: list[tuple[int, dict[str, str]]] = []

        def start(status: str, heads: list[tuple[str, str]], _error: object = None, /) -> Callable[[bytes], object]:
            started.append((int(status.split()[0]), dict(heads)))
            return lambda data: None

        pieces = injector(environ, start)
        return BlobAnswer(*started[0], iter(pieces))

    return answer
