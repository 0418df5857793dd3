"""Error answers in the shapes of AWS's protocols, and the request id that every answer carries."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from werkzeug import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from _typeshed.wsgi import StartResponse

    _Write = Callable[[bytes], object]

_XML_SERVICES = frozenset({"s3", "ec2", "sts", "iam", "cloudformation", "sns"})
_ID_NAMES = frozenset({"x-amzn-requestid", "x-amz-request-id"})


def json_error(status: int, code: str, message: str, **more: str) -> Response:
    """An error as the JSON protocols have it: the code in a header and in the body."""
    body = {"__type": code, "Type": "User" if status < 500 else "Service", "message": message, "Message": message}
    headers = {"x-amzn-ErrorType": code}
    return Response(json.dumps({**body, **more}), status=status, headers=headers, content_type="application/json")


def service_error(service: str, status: int, code: str, message: str) -> Response:
    """An error in the protocol of the named service."""
    if service not in _XML_SERVICES:
        return json_error(status, code, message)
    inner = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if service == "s3":
        text = f"<Error>{inner}</Error>"
    elif service == "ec2":
        text = f"<Response><Errors><Error>{inner}</Error></Errors></Response>"
    else:
        text = f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error></ErrorResponse>"
    return Response(text, status=status, content_type="text/xml")


def with_request_id(start_response: StartResponse) -> StartResponse:
    """The same, but what it sends always has an id: the SDKs and the state machine's engine read it."""

    def start(
        status: str,
        headers: list[tuple[str, str]],
        problem: tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None = None,
        /,
    ) -> _Write:
        names = {name.lower() for name, _ in headers}
        missing = [] if "x-amzn-requestid" in names else [("x-amzn-RequestId", _known_id(headers))]
        return start_response(status, [*headers, *missing], problem)

    return start


def _known_id(headers: Sequence[tuple[str, str]]) -> str:
    return next((value for name, value in headers if name.lower() in _ID_NAMES), "") or str(uuid.uuid4())
