"""Finds the application for each AWS request: ours where we have one, moto for all the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from werkzeug import Request

from localcloud.gateway.answers import service_error, with_request_id
from localcloud.gateway.call import Call, path_style, read_call
from localcloud.gateway.lambda_door import INVOKE_PATH, LambdaDoor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


@dataclass(frozen=True, slots=True)
class PartOfService:
    """An application that takes some of a service's operations; the others stay where they were."""

    service: str
    wanted: Callable[[Call], bool]
    application: WSGIApplication


@dataclass(frozen=True, slots=True)
class Applications:
    """Who answers what. `services` are whole services by their signing name (drs, ebs, ...); `parts` come first.

    Requests for a bucket that `bulk_bucket` names go to `bulk_objects`, always with the bucket in the path.
    """

    services: Mapping[str, WSGIApplication] = field(default_factory=dict)
    parts: Sequence[PartOfService] = ()
    bulk_objects: WSGIApplication | None = None
    bulk_bucket: Callable[[str], bool] = lambda _name: False


class Gateway:
    """The WSGI application; `rest` answers whatever nothing else claims."""

    def __init__(self, applications: Applications, *, functions: LambdaDoor, rest: WSGIApplication) -> None:
        self._applications, self._functions, self._rest = applications, functions, rest

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        call, start = read_call(environ), with_request_id(start_response)
        if call.service == "lambda" and INVOKE_PATH.fullmatch(str(environ.get("PATH_INFO", ""))):
            return self._functions.answer(Request(environ), call.region)(environ, start)
        chosen = self._choose(call)
        if chosen is not None:
            return chosen(path_style(environ) if call.service == "s3" else environ, start)
        try:
            return self._rest(environ, start)
        except NotImplementedError as error:
            what = f"{call.service}:{call.action or environ.get('PATH_INFO')}"
            message = f"The embedded AWS doesn't know {what} ({error}). Nothing was done."
            # Not a 5xx of the kind that SDKs try again for minutes.
            return service_error(call.service, 400, "NotImplemented", message)(environ, start)

    def _choose(self, call: Call) -> WSGIApplication | None:
        for part in self._applications.parts:
            if part.service == call.service and part.wanted(call):
                return part.application
        if call.service == "s3" and self._applications.bulk_objects and self._applications.bulk_bucket(call.bucket):
            return self._applications.bulk_objects
        return self._applications.services.get(call.service)
