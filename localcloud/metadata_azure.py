"""Azure's Instance Metadata Service, as far as a client machine uses it; whatever else is asked is refused.

Source: learn.microsoft.com, "Azure Instance Metadata Service for virtual machines" and "How to use managed identities
for Azure resources on an Azure VM to acquire an access token".
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from werkzeug import Response

if TYPE_CHECKING:
    from werkzeug import Request

    from localcloud.metadata import MachineDocument, MachineIdentity
    from localcloud.tokens import TokenSigner

INSTANCE_VERSIONS = ("2021-01-01", "2021-02-01", "2021-12-13")
"""Those since userData is there; a version that isn't listed is refused, as the service does."""
TOKEN_VERSIONS = ("2018-02-01", "2019-08-01")
TOKEN_SECONDS = 24 * 3600 - 300

_INSTANCE = "/metadata/instance"
_USER_DATA = "/metadata/instance/compute/userData"
_TOKEN = "/metadata/identity/oauth2/token"
_IDS = frozenset({"client_id", "object_id", "msi_res_id"})
_PARAMETERS = {
    _INSTANCE: frozenset({"api-version", "format"}),
    _USER_DATA: frozenset({"api-version", "format"}),
    _TOKEN: frozenset({"api-version", "resource", "client_id", "object_id", "msi_res_id"}),
}


class AzureMetadata:
    """Answers by Azure's rules."""

    def __init__(self, signer: TokenSigner) -> None:
        self._signer = signer

    def answer(self, request: Request, document: MachineDocument) -> Response:
        """The response to one request for `document`'s machine."""
        if request.headers.get("Metadata", "").lower() != "true":
            return _error(400, "Bad request. Required metadata header not specified")
        if "X-Forwarded-For" in request.headers:
            return _error(400, "Bad request. Proxied requests are not allowed")
        if request.path not in _PARAMETERS:
            return _error(404, "Not found")
        if request.method != "GET":
            return _error(405, "Method not allowed")
        return _refusal(request) or self._respond(request, document)

    def _respond(self, request: Request, document: MachineDocument) -> Response:
        if request.path == _INSTANCE:
            return _json({"compute": _compute(document), "network": {"interface": []}})
        if request.path == _USER_DATA:
            return _user_data(request, document)
        return self._token(request, document)

    def _token(self, request: Request, document: MachineDocument) -> Response:
        resource = request.args.get("resource")
        if not resource:
            return _oauth_error("invalid_request", "Required query variable 'resource' is missing")
        identity = _asked_for(request, document)
        if identity is None:
            several = "Multiple user assigned identities exist, please specify the clientId of the identity"
            found = document.further and not _IDS.intersection(request.args)
            return _oauth_error("invalid_request", several if found else "Identity not found")
        now = int(time.time())
        token = self._signer.sign(_claims(identity, resource, now))
        return _json(
            {
                "access_token": token,
                "client_id": identity.client_id,
                "expires_in": str(TOKEN_SECONDS),
                "expires_on": str(now + TOKEN_SECONDS),
                "ext_expires_in": str(TOKEN_SECONDS),
                "not_before": str(now - 300),
                "resource": resource,
                "token_type": "Bearer",
            }
        )


def _refusal(request: Request) -> Response | None:
    versions = TOKEN_VERSIONS if request.path == _TOKEN else INSTANCE_VERSIONS
    if request.args.get("api-version") not in versions:
        text = "Bad request. api-version is invalid or was not specified in the request."
        return _json({"error": text, "newest-versions": list(reversed(versions))}, status=400)
    unknown = set(request.args).difference(_PARAMETERS[request.path])
    if unknown:
        return _error(400, f"Bad request. Unknown parameters: {', '.join(sorted(unknown))}")
    return None


def _asked_for(request: Request, document: MachineDocument) -> MachineIdentity | None:
    """The identity of the ids that the request gives; without any, the one that speaks unasked."""
    if not _IDS.intersection(request.args):
        return document.identity
    for each in (*([document.identity] if document.identity else []), *document.further):
        ids = {"client_id": each.client_id, "object_id": each.subject, "msi_res_id": each.resource_id}
        # Azure tells no capitals apart in resource ids.
        if all(
            request.args.get(name, value or "").casefold() == (value or "").casefold() for name, value in ids.items()
        ):
            return each
    return None


def _user_data(request: Request, document: MachineDocument) -> Response:
    if request.args.get("format") != "text":
        return _error(400, "Bad request. A leaf needs format=text")
    if document.user_data is None:
        return _error(404, "Not found")
    return Response(document.user_data, content_type="text/plain; charset=utf-8")


def _compute(document: MachineDocument) -> dict[str, object]:
    return {
        "location": document.location,
        "name": document.name,
        "provider": "Microsoft.Compute",
        "tags": ";".join(f"{name}:{value}" for name, value in document.tags.items()),
        "tagsList": [{"name": name, "value": value} for name, value in document.tags.items()],
        "userData": document.user_data or "",
        "vmId": document.vm_id,
    }


def issuer(tenant: str) -> str:
    """Who signs the tokens of a tenant's managed identities."""
    return f"https://sts.windows.net/{tenant}/"


def _claims(identity: MachineIdentity, resource: str, now: int) -> dict[str, object]:
    return {
        "aud": resource,
        "iss": issuer(identity.tenant),
        "iat": now,
        "nbf": now - 300,
        "exp": now + TOKEN_SECONDS,
        "appid": identity.client_id,
        "oid": identity.subject,
        "sub": identity.subject,
        "tid": identity.tenant,
        "ver": "1.0",
    }


def _error(status: int, text: str) -> Response:
    return _json({"error": text}, status=status)


def _oauth_error(code: str, description: str) -> Response:
    return _json({"error": code, "error_description": description}, status=400)


def _json(document: object, *, status: int = 200) -> Response:
    return Response(json.dumps(document), status=status, content_type="application/json; charset=utf-8")
