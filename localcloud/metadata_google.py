"""Google Compute Engine's metadata server, as far as a client machine uses it; whatever else is asked is refused.

Source: cloud.google.com, "View and query VM metadata" and "Verify VM identity".
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from werkzeug import Response

if TYPE_CHECKING:
    from werkzeug import Request

    from localcloud.metadata import DocumentBoard, MachineDocument, MachineIdentity
    from localcloud.tokens import TokenSigner

ISSUER = "https://accounts.google.com"
TOKEN_SECONDS = 3600
LONGEST_WAIT = 300.0
"""Seconds that a request which waits for a change is held without a timeout_sec of its own."""

_ROOT = "/computeMetadata/v1/instance/"
_ATTRIBUTES = f"{_ROOT}attributes/"
_IDENTITY = f"{_ROOT}service-accounts/default/identity"
_WAITING = frozenset({"wait_for_change", "last_etag", "timeout_sec", "alt"})
_IDENTITY_PARAMETERS = frozenset({"audience", "format", "licenses"})


class GoogleMetadata:
    """Answers by Google's rules."""

    def __init__(self, signer: TokenSigner, board: DocumentBoard) -> None:
        self._signer = signer
        self._board = board

    def answer(self, request: Request, document: MachineDocument) -> Response:
        """The response to one request for `document`'s machine."""
        response = self._judge(request, document)
        response.headers["Metadata-Flavor"] = "Google"
        response.headers["Server"] = "Metadata Server for VM"
        return response

    def _judge(self, request: Request, document: MachineDocument) -> Response:
        if request.headers.get("Metadata-Flavor") != "Google":
            return _refuse(403, "Missing Metadata-Flavor:Google header.")
        if "X-Forwarded-For" in request.headers:
            return _refuse(403, "Requests with an X-Forwarded-For header are not allowed.")
        if request.method != "GET":
            return _refuse(405, "Only GET is allowed here.")
        if request.path == _IDENTITY:
            return self._identity(request, document)
        unknown = set(request.args).difference(_WAITING)
        if unknown:
            return _refuse(400, f"Unknown parameters: {', '.join(sorted(unknown))}")
        return self._value(request)

    def _value(self, request: Request) -> Response:
        document, version = self._board.read()
        if request.args.get("wait_for_change", "").lower() == "true":
            seen = request.args.get("last_etag", str(version), type=str)
            seconds = request.args.get("timeout_sec", LONGEST_WAIT, type=float)
            if seen == str(version):
                self._board.wait_for_change(version, min(seconds, LONGEST_WAIT))
            document, version = self._board.read()
        text = _leaf(request.path, document)
        if text is None:
            return _refuse(404, "Not found")
        response = Response(text, content_type="application/text")
        response.headers["ETag"] = str(version)
        return response

    def _identity(self, request: Request, document: MachineDocument) -> Response:
        identity = document.identity
        if identity is None:
            return _refuse(404, "service account not defined")
        unknown = set(request.args).difference(_IDENTITY_PARAMETERS)
        audience = request.args.get("audience")
        form = request.args.get("format", "standard")
        if not audience or unknown or form not in {"standard", "full"}:
            return _refuse(400, "non-empty audience parameter required, format may be standard or full")
        claims = _claims(identity, audience, int(time.time()))
        if form == "full":
            claims |= _machine_claims(document, identity)
        return Response(self._signer.sign(claims), content_type="text/html")


def _leaf(path: str, document: MachineDocument) -> str | None:
    if path == _ATTRIBUTES:
        return "".join(f"{name}\n" for name in sorted(document.attributes))
    if path.startswith(_ATTRIBUTES):
        return document.attributes.get(path.removeprefix(_ATTRIBUTES))
    values = {"id": document.vm_id, "name": document.name, "zone": f"projects/0/zones/{document.location}"}
    return values.get(path.removeprefix(_ROOT))


def _claims(identity: MachineIdentity, audience: str, now: int) -> dict[str, object]:
    return {
        "aud": audience,
        "azp": identity.subject,
        "exp": now + TOKEN_SECONDS,
        "iat": now,
        "iss": ISSUER,
        "sub": identity.subject,
    }


def _machine_claims(document: MachineDocument, identity: MachineIdentity) -> dict[str, object]:
    machine = {
        "instance_id": document.vm_id,
        "instance_name": document.name,
        "project_id": document.project,
        "zone": document.location,
    }
    return {"email": identity.email, "email_verified": True, "google": {"compute_engine": machine}}


def _refuse(status: int, text: str) -> Response:
    return Response(f"{text}\n", status=status, content_type="text/html; charset=UTF-8")
