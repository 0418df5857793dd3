"""What ARM's and Entra's requests are to a plan of faults, and how both throttle and deny."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localcloud.azure.arm import ITEM, OPERATION, POLL_MS, operation_name
from localcloud.faults import Answer, Call

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from localcloud.azure.refusals import Json

_OWN_ACTIONS = frozenset({"write", "read", "delete"})
"""What isn't one of these is called by a POST: its right ends with `/action`."""


class ArmShape:
    """Service `arm` with operations as `disks/write` or `operations/read`, and `entra` with `token`, `discovery`."""

    def identify(self, environ: WSGIEnvironment) -> Call:
        """By the path alone."""
        path, method = str(environ.get("PATH_INFO", "")), str(environ["REQUEST_METHOD"])
        if path.endswith(("/oauth2/v2.0/token", "/openid-configuration")):
            return Call("entra", "token" if path.endswith("token") else "discovery")
        match = ITEM.fullmatch(path)
        if match is None:
            return Call("arm", "")
        if OPERATION.fullmatch(match["rest"]):
            return Call("arm", "operations/read")
        kind, *rest = match["rest"].rstrip("/").split("/")
        return Call("arm", operation_name(kind, method, "/".join(rest[1:])))

    def throttled(self, environ: WSGIEnvironment) -> Answer:
        """ARM's 429, or Entra's."""
        heads = (("x-ms-retry-after-ms", str(POLL_MS)), ("Retry-After", "1"))
        if self.identify(environ).service == "entra":
            return _entra(429, "temporarily_unavailable", 90055, "The tenant is throttled.", *heads)
        return _arm(429, "TooManyRequests", "The request was throttled.", *heads)

    def denied(self, environ: WSGIEnvironment) -> Answer:
        """ARM's AuthorizationFailed with the right that's lacking, or Entra's refusal of the application.

        Source of the texts: "Common ARM error codes" (AuthorizationFailed) and Entra's list of errors (AADSTS700016).
        """
        call, match = self.identify(environ), ITEM.fullmatch(str(environ.get("PATH_INFO", "")))
        if call.service == "entra":
            return _entra(400, "unauthorized_client", 700016, "The application was not found in the directory.")
        right = call.operation if call.operation.partition("/")[2] in _OWN_ACTIONS else f"{call.operation}/action"
        action = f"{match['namespace'] if match else 'Microsoft.Resources'}/{right}"
        message = (
            f"The client does not have authorization to perform action '{action}' over scope "
            f"'{environ.get('PATH_INFO', '')}' or the scope is invalid."
        )
        return _arm(403, "AuthorizationFailed", message)


def _arm(status: int, code: str, message: str, *heads: tuple[str, str]) -> Answer:
    return _answer(status, {"error": {"code": code, "message": message}}, heads)


def _entra(status: int, error: str, code: int, message: str, *heads: tuple[str, str]) -> Answer:
    body = {"error": error, "error_description": f"AADSTS{code}: {message}", "error_codes": [code]}
    return _answer(status, body, heads)


def _answer(status: int, body: Json, heads: tuple[tuple[str, str], ...]) -> Answer:
    return Answer(status, (("Content-Type", "application/json"), *heads), json.dumps(body).encode())
