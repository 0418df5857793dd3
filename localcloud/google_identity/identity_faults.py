"""What requests for tokens are to a plan of faults, and how the services throttle and deny."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localcloud.faults import Answer, Call
from localcloud.google_identity.impersonation import PATH, PERMISSION
from localcloud.google_identity.refusal import JSON_TYPE, ApiRefusal, Json

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_TOKENS = {"/v1/token": "google_sts", "/token": "google_oauth"}


class IdentityShape:
    """Services `google_sts` and `google_oauth` with `token`, and `google_iam` with `generateAccessToken`."""

    def identify(self, environ: WSGIEnvironment) -> Call:
        """By the path alone."""
        path = str(environ.get("PATH_INFO", ""))
        if path in _TOKENS:
            return Call(_TOKENS[path], "token")
        match = PATH.fullmatch(path)
        return Call("google_iam", match["method"] if match else "")

    def throttled(self, environ: WSGIEnvironment) -> Answer:
        """A 429, in OAuth's words or in those of newer APIs."""
        if self.identify(environ).operation == "token":
            return _oauth(429, "rate_limit_exceeded", "Rate limit exceeded.")
        return _refused(ApiRefusal(429, "rateLimitExceeded", "Quota exceeded for quota metric 'requests'."))

    def denied(self, environ: WSGIEnvironment) -> Answer:
        """The refusal of a token, or the right that's lacking."""
        if self.identify(environ).operation == "token":
            message = "The given credential is rejected by the attribute condition."
            return _oauth(400, "unauthorized_client", message)
        message = f"Permission '{PERMISSION}' denied on resource (or it may not exist)."
        return _refused(ApiRefusal(403, "forbidden", message))


def _oauth(status: int, error: str, description: str) -> Answer:
    return _answer(status, {"error": error, "error_description": description})


def _refused(refusal: ApiRefusal) -> Answer:
    return _answer(refusal.status, refusal.status_body)


def _answer(status: int, body: Json) -> Answer:
    return Answer(status, (("Content-Type", JSON_TYPE),), json.dumps(body).encode())
