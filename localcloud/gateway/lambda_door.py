"""Lambda's Invoke over HTTP: functions as they were deployed, run by the runner.

Source: botocore's service model lambda 2015-03-31 (operation Invoke, its headers and errors).
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from werkzeug import Request, Response

from failback.errors import LocalCloudError, RuntimeMismatch
from localcloud.gateway.answers import json_error
from localcloud.lambda_runner.outcome import MAX_EVENT_BYTES, MAX_REQUEST_BYTES, Outcome, Throttled
from localcloud.lambda_runner.worker import new_request_id

if TYPE_CHECKING:
    from localcloud.lambda_runner.function import FunctionSpec
    from localcloud.lambda_runner.runner import LambdaRunner

INVOKE_PATH = re.compile(r"/2015-03-31/functions/(?P<name>[^/]+)/invocations")
_LIMITS = {"RequestResponse": MAX_REQUEST_BYTES, "Event": MAX_EVENT_BYTES, "DryRun": MAX_REQUEST_BYTES}


class FunctionCatalog(Protocol):
    """Where deployed functions are known."""

    def find(self, name: str, *, region: str, qualifier: str | None) -> FunctionSpec | None:
        """The function of that name or ARN, unpacked; None if there is none."""
        ...


class LambdaDoor:
    """Answers Invoke requests."""

    def __init__(self, runner: LambdaRunner, catalog: FunctionCatalog) -> None:
        self._runner, self._catalog = runner, catalog

    def answer(self, request: Request, region: str) -> Response:
        """Invoke the function that the path names."""
        kind = request.headers.get("X-Amz-Invocation-Type", "RequestResponse")
        limit = _LIMITS.get(kind)
        if limit is None:
            message = f"Value '{kind}' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value"
            return json_error(400, "InvalidParameterValueException", message)
        size = request.content_length or 0
        if size > limit:
            _drain(request)
            message = f"{size} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"
            return json_error(413, "RequestTooLargeException", message)
        payload = request.get_data() or b"{}"
        try:
            json.loads(payload)
        except ValueError as error:
            message = f"Could not parse request body into json: {error}"
            return json_error(400, "InvalidRequestContentException", message)
        return self._invoke(request, payload, kind, region)

    def _invoke(self, request: Request, payload: bytes, kind: str, region: str) -> Response:
        found = INVOKE_PATH.fullmatch(request.path)
        name = unquote(found["name"]) if found else ""
        qualifier = request.args.get("Qualifier")
        try:
            function = self._catalog.find(name, region=region, qualifier=qualifier)
            if function is None:
                return json_error(404, "ResourceNotFoundException", _not_found(name, region, qualifier))
            return self._run(request, function, payload, kind)
        except RuntimeMismatch as error:
            return json_error(400, "InvalidParameterValueException", str(error))
        except Throttled as error:
            reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
            return json_error(429, "TooManyRequestsException", str(error), Reason=reason)
        except LocalCloudError as error:
            return json_error(400, "InvalidZipFileException", str(error))

    def _run(self, request: Request, function: FunctionSpec, payload: bytes, kind: str) -> Response:
        request_id = new_request_id()
        if kind == "DryRun":
            return Response(status=204)
        if kind == "Event":
            self._runner.enqueue(function, payload, request_id=request_id)
            return Response(status=202, headers={"x-amzn-RequestId": request_id})
        context = request.headers.get("X-Amz-Client-Context")
        decoded = base64.b64decode(context).decode() if context else None
        outcome = self._runner.invoke(function, payload, request_id=request_id, client_context=decoded)
        headers = {"x-amzn-RequestId": request_id, "X-Amz-Executed-Version": function.version}
        headers |= _told(outcome, log=request.headers.get("X-Amz-Log-Type") == "Tail")
        return Response(outcome.payload, headers=headers, content_type="application/json")


def _drain(request: Request) -> None:
    """Read what was sent: a connection that's closed too early shows the caller no answer."""
    while request.stream.read(64 * 1024):
        pass


def _told(outcome: Outcome, *, log: bool) -> dict[str, str]:
    error = {"X-Amz-Function-Error": "Unhandled"} if outcome.failed else {}
    tail = {"X-Amz-Log-Result": base64.b64encode(outcome.log_tail.encode()).decode()} if log else {}
    return error | tail


def _not_found(name: str, region: str, qualifier: str | None) -> str:
    arn = name if name.startswith("arn:") else f"arn:aws:lambda:{region}:123456789012:function:{name}"
    return f"Function not found: {arn}{f':{qualifier}' if qualifier else ''}"
