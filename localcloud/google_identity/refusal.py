"""How Google's APIs say no: the JSON of Cloud Storage and Compute, that of newer APIs, and OAuth's.

Sources: Cloud Storage JSON API, "HTTP status and error codes"; google.rpc.Status as JSON; RFC 6749 section 5.2.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from werkzeug import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

JSON_TYPE = "application/json; charset=UTF-8"
STATUS_NAMES: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
}
"""google.rpc's names of the HTTP statuses."""


class ApiRefusal(Exception):
    """Ends a request; `reason` and `domain` say why in Google's words, `location` names a header or a parameter."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        domain: str = "global",
        location: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.reason, self.message, self.domain = status, reason, message, domain
        self.location, self.headers = location, dict(headers or {})

    @property
    def body(self) -> Json:
        """The error's document as Cloud Storage and Compute give it."""
        error: Json = {"message": self.message, "domain": self.domain, "reason": self.reason}
        if self.location is not None:
            error |= {"locationType": self.location[0], "location": self.location[1]}
        return {"error": {"code": self.status, "message": self.message, "errors": [error]}}

    @property
    def status_body(self) -> Json:
        """The error's document as newer APIs give it: google.rpc.Status."""
        name = STATUS_NAMES.get(self.status, "UNKNOWN")
        return {"error": {"code": self.status, "message": self.message, "status": name}}


class OAuthRefusal(Exception):
    """Ends a request for a token."""

    def __init__(self, error: str, description: str, *, status: int = 400) -> None:
        super().__init__(description)
        self.status = status
        self.body: Json = {"error": error, "error_description": description}


def refuse_token(error: str, description: str, *, status: int = 400) -> NoReturn:
    """End a request for a token in OAuth's words."""
    raise OAuthRefusal(error, description, status=status)


def json_response(status: int, body: Json) -> Response:
    """An answer of JSON."""
    return Response(json.dumps(body), status=status, content_type=JSON_TYPE)
